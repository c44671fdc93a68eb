// Several people at one drawing, and one person at several pages.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { colourOfUser } from "../src/presence/colour.js";
import { type Artist, eventually } from "./support/artist.js";
import { World } from "./support/world.js";

let world: World;

beforeAll(async () => {
  world = await World.open();
});
afterEach(() => world.leave());
afterAll(() => world.close());

test("two people draw together, and both see both", async () => {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  await alice.draw([300, 250], [600, 250]);
  const one = await alice.steadyInk();
  await bob.seesInk(one);
  await bob.draw([300, 400], [600, 400]);
  await bob.seesInk(2 * one);
  await alice.seesInk(2 * one);
  await Promise.all([alice.isSaved(), bob.isSaved()]);
  const actors = new Set((await alice.log()).map(({ actor }) => actor));
  expect(actors).toEqual(new Set([alice.person.sub, bob.person.sub]));
});

test("a stroke is seen while it is being drawn", async () => {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  await alice.press([300, 300]);
  await alice.drag([300, 300], [600, 300]);
  const begun = await alice.steadyInk();
  await bob.seesInk(begun);
  await alice.page.mouse.up();
});

test("who comes late sees what was drawn before", async () => {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  const drawing = await alice.create();
  for (const y of [200, 300, 400]) await alice.draw([350, y], [650, y]);
  const all = await alice.steadyInk();
  await alice.isSaved();
  await bob.join(alice, drawing);
  await bob.seesInk(all);
});

test("undo takes back one's own, whoever drew last", async () => {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  await alice.draw([300, 250], [700, 250]);
  const long = await alice.steadyInk();
  await bob.seesInk(long);
  await bob.draw([300, 400], [400, 400]);
  const both = await bob.steadyInk();
  await alice.seesInk(both);
  // The last stroke is Bob's. Alice takes back hers.
  await alice.find("undo").click();
  await alice.seesInk(both - long);
  await bob.seesInk(both - long);
  await bob.find("undo").click();
  for (const artist of [alice, bob]) await eventually(async () => expect(await artist.ink()).toBe(0));
  await alice.find("redo").click();
  await bob.seesInk(long);
  await alice.isSaved();
  const log = await alice.log();
  for (const artist of [alice, bob]) {
    const own = log.filter(({ actor }) => actor === artist.person.sub);
    const undo = own.find(({ type }) => type === "undo");
    const units = own.filter(({ type }) => type === "stroke.begin").map((op) => op.unit ?? op.op_id);
    expect(units).toContain(undo?.unit);
  }
});

test("two tabs of one person are one in the roster, and both show the drawing", async () => {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  const first = alice.page;
  const second = await alice.open(drawing);
  await alice.draw([300, 300], [600, 300], first);
  const one = await alice.steadyInk(first);
  await alice.seesInk(one, second);
  await alice.draw([300, 400], [600, 400], second);
  await alice.seesInk(2 * one, first);
  await bob.seesInk(2 * one);
  for (const page of [first, second, bob.page]) {
    const users = page.getByTestId("roster").locator("li");
    await eventually(async () => expect(await users.count()).toBe(2));
  }
});

/** Makes them users whose colours would be the same if they were alone. */
async function becomeAlike(artists: readonly Artist[]): Promise<void> {
  const colour = colourOfUser(artists[0]?.name ?? "");
  for (const { context, name } of artists) {
    let sub = name;
    for (let nth = 0; colourOfUser(sub) !== colour; nth += 1) sub = `${name}-${nth}`;
    const guest = JSON.stringify({ sub, name });
    await context.addInitScript((kept) => {
      // The empty page before the first one has no storage.
      if (location.origin !== "null") localStorage.setItem("revcast.guest", kept);
    }, guest);
  }
}

/** The colour of each user by their name, as a page shows it in a place. */
function colours(artist: Artist, place: string): Promise<Record<string, string>> {
  return artist.page
    .locator(place)
    .evaluateAll((all) =>
      Object.fromEntries(
        all.map((it) => [
          /Alice|Bob|Carol/.exec(it.getAttribute("title") ?? it.textContent ?? "")?.[0] ?? "nobody",
          (it as HTMLElement).style.getPropertyValue("--user"),
        ]),
      ),
    );
}

test("people who are here together have colours of their own, the same on every page", async () => {
  const names = ["Alice", "Bob", "Carol"];
  const artists = await Promise.all(names.map((name) => world.artist(name)));
  const [alice, bob, carol] = artists as [Artist, Artist, Artist];
  await becomeAlike(artists);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  await carol.join(alice, drawing);
  for (const [nth, { page }] of artists.entries()) await page.mouse.move(300 + 100 * nth, 300);
  await eventually(async () => {
    const seen = await colours(alice, ".roster .avatar");
    expect(Object.keys(seen).sort()).toEqual(names);
    expect(new Set(Object.values(seen)).size).toBe(3);
    for (const artist of artists) {
      expect(await colours(artist, ".roster .avatar")).toEqual(seen);
      const { [artist.name]: _, ...others } = seen;
      expect(await colours(artist, ".cursors .cursor")).toEqual(others);
    }
  });
});

test("what somebody else deletes is not selected any more", async () => {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  for (const y of [250, 400]) await alice.draw([300, y], [600, y]);
  const both = await alice.steadyInk();
  await bob.seesInk(both);
  await alice.page.keyboard.press("Control+a");
  await alice.says("selection-bar", /\b2 selected/);
  const bobDeletes = async (y: number) => {
    await bob.page.keyboard.press("v");
    await bob.page.mouse.click(450, y);
    await bob.says("selection-bar", /\b1 selected/);
    await bob.page.keyboard.press("Delete");
  };
  await bobDeletes(250);
  await alice.says("selection-bar", /\b1 selected/);
  await bobDeletes(400);
  await alice.find("selection-bar").waitFor({ state: "detached" });
  // There is nothing that a key would still move.
  await alice.page.keyboard.press("ArrowRight");
  await alice.isSaved();
  await eventually(async () => expect((await alice.log()).at(-1)?.type).toBe("object.delete"));
});

test("the slider of the history shows what was there before", async () => {
  const alice = await world.artist("Alice");
  await alice.create();
  await alice.draw([300, 250], [600, 250]);
  const one = await alice.steadyInk();
  await alice.draw([300, 400], [600, 400]);
  await alice.seesInk(2 * one);
  await alice.isSaved();
  const log = await alice.log();
  const second = log.filter(({ type }) => type === "stroke.begin")[1]?.revision ?? 0;
  await alice.find("menu").click();
  await alice.find("history-button").click();
  const slider = alice.find("history-slider");
  await slider.fill(`${second - 1}`);
  await alice.seesInk(one);
  await alice.find("history-close").click();
  await alice.seesInk(2 * one);
});
