// What a gesture does, and what one does that is not finished.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Artist, eventually } from "./support/artist.js";
import { World } from "./support/world.js";

let world: World;

beforeAll(async () => {
  world = await World.open();
});
afterEach(() => world.leave());
afterAll(() => world.close());

/** Draws a rectangle with nothing in it, 200 by 150 pixels from 400, 300. */
async function drawRectangle(artist: Artist): Promise<void> {
  await artist.page.keyboard.press("r");
  await artist.draw([400, 300], [600, 450]);
  await artist.find("selection-bar").waitFor();
}

/** The types of the ops in the log of the drawing. */
async function types(artist: Artist): Promise<string[]> {
  await artist.isSaved();
  return (await artist.log()).map(({ type }) => type);
}

test("a click selects what is under it, not what is around it", async () => {
  const alice = await world.artist("Alice");
  await alice.create();
  await drawRectangle(alice);
  await alice.page.mouse.click(500, 375);
  await alice.find("selection-bar").waitFor({ state: "detached" });
  await alice.page.mouse.click(400, 375);
  await alice.find("selection-bar").waitFor();
});

test("a selection is dragged by its inside, and an arrow key that is held down is one undo", async () => {
  const alice = await world.artist("Alice");
  await alice.create();
  await drawRectangle(alice);
  await alice.draw([500, 375], [550, 375]);
  for (let nth = 0; nth < 10; nth += 1) await alice.page.keyboard.down("ArrowRight");
  await alice.page.keyboard.up("ArrowRight");
  await alice.page.keyboard.press("Control+z");
  await alice.page.keyboard.press("Control+z");
  await alice.page.keyboard.press("Control+z");
  await alice.isSaved();
  const log = await alice.log();
  expect(log.slice(-3).map(({ type }) => type)).toEqual(["undo", "undo", "undo"]);
  expect(log.at(-1)).toMatchObject({ unit: log[0]?.op_id });
});

test("a stroke that is resized is the same stroke, and undo gives it its size back", async () => {
  const alice = await world.artist("Alice");
  await alice.create();
  await alice.draw([300, 300], [400, 400]);
  const one = await alice.steadyInk();
  await alice.page.keyboard.press("v");
  await alice.page.mouse.click(350, 350);
  // The frame stands a little off what is in it.
  await alice.draw([407, 407], [614, 614]);
  // The frame is ink, too.
  await alice.page.keyboard.press("Escape");
  await alice.seesInk(3 * one);
  await alice.isSaved();
  const log = await alice.log();
  expect(log.slice(-2).map(({ type }) => type)).toEqual(["stroke.end", "object.update"]);
  expect(log.at(-1)).toMatchObject({ object_id: (log[0] as { object_id?: string }).object_id });
  await alice.page.keyboard.press("Control+z");
  await alice.seesInk(one);
});

test("an eraser that is abandoned has erased nothing", async () => {
  const alice = await world.artist("Alice");
  await alice.create();
  await alice.draw([300, 300], [600, 300]);
  const one = await alice.steadyInk();
  await alice.page.keyboard.press("e");
  await alice.press([400, 250]);
  await alice.drag([400, 250], [400, 350]);
  await eventually(async () => expect(await alice.ink()).toBeLessThan(one / 2));
  await alice.page.keyboard.press("Escape");
  await alice.page.mouse.up();
  await alice.seesInk(one);
  expect(await types(alice)).not.toContain("object.delete");
});

test("undo in the middle of a stroke takes back the stroke alone", async () => {
  const alice = await world.artist("Alice");
  await alice.create();
  await alice.draw([300, 300], [600, 300]);
  const one = await alice.steadyInk();
  await alice.press([300, 400]);
  await alice.drag([300, 400], [600, 400]);
  await alice.page.keyboard.press("Control+z");
  await alice.page.mouse.up();
  await alice.seesInk(one);
  expect(await types(alice)).not.toContain("undo");
});

test("a button that is let go where nobody sees it ends the stroke where it was left", async () => {
  const alice = await world.artist("Alice");
  await alice.create();
  await alice.press([300, 300]);
  await alice.drag([300, 300], [600, 300]);
  const one = await alice.steadyInk();
  // As when the page comes back after the button was let go on another one.
  await alice.page.evaluate(() => {
    const place = { clientX: 600, clientY: 500, bubbles: true };
    const move = new PointerEvent("pointermove", {
      ...place,
      pointerId: 1,
      pointerType: "mouse",
      buttons: 0,
    });
    document.querySelector(".stage")?.dispatchEvent(move);
  });
  await alice.drag([600, 500], [300, 500]);
  await alice.page.mouse.up();
  await alice.seesInk(one);
  expect(await types(alice)).toContain("stroke.end");
  await alice.draw([300, 400], [600, 400]);
  await alice.seesInk(2 * one);
});

test("a text that is written beyond the edge pushes nothing about", async () => {
  const alice = await world.artist("Alice");
  await alice.create();
  await alice.page.keyboard.press("t");
  await alice.page.mouse.click(950, 500);
  await alice.find("writing").waitFor();
  await alice.page.keyboard.type("a line that is far too long for what is left of the screen");
  await eventually(async () => {
    const box = await alice.find("writing").boundingBox();
    expect(box && box.x + box.width).toBeGreaterThan(1100);
  });
  await alice.page.keyboard.type("!");
  const scrolled = await alice.page.evaluate(
    () =>
      [...document.querySelectorAll("*")].filter((it) => it.scrollLeft > 0 && it.tagName !== "TEXTAREA")
        .length,
  );
  expect(scrolled).toBe(0);
});
