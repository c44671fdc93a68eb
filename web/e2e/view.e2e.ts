// What of the drawing is in view: something of it at the start, the way back to it, and as sharp as the screen is.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { newId } from "../src/id.js";
import { type Artist, eventually } from "./support/artist.js";
import { World } from "./support/world.js";

let world: World;

beforeAll(async () => {
  world = await World.open();
});
afterEach(() => world.leave());
afterAll(() => world.close());

/** Puts filled squares on a drawing, each where it is told. */
async function putSquares(artist: Artist, drawing: string, places: readonly (readonly [number, number])[]) {
  const ops = places.map(([x, y]) => ({
    op_id: newId(),
    type: "object.create",
    object_id: newId(),
    kind: "rect",
    props: { x, y, width: 400, height: 400, fill: "#e03131" },
  }));
  await world.testbed.commit(artist.person, drawing, ops);
}

test("a drawing whose objects lie far apart opens on some of them, for whoever opens it", async () => {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  const drawing = await alice.create();
  await putSquares(alice, drawing, [
    [0, 0],
    [60_000, 0],
    [60_500, 300],
  ]);
  await alice.open(drawing);
  await bob.join(alice, drawing);
  for (const artist of [alice, bob]) {
    await eventually(async () => expect(await artist.ink()).toBeGreaterThan(5_000));
    expect(await artist.find("back-to-drawing").count()).toBe(0);
    await artist.page.keyboard.press("Shift+Digit1");
    await artist.says("notice", /a part/i);
    expect(await artist.ink()).toBeGreaterThan(5_000);
  }
});

test("who has lost sight of the drawing is led back to it, and not who sees some of it", async () => {
  const [alice, vera] = await Promise.all([world.artist("Alice"), world.artist("Vera")]);
  const drawing = await alice.create();
  expect(await alice.find("back-to-drawing").count()).toBe(0);
  await putSquares(alice, drawing, [[0, 0]]);
  await vera.join(alice, drawing, "viewer");
  for (const artist of [alice, vera]) {
    await eventually(async () => expect(await artist.ink()).toBeGreaterThan(5_000));
    await artist.page.mouse.move(550, 350);
    await artist.page.mouse.wheel(3_000, 3_000);
    await artist.find("back-to-drawing").waitFor();
    expect(await artist.ink()).toBe(0);
    await artist.find("back-to-drawing").click();
    await eventually(async () => expect(await artist.ink()).toBeGreaterThan(5_000));
    await artist.find("back-to-drawing").waitFor({ state: "detached" });
  }
  // What somebody else deletes is nothing to be led back to.
  await vera.page.mouse.wheel(3_000, 3_000);
  await vera.find("back-to-drawing").waitFor();
  await alice.page.keyboard.press("Control+a");
  await alice.page.keyboard.press("Delete");
  await vera.find("back-to-drawing").waitFor({ state: "detached" });
});

test("on a screen with smaller pixels the drawing is painted with smaller pixels, without loading it again", async () => {
  const alice = await world.artist("Alice");
  await alice.create();
  await alice.draw([300, 300], [600, 300]);
  const one = await alice.steadyInk();
  const session = await alice.context.newCDPSession(alice.page);
  const be = async (deviceScaleFactor: number) => {
    const metrics = { width: 1100, height: 700, deviceScaleFactor, mobile: false };
    await session.send("Emulation.setDeviceMetricsOverride", metrics);
    // As a screen of its own would, this has the browser look at the queries for media.
    const colorScheme = deviceScaleFactor === 1.5 ? "light" : "dark";
    await alice.page.emulateMedia({ colorScheme });
  };
  const width = () => alice.find("canvas-still").evaluate((canvas) => (canvas as HTMLCanvasElement).width);
  for (const [ratio, pixels] of [
    [2, 2_200],
    [1.5, 1_650],
    [1, 1_100],
  ] as const) {
    await be(ratio);
    await expect.poll(width, { timeout: 15_000 }).toBe(pixels);
    await alice.seesInk(one * ratio * ratio);
  }
});
