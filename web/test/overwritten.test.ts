// Which texts were written over, or deleted, by somebody who had not seen them.

import { beforeEach, expect, test, vi } from "vitest";
import { DueStore } from "../src/board/due.js";
import { type Lost, MAX_KNOWN, Overwritten, printOf } from "../src/board/overwritten.js";
import type { AcknowledgedOp, CommittedOp, ViewObject } from "../src/revcast.js";

beforeEach(() => vi.stubGlobal("localStorage", new Kept()));

/** What a browser keeps. */
class Kept {
  getItem(name: string): string | null {
    return Object.hasOwn(this, name) ? String(Reflect.get(this, name)) : null;
  }
  setItem(name: string, value: string): void {
    Reflect.set(this, name, value);
  }
  removeItem(name: string): void {
    Reflect.deleteProperty(this, name);
  }
}

interface Written {
  readonly by: string;
  readonly seen?: number;
  /** The text that they saw. */
  readonly over?: string;
  readonly epoch?: string;
  readonly id?: string;
  readonly text?: string;
}

/** What an op says whose writer saw `over`; without a text it deletes. */
function op(revision: number, { by, seen, over, epoch = "e", id = "a", text }: Written): CommittedOp {
  const meta = {
    tab: `tab-${by}`,
    seen: seen ?? revision - 1,
    epoch,
    ...(over === undefined ? {} : { over: printOf(over) }),
  };
  const fields = { op_id: `op-${revision}`, revision, actor: by, ts: 0, meta };
  return text === undefined
    ? { ...fields, type: "object.delete", object_ids: [id] }
    : { ...fields, type: "object.update", object_id: id, set: { text } };
}

const own = (revision: number, written: Omit<Written, "by">): AcknowledgedOp =>
  op(revision, { by: "me", ...written }) as unknown as AcknowledgedOp;

const textObject = (text: string, id = "a"): ViewObject => ({
  object_id: id,
  kind: "text",
  z: "",
  props: { text, x: 7 },
});

function watch({
  past = async (): Promise<readonly ViewObject[]> => [] as ViewObject[],
  revision = 1_000,
  store = () => new DueStore("d", "me") as DueStore | undefined,
} = {}) {
  const kept: Pick<Lost, "kept_id" | "text">[] = [];
  const asked = vi.fn<(revision: number) => Promise<readonly ViewObject[]>>(past);
  const at = { epoch: "e", revision };
  const overwritten = new Overwritten({
    userId: () => "me",
    epoch: () => at.epoch,
    revision: () => at.revision,
    past: asked,
    mayRetry: (error) => error === "later",
    lost: ({ kept_id, text }) => kept.push({ kept_id, text }),
    store,
  });
  const settled = () => new Promise((resolve) => setTimeout(resolve));
  return { overwritten, kept, asked, at, settled };
}

test("all who follow the log find the same, and keep it under the same id", async () => {
  for (const [first, second] of [
    ["me", "bob"],
    ["bob", "me"],
  ] as const) {
    const { overwritten, kept, asked, settled } = watch();
    overwritten.see([
      op(11, { by: first, text: "one", over: "none" }),
      op(12, { by: second, text: "two", over: "none", seen: 10 }),
    ]);
    await settled();
    expect(kept).toEqual([{ kept_id: "kept-op-12", text: "one" }]);
    expect(asked).not.toHaveBeenCalled();
  }
});

test("what its writer has seen, and what two others do, is nobody's loss", async () => {
  const { overwritten, kept, settled } = watch();
  overwritten.see([
    op(11, { by: "bob", text: "one", over: "none" }),
    op(12, { by: "me", text: "two", over: "one" }),
    op(13, { by: "bob", text: "three", over: "two" }),
    op(14, { by: "carol", text: "four", over: "two", seen: 12 }),
    // It is again what was seen, whoever has written it.
    op(15, { by: "bob", text: "six", id: "b", over: "five" }),
    op(16, { by: "bob", text: "five", id: "b", over: "six" }),
    op(17, { by: "me", text: "seven", id: "b", over: "five", seen: 14 }),
  ]);
  await settled();
  expect(kept).toEqual([]);
});

test("what a snapshot has brought is looked up in the past", async () => {
  const { overwritten, kept, asked, settled } = watch({
    past: async () => [textObject("theirs")],
    revision: 9_001,
  });
  // The log goes on beyond what was seen: there is a snapshot in between.
  overwritten.see([op(9_001, { by: "me", text: "mine", over: "none", seen: 10 })]);
  await settled();
  expect(asked.mock.calls).toEqual([[9_000]]);
  expect(kept).toEqual([{ kept_id: "kept-op-9001", text: "theirs" }]);
});

test("an op that the snapshot holds already is compared once it is acknowledged, and the drawing there", async () => {
  const { overwritten, kept, asked, at, settled } = watch({
    past: async () => [textObject("theirs")],
    revision: 10,
  });
  overwritten.acknowledged([own(9_001, { text: "mine", over: "none", seen: 10 })]);
  await settled();
  expect(asked).not.toHaveBeenCalled();
  at.revision = 9_500;
  overwritten.look();
  await settled();
  expect(kept).toEqual([{ kept_id: "kept-op-9001", text: "theirs" }]);
  overwritten.look();
  await settled();
  expect(asked).toHaveBeenCalledTimes(1);
});

test("an op that is acknowledged and then seen in the log needs no look into the past", async () => {
  const { overwritten, kept, asked, at, settled } = watch({ revision: 10 });
  overwritten.see([op(10, { by: "bob", text: "none", over: "" })]);
  const mine = { text: "mine", over: "none", seen: 10 };
  overwritten.acknowledged([own(12, mine)]);
  at.revision = 12;
  overwritten.look();
  overwritten.see([op(11, { by: "bob", text: "theirs", over: "none" }), op(12, { by: "me", ...mine })]);
  await settled();
  expect(kept).toEqual([{ kept_id: "kept-op-12", text: "theirs" }]);
  expect(asked).not.toHaveBeenCalled();
});

test("in the past, a text that is as it was seen is no loss, and one that is gone keeps what was written", async () => {
  const { overwritten, kept, settled } = watch({ past: async () => [textObject("none")] });
  overwritten.acknowledged([
    own(20, { text: "mine", over: "none", seen: 10 }),
    own(21, { text: "lost", over: "none", id: "gone", seen: 10 }),
    own(22, { over: "none", id: "gone", seen: 10 }),
  ]);
  await settled();
  expect(kept).toEqual([{ kept_id: "kept-op-21", text: "lost" }]);
});

test("a deletion of what was changed meanwhile keeps it, named after its place among what was deleted", async () => {
  const { overwritten, kept, settled } = watch({
    past: async () => [textObject("theirs", "a"), textObject("same", "b")],
  });
  const over = printOf("none") + printOf("same");
  const meta = { tab: "t", seen: 10, epoch: "e", over };
  overwritten.acknowledged([
    { op_id: "OP", type: "object.delete", object_ids: ["a", "b", "c"], meta, revision: 20 },
  ]);
  await settled();
  expect(kept).toEqual([{ kept_id: "kept-op-0", text: "theirs" }]);
});

test("a revision that was seen in another epoch tells nothing, the text does", async () => {
  const { overwritten, kept, asked, settled } = watch({ past: async () => [textObject("theirs")] });
  overwritten.see([
    op(50, { by: "bob", text: "theirs", over: "none", id: "b" }),
    op(51, { by: "me", text: "mine", over: "none", id: "b", seen: 100, epoch: "before" }),
    op(52, { by: "me", text: "mine", over: "none", seen: 100, epoch: "before" }),
  ]);
  await settled();
  expect(kept).toEqual([
    { kept_id: "kept-op-51", text: "theirs" },
    { kept_id: "kept-op-52", text: "theirs" },
  ]);
  expect(asked.mock.calls).toEqual([[51]]);
});

test("what was known before a gap in the log is not taken for what is there", async () => {
  const { overwritten, kept, settled } = watch();
  overwritten.see([op(11, { by: "me", text: "mine", over: "none" })]);
  // Somebody who saw it has changed it meanwhile.
  overwritten.see([op(9_001, { by: "bob", text: "theirs", over: "other", seen: 10 })]);
  await settled();
  expect(kept).toEqual([]);
});

test("what is remembered no more, because others came after it, is looked up", async () => {
  const { overwritten, kept, asked, settled } = watch({
    past: async () => [textObject("theirs")],
    revision: 9_000,
  });
  const others = Array.from({ length: MAX_KNOWN }, (_, nth) =>
    op(12 + nth, { by: "bob", text: "x", id: `o${nth}`, over: "" }),
  );
  const last = 12 + MAX_KNOWN;
  overwritten.see([
    op(11, { by: "bob", text: "theirs", over: "none" }),
    ...others,
    op(last, { by: "me", text: "mine", over: "none", seen: 10 }),
  ]);
  await settled();
  expect(asked.mock.calls).toEqual([[last - 1]]);
  expect(kept).toEqual([{ kept_id: `kept-op-${last}`, text: "theirs" }]);
});

test("a past that cannot be had now is asked for when the server is in reach again, and one that never can is not", async () => {
  let error: unknown = "later";
  const { overwritten, kept, asked, settled } = watch({
    past: async () => {
      if (error !== undefined) throw error;
      return [textObject("theirs")];
    },
  });
  overwritten.acknowledged([own(20, { text: "mine", over: "none", seen: 10 })]);
  await settled();
  overwritten.look();
  await settled();
  expect(asked).toHaveBeenCalledTimes(1);
  error = undefined;
  overwritten.retry();
  await settled();
  expect(kept).toHaveLength(1);
  error = "never";
  overwritten.acknowledged([own(30, { text: "mine", over: "none", seen: 10 })]);
  await settled();
  error = undefined;
  overwritten.retry();
  await settled();
  expect(asked).toHaveBeenCalledTimes(3);
});

test("what a page could not look up before it was closed is looked up the next time", async () => {
  const mine = own(9_001, { text: "mine", over: "none", seen: 10 });
  const closed = watch({ past: () => new Promise(() => {}), revision: 9_001 });
  closed.overwritten.acknowledged([mine]);
  await closed.settled();
  expect(closed.asked).toHaveBeenCalledTimes(1);
  const past = async () => [textObject("theirs")];

  const others = watch({ past, revision: 9_001, store: () => new DueStore("d", "bob") });
  others.overwritten.look();
  await others.settled();
  expect(others.asked).not.toHaveBeenCalled();

  let store: DueStore | undefined;
  const next = watch({ past, revision: 10, store: () => store });
  next.overwritten.look();
  store = new DueStore("d", "me");
  next.overwritten.look();
  await next.settled();
  expect(next.asked).not.toHaveBeenCalled();
  next.at.revision = 9_001;
  next.overwritten.look();
  await next.settled();
  expect(next.kept).toEqual([{ kept_id: "kept-op-9001", text: "theirs" }]);
  expect(store.load().size).toBe(0);
});

test("what is not asked for again, or comes in the log, is not kept either", async () => {
  const store = new DueStore("d", "me");
  const { overwritten, at, settled } = watch({
    past: async () => {
      throw "gone";
    },
    revision: 10,
  });
  overwritten.acknowledged([own(11, { text: "mine", over: "none", seen: 10 })]);
  overwritten.acknowledged([own(12, { text: "mine", over: "none", seen: 10, id: "b" })]);
  expect(store.load().size).toBe(2);
  overwritten.see([
    op(10, { by: "bob", text: "none", over: "" }),
    op(11, { by: "me", text: "mine", over: "none", seen: 10 }),
  ]);
  expect([...store.load().keys()]).toEqual(["op-12"]);
  at.revision = 12;
  overwritten.look();
  await settled();
  expect(store.load().size).toBe(0);
});

test("what is too old, or cannot be read, is forgotten", () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const store = new DueStore("d", "me");
  store.keep({ op: own(2, { text: "mine", over: "" }), revision: 2 });
  localStorage.setItem("revcast.due.d.me.x", "{");
  localStorage.setItem("revcast.other", "{");
  expect([...store.load().keys()]).toEqual(["op-2"]);
  vi.setSystemTime(Date.now() + 31 * 24 * 3_600_000);
  expect(new DueStore("other", "bob").load().size).toBe(0);
  expect(Object.keys(localStorage)).toEqual(["revcast.other"]);
  vi.useRealTimers();
});
