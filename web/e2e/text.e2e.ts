// What is written is never lost: two may write in one text, and one may delete what another one writes in.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Artist, eventually, type Place } from "./support/artist.js";
import { World } from "./support/world.js";

let world: World;

beforeAll(async () => {
  world = await World.open();
});
afterEach(() => world.leave());
afterAll(() => world.close());

const PLACE: Place = [400, 300];
/** On the first letters of the text that is written there. */
const ON_IT: Place = [412, 302];

/** Writes a text where nothing is. */
async function write({ page }: Artist, text: string): Promise<void> {
  await page.keyboard.press("t");
  await page.mouse.click(...PLACE);
  await page.getByTestId("writing").waitFor();
  await page.keyboard.type(text);
  await page.keyboard.press("Escape");
}

/** Opens the text there, and writes on at its end. */
async function writeOn({ page }: Artist, text: string, at = ON_IT): Promise<void> {
  await page.keyboard.press("v");
  await page.mouse.dblclick(...at);
  await page.getByTestId("writing").waitFor();
  await page.keyboard.type(text);
}

/** The texts on the drawing, as the server has them. */
async function texts(artist: Artist, drawing = artist.drawingId): Promise<string[]> {
  const { view } = await world.testbed.call<{
    view: { objects: { kind: string; props: { text?: string } }[] };
  }>(artist.person, "GET", `/v1/drawings/${drawing}/snapshot?view=only`);
  return view.objects.flatMap(({ kind, props }) => (kind === "text" ? [props.text ?? ""] : []));
}

/** Two people, and a text that both see. */
async function pair(): Promise<[Artist, Artist]> {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  await write(alice, "Milk");
  await alice.page.keyboard.press("Escape");
  await bob.seesInk(await alice.steadyInk());
  return [alice, bob];
}

/** So far that a reader takes a snapshot in place of the log. */
async function getsFarBehind(reader: Artist, writer: Artist): Promise<void> {
  for (let nth = 0; nth < 11; nth += 1) {
    const ops = Array.from({ length: 500 }, () => {
      return { op_id: crypto.randomUUID(), type: "custom.note", data: nth };
    });
    await world.testbed.commit(writer.person, reader.drawingId, ops);
  }
}

/** Bob is cut off and writes in a text, in which Alice then does, too. She goes, and Bob falls far behind. */
async function bothWriteUnseen(alice: Artist, bob: Artist): Promise<void> {
  await bob.isSaved();
  await bob.cut();
  await writeOn(bob, " and bread");
  await bob.page.keyboard.press("Escape");
  await bob.says("sync-badge", /stored|device|local|offline/i);
  await writeOn(alice, " and eggs");
  await alice.page.keyboard.press("Escape");
  await alice.isSaved();
  await alice.page.goto("about:blank");
  await getsFarBehind(bob, alice);
}

test("who writes is seen, and of two who write in one text both keep their words", async () => {
  const [alice, bob] = await pair();
  await writeOn(bob, " and bread");
  await alice.says("writer", / is writing$/);
  await writeOn(alice, " and eggs");
  await alice.says("notice", / is writing in this text, too/);
  await bob.says("writer", / is writing$/);
  await alice.page.keyboard.press("Escape");
  await eventually(async () => expect(await texts(alice)).toEqual(["Milk and eggs"]));
  await bob.find("writer").waitFor({ state: "detached" });
  await bob.page.keyboard.press("Escape");
  await bob.says("notice", /changed the text meanwhile/);
  await bob.isSaved();
  expect((await texts(bob)).sort()).toEqual(["Milk and bread", "Milk and eggs"]);
  await alice.find("writer").waitFor({ state: "detached" });
});

test("a text that is deleted while somebody writes in it comes back with their words", async () => {
  const [alice, bob] = await pair();
  await writeOn(bob, " and bread");
  await alice.page.keyboard.press("v");
  await alice.page.mouse.click(...ON_IT);
  await alice.page.keyboard.press("Delete");
  await eventually(async () => expect(await texts(alice)).toEqual([]));
  await bob.page.keyboard.press("Escape");
  await bob.says("notice", /deleted the text meanwhile/);
  await eventually(async () => expect(await texts(bob)).toEqual(["Milk and bread"]));
});

test("what is written offline over something newer takes nothing away, and neither does a deletion", async () => {
  const [alice, bob] = await pair();
  await bob.isSaved();
  await bob.cut();
  await writeOn(bob, " and bread");
  await bob.page.keyboard.press("Escape");
  await writeOn(alice, " and eggs");
  await alice.page.keyboard.press("Escape");
  await alice.isSaved();
  bob.mend();
  await eventually(async () =>
    expect((await texts(alice)).sort()).toEqual(["Milk and bread", "Milk and eggs"]),
  );
  await bob.says("notice", /two at the same time/);

  // What Alice writes in the one above, Bob has not seen when he deletes it.
  await bob.isSaved();
  await bob.cut();
  await bob.page.keyboard.press("v");
  await bob.page.mouse.click(...ON_IT);
  await bob.page.keyboard.press("Delete");
  await writeOn(alice, " and tea");
  await alice.page.keyboard.press("Escape");
  await alice.isSaved();
  bob.mend();
  await bob.isSaved();
  await eventually(async () => {
    expect((await texts(alice)).sort()).toEqual(["Milk and bread and tea", "Milk and eggs"]);
  });
});

test("what is written offline takes nothing away from a text that comes in a snapshot, its writer gone", async () => {
  const [alice, bob] = await pair();
  await bothWriteUnseen(alice, bob);
  bob.mend();
  await bob.says("notice", /two at the same time/);
  await bob.isSaved();
  expect((await texts(bob)).sort()).toEqual(["Milk and bread", "Milk and eggs"]);
});

test("what was written over is found also if the page is closed before the server has told what it was", async () => {
  const [alice, bob] = await pair();
  await bothWriteUnseen(alice, bob);
  const drawing = bob.drawingId;
  // It is asked for, and not answered.
  const isPast = (url: URL) => url.pathname.endsWith("/snapshot") && url.searchParams.has("at");
  const asked = bob.page.waitForRequest((request) => isPast(new URL(request.url())));
  await bob.context.route(isPast, () => {});
  bob.mend();
  await asked;
  await bob.isSaved();
  await bob.page.close();
  await bob.context.unroute(isPast);
  expect(await texts(alice, drawing)).toEqual(["Milk and bread"]);
  await bob.open(drawing);
  await bob.says("notice", /two at the same time/);
  await bob.isSaved();
  expect((await texts(bob)).sort()).toEqual(["Milk and bread", "Milk and eggs"]);
});

test("who may no longer write gets what they were writing, to copy it", async () => {
  const [alice, bob] = await pair();
  await bob.context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await writeOn(bob, " and bread");
  await world.testbed.setRole(alice.person, bob.drawingId, bob.person.sub, "viewer");
  await bob.find("kept-text").waitFor();
  expect(await bob.find("kept-text").inputValue()).toBe("Milk and bread");
  await bob.find("copy-text").click();
  await bob.says("copy-text", /copied/i);
  expect(await bob.page.evaluate(() => navigator.clipboard.readText())).toBe("Milk and bread");
  expect(await texts(alice)).toEqual(["Milk"]);
});

test("words that the server refused are shown with the reason, to copy them", async () => {
  const [alice, bob] = await pair();
  await bob.cut();
  await writeOn(bob, " and bread");
  await bob.page.keyboard.press("Escape");
  await world.testbed.setRole(alice.person, bob.drawingId, bob.person.sub, "viewer");
  bob.mend();
  await bob.says("sync-badge", /1 change refused/);
  await bob.find("sync-badge").click();
  expect(await bob.find("kept-text").inputValue()).toBe("Milk and bread");
  expect(await texts(alice)).toEqual(["Milk"]);
});

test("who goes to another page while writing has written", async () => {
  const [alice] = await pair();
  await writeOn(alice, " and jam");
  await alice.page.goBack();
  await alice.find("new-drawing").waitFor();
  await alice.page.goForward();
  await eventually(async () => expect(await texts(alice)).toEqual(["Milk and jam"]));
  await alice.seesTheBoard();
  // All there is is in the middle now.
  await writeOn(alice, " and honey", [550, 350]);
  await alice.page.reload();
  await eventually(async () => expect(await texts(alice)).toEqual(["Milk and jam and honey"]));
});

/** Pastes a text as the keyboard does. */
async function paste(artist: Artist, text: string): Promise<void> {
  await artist.context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await artist.page.evaluate((words) => navigator.clipboard.writeText(words), text);
  await artist.page.keyboard.press("Control+v");
}

test("a text that is too long is cut between characters, its lines are broken, and the user is told", async () => {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  const plain = async () => (await texts(alice)).map((text) => text.replaceAll("\n", ""));
  await paste(alice, `${"a".repeat(4_999)}🎉`);
  await alice.says("notice", /5,000 characters at most/);
  await eventually(async () => expect(await plain()).toEqual(["a".repeat(4_999)]));
  const lines = (await texts(alice))[0]?.split("\n") ?? [];
  expect(lines.length).toBeGreaterThan(40);
  await alice.page.keyboard.press("Delete");
  await eventually(async () => expect(await plain()).toEqual([]));

  const words = "All the world is a stage, and all the people are players. ".repeat(140).slice(0, 8_000);
  await paste(alice, words);
  await alice.says("notice", /5,000 characters at most/);
  await eventually(async () => {
    expect((await texts(alice))[0]?.replaceAll("\n", " ")).toBe(words.slice(0, 5_000).trim());
  });
  // Whoever looks sees the same lines: they are a part of the text.
  const address = `${alice.proxy.url}/v1/drawings/${drawing}/export?format=svg`;
  const answer = await fetch(address, { headers: { Authorization: `Bearer ${alice.person.token}` } });
  const spans = (await answer.text()).match(/<tspan/g) ?? [];
  expect(spans).toHaveLength((await texts(alice))[0]?.split("\n").length ?? 0);
  await alice.page.keyboard.press("Escape");
  await bob.seesInk(await alice.steadyInk());
});

test("in the field, a paste that is too long takes nothing away from what is there", async () => {
  const alice = await world.artist("Alice");
  await alice.create();
  await alice.page.keyboard.press("t");
  await alice.page.mouse.click(...PLACE);
  await alice.page.keyboard.type("beginning end");
  for (let nth = 0; nth < 3; nth += 1) await alice.page.keyboard.press("ArrowLeft");
  await paste(alice, "🎉".repeat(4_000));
  await alice.says("notice", /5,000 characters at most/);
  const value = await alice.find("writing").inputValue();
  expect(value).toBe(`beginning ${"🎉".repeat(2_493)}end`);
  await alice.page.keyboard.type("X");
  const box = await alice.find("writing").boundingBox();
  expect(box?.width).toBeLessThan(1_000);
  expect(box?.height).toBeGreaterThan(300);
});
