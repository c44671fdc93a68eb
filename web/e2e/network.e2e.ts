// What was drawn is never lost: not with the network, nor with the page, nor with the server.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { CommittedOp } from "../../clients/typescript/src/index.js";
import { eventually, type Place } from "./support/artist.js";
import { World } from "./support/world.js";

let world: World;

beforeAll(async () => {
  world = await World.open();
});
afterEach(() => world.leave());
afterAll(() => world.close());

/** The points of the strokes in a log, one list a stroke. */
function strokes(log: readonly CommittedOp[]): Place[][] {
  const found = new Map<string, Place[]>();
  for (const op of log) {
    if (op.type !== "stroke.begin" && op.type !== "stroke.append") continue;
    const { object_id, points } = op as unknown as { object_id: string; points: Place[] };
    found.set(object_id, [...(found.get(object_id) ?? []), ...points]);
  }
  return [...found.values()];
}

/** How far a stroke leads from where it begins. */
function span(stroke: readonly Place[] | undefined): Place {
  const [first, last] = [stroke?.[0] ?? [0, 0], stroke?.at(-1) ?? [0, 0]];
  return [Math.round(last[0] - first[0]), Math.round(last[1] - first[1])];
}

test("what is drawn offline outlives a reload, and is sent when the network is back", async () => {
  const alice = await world.artist("Alice");
  const drawing = await alice.create();
  await alice.draw([300, 200], [600, 200]);
  await alice.isSaved();
  const one = await alice.steadyInk();
  await alice.hasKept((await alice.log(drawing)).length);
  await alice.cut();
  await alice.draw([300, 300], [600, 300]);
  await alice.draw([300, 400], [600, 400]);
  await alice.seesInk(3 * one);
  await alice.says("sync-badge", /stored|device|local|offline/i);
  await alice.page.reload();
  await alice.seesInk(3 * one);
  await alice.draw([300, 500], [600, 500]);
  await alice.seesInk(4 * one);
  alice.mend();
  await alice.isSaved();
  expect(strokes(await alice.log(drawing)).map(span)).toEqual([
    [300, 0],
    [300, 0],
    [300, 0],
    [300, 0],
  ]);
  await alice.seesInk(4 * one);
});

test("without a network the first page has the drawings as they last were, and one is gone on with", async () => {
  const alice = await world.artist("Alice");
  const drawing = await alice.create();
  await alice.draw([300, 200], [600, 200]);
  const one = await alice.steadyInk();
  await alice.isSaved();
  await alice.hasKept((await alice.log(drawing)).length);
  await alice.visit();
  await alice.find("drawing").waitFor();
  expect(await alice.find("old-list").count()).toBe(0);
  await alice.cut();
  await alice.page.reload();
  await alice.says("old-list", /out of reach/i);
  await alice.find("drawing").getByRole("link").click();
  await alice.says("title", /Untitled/);
  await alice.seesInk(one);
  await alice.draw([300, 300], [600, 300]);
  await alice.seesInk(2 * one);
  await alice.page.goBack();
  await alice.find("old-list").waitFor();
  alice.mend();
  // It asks again by itself.
  await alice.find("old-list").waitFor({ state: "detached" });
  expect(await alice.find("drawing").count()).toBe(1);
});

test("a browser that says that it is offline catches up when it is back", async () => {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  await bob.context.setOffline(true);
  await bob.says("connection-badge", /offline|reconnect|connecting/i);
  await alice.draw([300, 200], [600, 200]);
  const one = await alice.steadyInk();
  await bob.draw([300, 300], [600, 300]);
  await alice.isSaved();
  await bob.context.setOffline(false);
  await bob.isSaved();
  for (const artist of [alice, bob]) await artist.seesInk(2 * one);
});

test("a tab that is closed in the middle of a stroke loses no point, and leaves it complete", async () => {
  const alice = await world.artist("Alice");
  const drawing = await alice.create();
  await alice.press([300, 300]);
  await alice.drag([300, 300], [640, 420]);
  const closed = alice.page.waitForEvent("close");
  await alice.page.close({ runBeforeUnload: true });
  await closed;
  await eventually(async () => {
    const log = await alice.log(drawing);
    expect(strokes(log).map(span)).toEqual([[340, 120]]);
    expect(log.at(-1)?.type).toBe("stroke.end");
  });
});

test("a page that was frozen in the background goes on when it is looked at", async () => {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  const session = await bob.context.newCDPSession(bob.page);
  await session.send("Page.setWebLifecycleState", { state: "frozen" });
  // A telephone that sleeps has no connections when it wakes up.
  bob.proxy.drop();
  await alice.draw([300, 200], [600, 200]);
  const one = await alice.steadyInk();
  await alice.isSaved();
  await session.send("Page.setWebLifecycleState", { state: "active" });
  await bob.seesInk(one);
  await bob.draw([300, 300], [600, 300]);
  await alice.seesInk(2 * one);
});

test("a server that crashes in the middle of a stroke gets all of it", async () => {
  const alice = await world.artist("Alice");
  const drawing = await alice.create();
  await alice.press([300, 300]);
  await alice.drag([300, 300], [450, 300]);
  await world.testbed.kill();
  await alice.drag([450, 300], [600, 300]);
  await alice.page.mouse.up();
  await world.testbed.start();
  await alice.isSaved();
  await eventually(async () => expect(strokes(await alice.log(drawing)).map(span)).toEqual([[300, 0]]));
});

test("over a bad network everything arrives, once", async () => {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  await alice.draw([250, 120], [450, 120]);
  const one = await alice.steadyInk();
  alice.proxy.chaos({ seed: 1, rate: 0.15 });
  bob.proxy.chaos({ seed: 2, rate: 0.15 });
  for (let row = 0; row < 4; row += 1) {
    await alice.draw([250, 200 + 40 * row], [450, 200 + 40 * row]);
    await bob.draw([550, 200 + 40 * row], [750, 200 + 40 * row]);
  }
  for (const artist of [alice, bob]) artist.mend();
  await Promise.all([alice.isSaved(), bob.isSaved()]);
  expect(strokes(await alice.log(drawing)).map(span)).toEqual(Array.from({ length: 9 }, () => [200, 0]));
  // Neither drew all of it, so what either sees now tells nothing of what there is to see.
  for (const artist of [alice, bob]) await artist.seesInk(9 * one, artist.page, 0.05);
});
