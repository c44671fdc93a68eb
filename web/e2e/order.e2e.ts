// What is in front of what: of many objects at once, and as both people see it.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { newId } from "../src/id.js";
import type { Artist } from "./support/artist.js";
import { World } from "./support/world.js";

let world: World;

beforeAll(async () => {
  world = await World.open();
});
afterEach(() => world.leave());
afterAll(() => world.close());

const MANY = 1_000;
/** Nearly as long as the server takes. */
const LONG = "z".repeat(250);
const OPS_OF_REQUEST = 500;

/** The ids of the objects, from the back to the front, as the server tells this person. */
async function order({ world: { testbed }, person }: Artist, drawing: string): Promise<string[]> {
  const path = `/v1/drawings/${drawing}/snapshot?view=only`;
  const { view } = await testbed.call<{ view: { objects: { object_id: string }[] } }>(person, "GET", path);
  return view.objects.map(({ object_id }) => object_id);
}

test("a thousand objects with long keys come to the front and to the back, as often as one likes", async () => {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  // Those that stay lie apart, and between the others.
  const objects = Array.from({ length: MANY + 8 }, (_, nth) => ({
    id: newId(),
    isChosen: nth % (MANY / 8) !== 60,
    nth,
  }));
  const ops = objects.map(({ id, isChosen, nth }) => ({
    op_id: newId(),
    type: "object.create",
    object_id: id,
    kind: "rect",
    z: LONG,
    props: {
      x: isChosen ? (nth % 100) * 4 : 700,
      y: Math.floor(nth / 100) * 30,
      width: 3,
      height: 20,
      fill: "#1971c2",
    },
  }));
  for (let from = 0; from < ops.length; from += OPS_OF_REQUEST) {
    await world.testbed.commit(alice.person, drawing, ops.slice(from, from + OPS_OF_REQUEST));
  }
  const chosen = objects.filter(({ isChosen }) => isChosen).map(({ id }) => id);
  const rest = objects.filter(({ isChosen }) => !isChosen).map(({ id }) => id);
  expect(await order(alice, drawing)).toEqual(objects.map(({ id }) => id));

  await alice.open(drawing);
  const { page } = alice;
  await page.keyboard.press("v");
  await page.keyboard.press("Shift+Digit1");
  // A frame around all but the column on the right.
  await alice.draw([150, 130], [760, 560]);
  await alice.says("selection-bar", new RegExp(`\\b${chosen.length} selected`));
  for (const [button, expected] of [
    ["Bring to front", [...rest, ...chosen]],
    ["Send to back", [...chosen, ...rest]],
    ["Bring to front", [...rest, ...chosen]],
  ] as const) {
    await page.getByRole("button", { name: button }).click();
    await alice.isSaved();
    expect(await order(bob, drawing)).toEqual(expected);
  }
  await page.keyboard.press("Control+z");
  await alice.isSaved();
  expect(await order(bob, drawing)).toEqual([...chosen, ...rest]);
});

test("to the front and to the back is one step of undo, and what is there already is none", async () => {
  const alice = await world.artist("Alice");
  await alice.create();
  for (const x of [200, 500]) {
    await alice.page.keyboard.press("r");
    await alice.draw([x, 200], [x + 200, 400]);
  }
  const front = alice.page.getByRole("button", { name: "Bring to front" });
  await front.click();
  await alice.isSaved();
  expect((await alice.log()).map(({ type }) => type)).toEqual(["object.create", "object.create"]);
  await alice.page.mouse.click(200, 300);
  await front.click();
  await front.click();
  await alice.page.keyboard.press("Control+z");
  await alice.isSaved();
  expect((await alice.log()).map(({ type }) => type).slice(2)).toEqual(["object.update", "undo"]);
});
