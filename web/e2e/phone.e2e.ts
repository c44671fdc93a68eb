// The whiteboard on a telephone: small, and drawn on with a finger.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { eventually } from "./support/artist.js";
import { World } from "./support/world.js";

let world: World;

beforeAll(async () => {
  world = await World.open();
});
afterEach(() => world.leave());
afterAll(() => world.close());

test("a finger draws what a desktop sees", async () => {
  const [alice, phone] = await Promise.all([world.artist("Alice"), world.artist("Phone", { isPhone: true })]);
  const drawing = await alice.create();
  await phone.join(alice, drawing);
  await phone.touch([90, 300], [300, 300]);
  await phone.isSaved();
  // A pixel of the page is four of this telephone.
  await alice.seesInk((await phone.steadyInk()) / 4);
  const log = await alice.log();
  expect(log.map(({ type }) => type)).toContain("stroke.end");
});

test("a stroke that the system takes the finger from stays: others have seen it", async () => {
  const [alice, phone] = await Promise.all([world.artist("Alice"), world.artist("Phone", { isPhone: true })]);
  const drawing = await alice.create();
  await phone.join(alice, drawing);
  const session = await phone.context.newCDPSession(phone.page);
  const touch = (type: "touchStart" | "touchMove" | "touchCancel", x?: number) =>
    session.send("Input.dispatchTouchEvent", { type, touchPoints: x === undefined ? [] : [{ x, y: 300 }] });
  await touch("touchStart", 90);
  for (let x = 100; x <= 300; x += 10) await touch("touchMove", x);
  const ink = await phone.steadyInk();
  await alice.seesInk(ink / 4);
  await touch("touchCancel");
  await eventually(async () => {
    expect((await alice.log()).map(({ type }) => type)).toContain("stroke.end");
  });
  await phone.isSaved();
  expect((await alice.log()).map(({ type }) => type)).not.toContain("object.delete");
  await alice.seesInk(ink / 4);
});

test("the page does not scroll, and fits", async () => {
  const phone = await world.artist("Phone", { isPhone: true });
  await phone.create();
  await phone.touch([200, 600], [200, 200]);
  const page = await phone.page.evaluate(() => ({
    top: window.scrollY,
    width: document.documentElement.scrollWidth,
  }));
  expect(page).toEqual({ top: 0, width: 390 });
  for (const tool of ["tool-pen", "tool-select", "undo"]) {
    const box = await phone.find(tool).boundingBox();
    expect(box?.x, tool).toBeGreaterThanOrEqual(0);
    expect((box?.x ?? 0) + (box?.width ?? 999), tool).toBeLessThanOrEqual(390);
  }
});
