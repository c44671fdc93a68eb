// Keys on keyboards of other languages, and the key that leaves.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Artist, eventually } from "./support/artist.js";
import { World } from "./support/world.js";

let world: World;

beforeAll(async () => {
  world = await World.open();
});
afterEach(() => world.leave());
afterAll(() => world.close());

/** Presses a key as a keyboard of some language gives it. */
async function press(artist: Artist, key: string, code: string, modifiers = 0): Promise<void> {
  const session = await artist.context.newCDPSession(artist.page);
  for (const type of ["rawKeyDown", "keyUp"] as const) {
    await session.send("Input.dispatchKeyEvent", { type, key, code, modifiers });
  }
  await session.detach();
}

const CONTROL = 2;

test("with a Russian keyboard the same keys draw and undo, and with Dvorak and AZERTY the same letters", async () => {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  // R.
  await press(alice, "к", "KeyR");
  await alice.draw([400, 300], [600, 450]);
  await alice.find("selection-bar").waitFor();
  await press(alice, "Escape", "Escape");
  await bob.seesInk(await alice.steadyInk());
  // Ctrl Z.
  await press(alice, "я", "KeyZ", CONTROL);
  for (const artist of [alice, bob]) await eventually(async () => expect(await artist.ink()).toBe(0));
  // Ctrl ⇧ Z.
  await press(alice, "Я", "KeyZ", CONTROL + 8);
  await eventually(async () => expect(await bob.ink()).toBeGreaterThan(0));
  // What Dvorak has where E is.
  await press(alice, "p", "KeyR");
  await press(alice, ".", "KeyE");
  expect(await alice.find("tool-pen").getAttribute("aria-pressed")).toBe("true");
  // AZERTY has A where Q is, and Z where W is.
  await press(alice, "a", "KeyQ", CONTROL);
  await alice.find("selection-bar").waitFor();
  await press(alice, "z", "KeyW", CONTROL);
  await eventually(async () => expect(await bob.ink()).toBe(0));
});

test("Escape leaves the past, whatever has the focus", async () => {
  const alice = await world.artist("Alice");
  await alice.create();
  await alice.draw([300, 250], [600, 250]);
  const one = await alice.steadyInk();
  await alice.isSaved();
  for (const focus of ["history-slider", "history-play", undefined]) {
    await alice.find("menu").click();
    await alice.find("history-button").click();
    await alice.find("history-slider").fill("0");
    await eventually(async () => expect(await alice.ink()).toBe(0));
    if (focus === undefined) await alice.page.mouse.click(600, 400);
    else await alice.find(focus).focus();
    await alice.page.keyboard.press("Escape");
    await alice.find("history-slider").waitFor({ state: "detached" });
    await alice.seesInk(one);
  }
  await alice.draw([300, 400], [600, 400]);
  await alice.seesInk(2 * one);
});
