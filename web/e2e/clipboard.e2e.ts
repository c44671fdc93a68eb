// What is copied, cut, pasted and dropped: everything that was asked for arrives, and nothing else does.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Artist, eventually } from "./support/artist.js";
import { World } from "./support/world.js";

let world: World;

beforeAll(async () => {
  world = await World.open();
});
afterEach(() => world.leave());
afterAll(() => world.close());

interface Seen {
  readonly object_id: string;
  readonly kind: string;
  readonly props: Readonly<Record<string, unknown>>;
  readonly points?: readonly unknown[];
}

/** What is on a drawing, as the server has it. */
async function objects(artist: Artist, drawing = artist.drawingId): Promise<readonly Seen[]> {
  const path = `/v1/drawings/${drawing}/snapshot?view=only`;
  const answer = await world.testbed.call<{ view: { objects: Seen[] } }>(artist.person, "GET", path);
  return answer.view.objects;
}

async function mayUseClipboard({ context }: Artist): Promise<void> {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
}

/** A rectangle, a stroke and a text. */
async function drawSome(artist: Artist): Promise<void> {
  const { keyboard, mouse } = artist.page;
  await artist.draw([450, 400], [600, 420]);
  await keyboard.press("r");
  await artist.draw([400, 300], [600, 450]);
  await keyboard.press("t");
  await mouse.click(420, 330);
  await artist.find("writing").waitFor();
  await keyboard.type("Hello");
  await keyboard.press("Escape");
  await artist.isSaved();
}

/** The kinds of objects and all that is told of them, but for their names. */
function looks(seen: readonly Seen[]) {
  return seen.map(({ kind, props, points }) => ({ kind, props, points }));
}

test("objects are copied from one drawing to another one, with all that they are, and others see them", async () => {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  await mayUseClipboard(alice);
  const first = await alice.create();
  // What was there before, and is nobody's business.
  await alice.page.evaluate(() => navigator.clipboard.writeText("a secret"));
  await drawSome(alice);
  await alice.page.keyboard.press("Control+a");
  await alice.page.keyboard.press("Control+c");
  // Other programs get the words.
  expect(await alice.page.evaluate(() => navigator.clipboard.readText())).toBe("Hello");

  const second = await alice.create();
  await bob.join(alice, second);
  // The page listens before the key is pressed: the two ways into it are not in order.
  const pasted = await alice.page.evaluateHandle(() => {
    const types = new Promise<readonly string[]>((resolve) => {
      const listener = ({ clipboardData }: ClipboardEvent) => resolve([...(clipboardData?.types ?? [])]);
      addEventListener("paste", listener, { capture: true, once: true });
    });
    return { types };
  });
  await alice.page.keyboard.press("Control+v");
  // Other pages get a picture.
  expect(await pasted.evaluate(({ types }) => types)).toContain("image/svg+xml");
  await alice.find("selection-bar").waitFor();
  await eventually(async () => expect(await objects(alice)).toHaveLength(3));
  const [from, to] = [await objects(alice, first), await objects(alice)];
  expect(looks(to).map(({ kind }) => kind)).toEqual(looks(from).map(({ kind }) => kind));
  expect(JSON.stringify(to)).not.toContain("secret");
  await alice.page.keyboard.press("Escape");
  await bob.seesInk(await alice.steadyInk());
  // It is one step.
  await alice.find("undo").click();
  await eventually(async () => expect(await bob.ink()).toBe(0));
});

test("where the browser keeps nothing but HTML and words, objects are pasted as objects all the same", async () => {
  const alice = await world.artist("Alice");
  const first = await alice.create();
  await drawSome(alice);
  await alice.page.keyboard.press("Control+a");
  await alice.find("selection-bar").waitFor();
  const copied = await alice.page.evaluate(() => {
    const clipboardData = new DataTransfer();
    document.body.dispatchEvent(new ClipboardEvent("copy", { clipboardData, bubbles: true }));
    return clipboardData.getData("text/html");
  });
  await alice.create();
  await alice.page.evaluate((markup) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", "Hello");
    clipboardData.setData("text/html", markup);
    document.body.dispatchEvent(
      new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }),
    );
  }, copied);
  await eventually(async () => expect(await objects(alice)).toHaveLength(3));
  const [from, to] = [await objects(alice, first), await objects(alice)];
  expect(looks(to).map(({ kind }) => kind)).toEqual(looks(from).map(({ kind }) => kind));
});

test("a paste beside what is copied is a little off it, and what was cut comes back where it was", async () => {
  const alice = await world.artist("Alice");
  await mayUseClipboard(alice);
  await alice.create();
  await alice.page.keyboard.press("r");
  await alice.draw([400, 300], [600, 450]);
  await alice.find("selection-bar").waitFor();
  const [rect] = await eventually(async () => {
    const seen = await objects(alice);
    expect(seen).toHaveLength(1);
    return seen;
  });
  const x = Number(rect?.props.x);
  await alice.page.keyboard.press("Control+c");
  for (let nth = 0; nth < 2; nth += 1) await alice.page.keyboard.press("Control+v");
  await eventually(async () => {
    expect((await objects(alice)).map(({ props }) => props.x)).toEqual([x, x + 16, x + 32]);
  });
  await alice.page.keyboard.press("Control+a");
  await alice.page.keyboard.press("Control+x");
  await eventually(async () => expect(await objects(alice)).toEqual([]));
  await alice.page.keyboard.press("Control+v");
  await eventually(async () => {
    expect((await objects(alice)).map(({ props }) => props.x)).toEqual([x, x + 16, x + 32]);
  });
  const second = alice.page.getByTestId("selection-bar");
  expect(await second.textContent()).toMatch(/3 selected/);
});

test("a picture that is copied as SVG is pasted as one", async () => {
  const alice = await world.artist("Alice");
  await alice.create();
  await pasteEvent(alice, `<?xml version="1.0"?>\n${SVG}`);
  await eventually(async () => expect((await objects(alice)).map(({ kind }) => kind)).toEqual(["image"]));
});

test("fields keep their own copy and paste", async () => {
  const alice = await world.artist("Alice");
  await mayUseClipboard(alice);
  await alice.create();
  await alice.page.keyboard.press("r");
  await alice.draw([400, 300], [600, 450]);
  await alice.find("title").click();
  await eventually(async () => expect(await alice.find("title").inputValue()).toBe("Untitled"));
  await alice.page.keyboard.press("Control+a");
  await alice.page.keyboard.press("Control+c");
  expect(await alice.page.evaluate(() => navigator.clipboard.readText())).toBe("Untitled");
  await alice.page.keyboard.press("End");
  await alice.page.keyboard.press("Control+v");
  expect(await alice.find("title").inputValue()).toBe("UntitledUntitled");
});

/** A paste as browsers on Linux make it of the middle button; or, without one, as a menu does. */
async function pasteEvent(artist: Artist, text: string): Promise<void> {
  await artist.page.evaluate((words) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", words);
    const target = document.activeElement ?? document.body;
    target.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
  }, text);
}

test("the middle button moves the paper and pastes nothing", async () => {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  await alice.page.mouse.move(400, 300);
  await alice.page.mouse.down({ button: "middle" });
  await alice.drag([400, 300], [500, 350]);
  await alice.page.mouse.up({ button: "middle" });
  await pasteEvent(alice, "a secret");
  await alice.page.keyboard.press("Shift");
  await pasteEvent(alice, "meant for all");
  await eventually(async () => {
    expect((await objects(bob)).map(({ props }) => props.text)).toEqual(["meant for all"]);
  });
});

/** Drops files on the middle of the drawing: pictures by their colour, others by their type and what is in them. */
async function drop(artist: Artist, files: readonly { name: string; type: string; content: string }[]) {
  await artist.page.evaluate(async (wanted) => {
    const transfer = new DataTransfer();
    for (const { name, type, content } of wanted) {
      if (type !== "image/png") {
        transfer.items.add(new File([content], name, { type }));
        continue;
      }
      const canvas = new OffscreenCanvas(300, 200);
      const ctx = canvas.getContext("2d");
      if (ctx === null) throw new Error("no canvas");
      ctx.fillStyle = content;
      ctx.fillRect(0, 0, 300, 200);
      transfer.items.add(new File([await canvas.convertToBlob()], name, { type }));
    }
    const place = { clientX: 550, clientY: 350, bubbles: true };
    const event = new DragEvent("drop", { ...place, dataTransfer: transfer });
    document.querySelector(".stage")?.dispatchEvent(event);
  }, files);
}

const SVG =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20"><rect width="40" height="20"/></svg>';

test("of several files that are dropped all images arrive, and there is a word for each of the others", async () => {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  await drop(alice, [
    { name: "red.png", type: "image/png", content: "#ff0000" },
    { name: "report.pdf", type: "application/pdf", content: "%PDF-1.7" },
    { name: "lines.svg", type: "image/svg+xml", content: SVG },
    { name: "broken.jpg", type: "image/jpeg", content: "no picture" },
    { name: "blue.png", type: "image/png", content: "#0000ff" },
    { name: "broken.svg", type: "image/svg+xml", content: "<svg" },
  ]);
  await alice.says("notice", /3 of 6 files were left out/);
  for (const word of [
    /“report\.pdf”: it is no image/,
    /“broken\.jpg”: this browser/,
    /“broken\.svg”: it is no/,
  ]) {
    await alice.says("notice", word);
  }
  await alice.says("selection-bar", /3 selected/);
  const seen = await eventually(async () => {
    const all = await objects(alice);
    expect(all).toHaveLength(3);
    return all;
  });
  // Beside each other, each as broad as it is high.
  const boxes = seen.map(({ props }) => [props.x, props.y, props.width, props.height].map(Number));
  expect(new Set(boxes.map(([x, y]) => `${x}/${y}`)).size).toBe(3);
  expect(boxes.map(([, , width = 0, height = 1]) => (width / height).toFixed(1))).toEqual([
    "1.5",
    "2.0",
    "1.5",
  ]);
  await alice.page.keyboard.press("Escape");
  await bob.seesInk(await alice.steadyInk());
  await alice.find("undo").click();
  await eventually(async () => expect(await bob.ink()).toBe(0));
  // To say that a file is no SVG, the browser makes a page about it, whose styles the policy of ours forbids. Nobody sees it.
  const { mishaps } = alice;
  for (const mishap of mishaps.splice(0)) expect(mishap).toMatch(/^Applying inline style violates/);
});

test("a file that is no image is told of, and a viewer is told why nothing comes of a drop", async () => {
  const [alice, vera] = await Promise.all([world.artist("Alice"), world.artist("Vera")]);
  const drawing = await alice.create();
  await drop(alice, [{ name: "report.pdf", type: "application/pdf", content: "%PDF-1.7" }]);
  await alice.says("notice", /left out.*report\.pdf/);
  await vera.join(alice, drawing, "viewer");
  await vera.says("role-badge", /view/i);
  await drop(vera, [{ name: "red.png", type: "image/png", content: "#ff0000" }]);
  await vera.says("notice", /not change it/);
});
