// Undo: whole, of one's own or of anyone's, and with a reason where there is nothing.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Artist, eventually } from "./support/artist.js";
import { World } from "./support/world.js";

let world: World;

beforeAll(async () => {
  world = await World.open();
});
afterEach(() => world.leave());
afterAll(() => world.close());

/** What a greyed button says of itself, and what it says when it is pressed. */
async function saysWhy(artist: Artist, button: string, why: RegExp): Promise<void> {
  const found = artist.find(button);
  await eventually(async () => {
    expect(await found.getAttribute("aria-disabled")).toBe("true");
    expect(await found.getAttribute("title")).toMatch(why);
  });
  // It is not enabled, and is to be pressed all the same.
  await found.click({ force: true });
  await artist.says("notice", why);
}

/** Drawings by the interface of the server, in the name of a user of the page. */
async function filled(artist: Artist, count: number): Promise<string> {
  const { testbed } = world;
  await artist.create();
  const drawing = await testbed.createDrawing(artist.person);
  for (let from = 0; from < count; from += 500) {
    const ops = Array.from({ length: Math.min(500, count - from) }, (_, nth) => {
      const n = from + nth;
      const props = { x: 100 + (n % 100) * 8, y: 100 + Math.floor(n / 100) * 8, width: 6, height: 6 };
      return { op_id: crypto.randomUUID(), type: "object.create", object_id: `o${n}`, kind: "rect", props };
    });
    await testbed.commit(artist.person, drawing, ops);
  }
  return drawing;
}

test("a greyed button says that there is nothing of one's own", async () => {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  await alice.draw([300, 250], [700, 250]);
  await bob.seesInk(await alice.steadyInk());
  await saysWhy(bob, "undo", /nothing of yours to undo/i);
  await saysWhy(bob, "redo", /nothing of yours to redo/i);
  expect(await alice.find("undo").getAttribute("title")).toMatch(/ctrl\+z/i);
  await bob.page.keyboard.press("Control+z");
  await bob.says("notice", /nothing of yours to undo/i);
});

test("a greyed button says that a viewer only looks", async () => {
  const [alice, vera] = await Promise.all([world.artist("Alice"), world.artist("Vera")]);
  const drawing = await alice.create();
  await vera.join(alice, drawing, "viewer");
  await saysWhy(vera, "undo", /look at/i);
});

test("a greyed button says that what there was is too old", async () => {
  const alice = await world.artist("Alice");
  const drawing = await filled(alice, 2);
  // As if both were one unit, which the server has folded.
  await alice.context.route(/\/snapshot/, async (route) => {
    const response = await route.fetch();
    const body = (await response.json()) as { revision: number; registers: object };
    const folded = JSON.parse(JSON.stringify(body.registers), (_, value) =>
      Array.isArray(value) && typeof value[0] === "number" && typeof value[1] === "string"
        ? [value[0], null, ...value.slice(2)]
        : value,
    ) as object;
    await route.fulfill({
      response,
      json: { ...body, registers: { ...folded, floor: body.revision - 1, units: {} } },
    });
  });
  await alice.open(drawing);
  await saysWhy(alice, "undo", /too old/i);
});

test("the owner undoes anyone's by the keyboard, and redoes it by the menu", async () => {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  await bob.draw([300, 250], [700, 250]);
  const ink = await bob.steadyInk();
  await alice.seesInk(ink);
  await alice.page.keyboard.press("Control+Alt+z");
  for (const artist of [alice, bob]) await eventually(async () => expect(await artist.ink()).toBe(0));
  await alice.find("menu").click();
  await alice.page.getByRole("menuitem", { name: "Redo anyone’s" }).click();
  for (const artist of [alice, bob]) await artist.seesInk(ink);
  await alice.isSaved();
  const [undo, redo] = (await alice.log()).slice(-2);
  expect([undo?.type, redo?.type]).toEqual(["undo", "redo"]);
  expect(undo?.actor).toBe(alice.person.sub);
  // Bob is no owner: neither the keys nor the menu do it for him.
  const { length } = await alice.log();
  await bob.page.keyboard.press("Control+Alt+z");
  await bob.find("menu").click();
  await bob.page.getByRole("menuitem", { name: "History" }).waitFor();
  expect(await bob.find("undo-anyones").count()).toBe(0);
  await bob.isSaved();
  expect(await alice.log()).toHaveLength(length);
});

test("the owner undoes anyone's with a finger, and a greyed button says why to a finger, too", async () => {
  const [phone, bob] = await Promise.all([world.artist("Phone", { isPhone: true }), world.artist("Bob")]);
  const drawing = await phone.create();
  await bob.join(phone, drawing);
  await bob.draw([300, 250], [500, 250]);
  await bob.steadyInk();
  await eventually(async () => expect(await phone.ink()).toBeGreaterThan(0));
  await phone.find("undo").tap({ force: true });
  await phone.says("notice", /nothing of yours to undo/i);
  await phone.find("menu").tap();
  await phone.find("undo-anyones").tap();
  for (const artist of [phone, bob]) await eventually(async () => expect(await artist.ink()).toBe(0));
});

test("a move of 5,000 objects is undone whole", async () => {
  const alice = await world.artist("Alice");
  const drawing = await filled(alice, 5_000);
  await alice.open(drawing);
  await alice.steadyInk();
  const { length } = await alice.log(drawing);
  await alice.page.keyboard.press("Control+a");
  await alice.find("selection-bar").waitFor();
  await alice.page.keyboard.press("ArrowRight");
  await alice.isSaved();
  const moves = (await alice.log(drawing)).slice(length);
  expect(moves).toHaveLength(5_000);
  expect(new Set(moves.map(({ unit, op_id }) => unit ?? op_id)).size).toBe(1);
  await alice.page.keyboard.press("Control+z");
  await alice.isSaved();
  const [undo, ...more] = (await alice.log(drawing)).slice(length + 5_000);
  expect(more).toEqual([]);
  expect(undo).toMatchObject({ type: "undo", unit: moves[0]?.unit ?? moves[0]?.op_id });
  const { view } = await world.testbed.call<{ view: { objects: { props: { x: number } }[] } }>(
    alice.person,
    "GET",
    `/v1/drawings/${drawing}/snapshot?view=only`,
  );
  expect(view.objects).toHaveLength(5_000);
  expect(view.objects.every(({ props }) => (props.x - 100) % 8 === 0)).toBe(true);
}, 120_000);

test("a gesture whose undo unit the server has closed is drawn to its end, and the user is told", async () => {
  const alice = await world.artist("Alice");
  await alice.create();
  await alice.press([300, 300]);
  await alice.drag([300, 300], [450, 300]);
  await eventually(async () => expect((await alice.log()).length).toBeGreaterThan(0));
  await alice.isSaved();
  let isClosed = false;
  await alice.context.route(/\/ops$/, async (route) => {
    if (isClosed || route.request().method() !== "POST") return route.continue();
    isClosed = true;
    const code = "unit_closed";
    const body = { title: code, status: 409, code, detail: code, retryable: false, pointer: "/ops/0/unit" };
    return route.fulfill({ status: 409, contentType: "application/problem+json", json: body });
  });
  await alice.drag([450, 300], [600, 300]);
  await alice.page.mouse.up();
  await alice.says("notice", /undo takes back only/i);
  await alice.isSaved();
  const log = await alice.log();
  expect(log.at(-1)?.type).toBe("stroke.end");
  expect(new Set(log.map(({ unit, op_id }) => unit ?? op_id)).size).toBe(2);
});

test("a server that is newer than the page: the page says so, and draws nothing that is not so", async () => {
  const alice = await world.artist("Alice");
  let isNewer = false;
  await alice.context.routeWebSocket(/\/v1\/ws/, (socket) => {
    const server = socket.connectToServer();
    server.onMessage((message) => {
      const said = JSON.parse(String(message)) as { type: string };
      socket.send(JSON.stringify(isNewer && said.type === "hello" ? { ...said, protocol: 99 } : said));
    });
  });
  await alice.create();
  await alice.draw([300, 300], [600, 300]);
  const ink = await alice.steadyInk();
  await alice.isSaved();
  isNewer = true;
  alice.proxy.drop();
  await alice.says("connection-badge", /outdated/i);
  await alice.seesInk(ink);
  await alice.draw([300, 400], [600, 400]);
  await saysWhy(alice, "undo", /reload/i);
  await alice.seesInk(ink);
  expect((await alice.log()).filter(({ type }) => type === "stroke.begin")).toHaveLength(1);
});
