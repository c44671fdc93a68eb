// Who may not draw does not, and the page says why.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { eventually } from "./support/artist.js";
import { World } from "./support/world.js";

let world: World;

beforeAll(async () => {
  world = await World.open();
});
afterEach(() => world.leave());
afterAll(() => world.close());

test("a viewer sees, and cannot draw", async () => {
  const [alice, vera] = await Promise.all([world.artist("Alice"), world.artist("Vera")]);
  const drawing = await alice.create();
  await vera.join(alice, drawing, "viewer");
  await vera.says("role-badge", /view/i);
  await alice.draw([300, 200], [600, 200]);
  const one = await alice.steadyInk();
  await vera.seesInk(one);
  await vera.draw([300, 300], [600, 300]);
  await alice.draw([300, 400], [600, 400]);
  for (const artist of [alice, vera]) await artist.seesInk(2 * one);
  await alice.isSaved();
  expect((await alice.log()).map(({ actor }) => actor)).not.toContain(vera.person.sub);
});

test("a viewer who becomes an editor can draw at once", async () => {
  const [alice, vera] = await Promise.all([world.artist("Alice"), world.artist("Vera")]);
  const drawing = await alice.create();
  await vera.join(alice, drawing, "viewer");
  await vera.says("role-badge", /view/i);
  await world.testbed.setRole(alice.person, drawing, vera.person.sub, "editor");
  await eventually(async () => {
    const badge = vera.find("role-badge");
    expect((await badge.count()) === 0 ? "" : await badge.textContent()).not.toMatch(/view/i);
  });
  await vera.draw([300, 300], [600, 300]);
  const one = await vera.steadyInk();
  await alice.seesInk(one);
});

test("who loses the drawing in the middle of a stroke is told, and commits nothing more", async () => {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  await bob.press([300, 300]);
  await bob.drag([300, 300], [450, 300]);
  await eventually(async () => expect((await alice.log(drawing)).length).toBeGreaterThan(0));
  await world.testbed.setRole(alice.person, drawing, bob.person.sub, null);
  await bob.page.getByText("You no longer have access").waitFor();
  const { length } = await alice.log(drawing);
  await bob.drag([450, 300], [600, 300]);
  await bob.page.mouse.up();
  await bob.draw([300, 400], [600, 400]);
  // What Alice draws now comes after what Bob could still have sent.
  await alice.draw([300, 200], [600, 200]);
  await alice.isSaved();
  const after = (await alice.log(drawing)).slice(length);
  expect(new Set(after.map(({ actor }) => actor))).toEqual(new Set([alice.person.sub]));
});
