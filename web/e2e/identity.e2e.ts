// Tokens that end, and tokens that the server does not take: nobody stands before a locked door, and no work is lost.

import { createHmac } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Person } from "../../clients/typescript/test/server/testbed.js";
import { type Artist, eventually } from "./support/artist.js";
import { World } from "./support/world.js";

const SECRET = "a secret of thirty-two bytes or more";
/** How long after its end the server takes a token, in seconds. */
const LEEWAY = 10;

/** A token that the server takes for that many seconds. */
function tokenFor(sub: string, seconds: number): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const exp = Math.floor(Date.now() / 1000) + seconds - LEEWAY;
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ sub, name: sub, exp })}`;
  return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}

function personOf(sub: string): Person {
  return { sub, token: tokenFor(sub, 3_600) };
}

describe("without guests", () => {
  let world: World;

  beforeAll(async () => {
    world = await World.open(["--jwt-secret", SECRET]);
  });
  afterEach(() => world.leave());
  afterAll(() => world.close());

  /** Opens a place with a token that is good for that many seconds. */
  async function signIn(artist: Artist, seconds: number, hash = ""): Promise<void> {
    artist.actAs(personOf(artist.name));
    await artist.visit(hash);
    await artist.find("access-token").fill(tokenFor(artist.name, seconds));
    await artist.page.getByRole("button", { name: "Continue" }).click();
  }

  test("a token that ends asks to sign in, and what is drawn meanwhile is sent with the next one", async () => {
    const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
    const [owner, guest] = [personOf("Alice"), personOf("Bob")];
    const drawing = await world.testbed.createDrawing(owner, "Ours");
    await world.testbed.setRole(owner, drawing, guest.sub, "editor");
    await signIn(bob, 3_600, `#/d/${drawing}`);
    await bob.seesTheBoard();
    await signIn(alice, 12, `#/d/${drawing}`);
    await alice.seesTheBoard();
    await alice.draw([300, 200], [600, 200]);
    await alice.isSaved();
    const one = await alice.steadyInk();
    await bob.seesInk(one);

    const dialog = alice.find("sign-in-dialog");
    await dialog.waitFor({ timeout: 25_000 });
    await alice.page.getByRole("button", { name: "Not now" }).click();
    await alice.says("connection-badge", /signed out/i);
    await alice.draw([300, 300], [600, 300]);
    await alice.seesInk(2 * one);

    await alice.find("sign-in-again").click();
    await alice.find("access-token").fill(tokenFor("Bob", 3_600));
    await alice.page.getByRole("button", { name: "Continue" }).click();
    await alice.page.getByText("This token is not Alice’s").waitFor();
    await alice.find("access-token").fill(tokenFor("Alice", 3_600));
    await alice.page.getByRole("button", { name: "Continue" }).click();
    await dialog.waitFor({ state: "detached" });
    await alice.says("connection-badge", /live/i);
    await alice.isSaved();
    await bob.seesInk(2 * one);
    const actors = (await bob.log(drawing)).map(({ actor }) => actor);
    expect(new Set(actors)).toEqual(new Set(["Alice"]));
  });

  test("a page that is loaded with a token that has ended asks for another, and keeps the work", async () => {
    const alice = await world.artist("Alice");
    const drawing = await world.testbed.createDrawing(personOf("Alice"), "Mine");
    await signIn(alice, 6, `#/d/${drawing}`);
    await alice.seesTheBoard();
    await alice.find("sign-in-dialog").waitFor({ timeout: 25_000 });
    await alice.page.getByRole("button", { name: "Not now" }).click();
    await alice.draw([300, 300], [600, 300]);
    const one = await alice.steadyInk();
    await alice.page.reload();
    await alice.find("sign-in-dialog").waitFor();
    await alice.find("access-token").fill(tokenFor("Alice", 3_600));
    await alice.page.getByRole("button", { name: "Continue" }).click();
    await alice.seesInk(one);
    await alice.isSaved();
    expect((await alice.log(drawing)).map(({ type }) => type)).toContain("stroke.end");
    await alice.page.goto("/#/");
    await alice.page.getByText("Mine").waitFor();
  });
});

describe("with guests", () => {
  let world: World;

  beforeAll(async () => {
    world = await World.open();
  });
  afterEach(() => world.leave());
  afterAll(() => world.close());

  test("a guest whose token is refused gets another by itself, on the first page and on a drawing", async () => {
    const alice = await world.artist("Alice");
    const drawing = await alice.create();
    const { sub } = alice.person;
    // One of another server, or of this one before its data was removed.
    const spoil = () =>
      alice.page.evaluate(() => {
        const kept = JSON.parse(localStorage.getItem("revcast.guest-token") ?? "{}");
        const token = `${kept.token.split(".").slice(0, 2).join(".")}.${"x".repeat(43)}`;
        localStorage.setItem("revcast.guest-token", JSON.stringify({ ...kept, token }));
      });
    await spoil();
    await alice.draw([300, 300], [600, 300]);
    await alice.isSaved();
    await spoil();
    await alice.visit();
    await alice.find("drawing").waitFor();
    await spoil();
    await alice.open(drawing);
    expect(alice.person.sub).toBe(sub);
    expect((await alice.log(drawing)).length).toBeGreaterThan(0);
  });

  for (const hours of [-3, 3]) {
    test(`a guest whose clock is ${hours} hours off draws, with one token`, async () => {
      const alice = await world.artist("Alice");
      let tokens = 0;
      alice.context.on("request", (request) => {
        if (request.url().endsWith("/v1/dev/tokens")) tokens += 1;
      });
      await alice.context.addInitScript((by) => {
        const now = Date.now.bind(Date);
        Date.now = () => now() + by;
      }, hours * 3_600_000);
      const drawing = await alice.create();
      await alice.draw([300, 300], [600, 300]);
      await alice.isSaved();
      await alice.visit();
      await alice.find("drawing").waitFor();
      await alice.open(drawing);
      await eventually(async () => expect(await alice.ink()).toBeGreaterThan(0));
      expect(tokens).toBe(1);
    });
  }
});
