// Copying, with the clipboards that browsers have.

import { afterEach, expect, test, vi } from "vitest";
import { copied } from "../src/board/clipboard.js";

/** Keeps what it is given, as that of a browser does. */
class Item {
  constructor(readonly types: Readonly<Record<string, Promise<Blob>>>) {}
}

async function textIn([item]: readonly Item[]): Promise<string | undefined> {
  return (await item?.types["text/plain"])?.text();
}

function refuse(): Promise<void> {
  return Promise.reject(new DOMException("no", "NotAllowedError"));
}

afterEach(() => vi.unstubAllGlobals());

test("the copy is begun within the click, before there is a text", async () => {
  let content: string | undefined;
  const write = vi.fn(async (items: readonly Item[]) => {
    content = await textIn(items);
  });
  vi.stubGlobal("ClipboardItem", Item);
  vi.stubGlobal("navigator", { clipboard: { write } });
  let tell = (_: string) => {};
  const done = copied(
    new Promise<string>((resolve) => {
      tell = resolve;
    }),
  );
  expect(write).toHaveBeenCalledTimes(1);
  tell("a link");
  expect(await done).toBe(true);
  expect(content).toBe("a link");
});

test("a browser that takes no text to come gets it when it is there", async () => {
  const writeText = vi.fn(async (_: string) => {});
  vi.stubGlobal("ClipboardItem", undefined);
  vi.stubGlobal("navigator", { clipboard: { writeText } });
  expect(await copied(Promise.resolve("a link"))).toBe(true);
  expect(writeText).toHaveBeenCalledWith("a link");
});

test("what a browser did not copy is not told as copied", async () => {
  vi.stubGlobal("ClipboardItem", Item);
  vi.stubGlobal("navigator", { clipboard: { write: refuse, writeText: refuse } });
  expect(await copied(Promise.resolve("a link"))).toBe(false);
  vi.stubGlobal("navigator", {});
  expect(await copied(Promise.resolve("a link"))).toBe(false);
});

test("a text that does not come is not copied", async () => {
  const writeText = vi.fn(async (_: string) => {});
  const write = async (items: readonly Item[]) => void (await textIn(items));
  vi.stubGlobal("ClipboardItem", Item);
  vi.stubGlobal("navigator", { clipboard: { write, writeText } });
  expect(await copied(Promise.reject(new Error("no link")))).toBe(false);
  expect(writeText).not.toHaveBeenCalled();
});
