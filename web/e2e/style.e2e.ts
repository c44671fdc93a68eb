// The panel of colours and widths is about the selection, and where there is none about what is drawn next.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Artist, eventually } from "./support/artist.js";
import { World } from "./support/world.js";

let world: World;

beforeAll(async () => {
  world = await World.open();
});
afterEach(() => world.leave());
afterAll(() => world.close());

/** Which buttons of the panel are pressed. */
function pressed({ page }: Artist): Promise<string[]> {
  return page
    .locator("[data-testid=style-panel] [aria-pressed=true]")
    .evaluateAll((all) => all.map((it) => it.getAttribute("aria-label") ?? ""));
}

async function drawRectangle(artist: Artist, x: number): Promise<void> {
  await artist.page.keyboard.press("r");
  await artist.draw([x, 200], [x + 150, 300]);
  await artist.find("selection-bar").waitFor();
}

test("the panel shows and changes what is selected, and the tool where nothing is", async () => {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  await alice.find("style-button").click();
  await alice.find("colour-e03131").click();
  await alice.find("width-8").click();
  await alice.page.keyboard.press("Escape");
  await drawRectangle(alice, 200);
  await alice.find("style-button").click();
  expect(await pressed(alice)).toEqual(["Red", "Thick"]);
  expect(await alice.find("highlighter").count()).toBe(0);
  await alice.find("colour-1971c2").click();
  await alice.find("width-2").click();
  await alice.find("fill").check();
  await eventually(async () => expect(await pressed(alice)).toEqual(["Blue", "Thin"]));

  // The tool draws as before.
  await alice.page.keyboard.press("Escape");
  await alice.page.keyboard.press("Escape");
  await alice.find("style-button").click();
  expect(await pressed(alice)).toEqual(["Red", "Thick"]);
  expect(await alice.find("fill").isChecked()).toBe(false);
  await alice.page.keyboard.press("Escape");
  await drawRectangle(alice, 500);
  await alice.isSaved();
  const drawn = (await alice.log()).filter(({ type }) => type === "object.create");
  expect(drawn.map((op) => (op as unknown as { props: unknown }).props)).toMatchObject([
    { stroke: "#e03131", strokeWidth: 8 },
    { stroke: "#e03131", strokeWidth: 8 },
  ]);

  // Of what differs nothing is pressed, until it is made equal.
  await alice.page.keyboard.press("Control+a");
  await alice.find("style-button").click();
  await eventually(async () => expect(await pressed(alice)).toEqual([]));
  await alice.find("colour-2f9e44").click();
  await eventually(async () => expect(await pressed(alice)).toEqual(["Green"]));
  // What somebody else does to the selection is seen, too.
  await bob.page.keyboard.press("Control+a");
  await bob.find("style-button").click();
  await eventually(async () => expect(await pressed(bob)).toEqual(["Green"]));
  await bob.find("colour-d6336c").click();
  await eventually(async () => expect(await pressed(alice)).toEqual(["Pink"]));
  // One step of undo for both.
  await bob.page.keyboard.press("Control+z");
  await eventually(async () => expect(await pressed(alice)).toEqual(["Green"]));
});
