// Addresses that lead nowhere, and titles, by which a drawing is known to people.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { eventually } from "./support/artist.js";
import { World } from "./support/world.js";

let world: World;

beforeAll(async () => {
  world = await World.open();
});
afterEach(() => world.leave());
afterAll(() => world.close());

test("an address that leads nowhere has a page that says so, and leads home", async () => {
  const alice = await world.artist("Alice");
  for (const path of ["boards", "drawings/7?really=1", "#/settings", "#/d/7"]) {
    const page = await alice.visit(path);
    await page.getByRole("heading", { name: /There is no such (page|drawing)/ }).waitFor();
    await page.getByRole("link", { name: "My drawings" }).click();
    await alice.find("new-drawing").waitFor();
    expect(new URL(page.url()).pathname).toBe("/");
  }
  const answer = await alice.page.goto("/boards");
  expect(answer?.status()).toBe(404);
  const problem = await alice.page.goto("/v1/nothing");
  expect(problem?.headers()["content-type"]).toContain("application/problem+json");
});

test("a title that is changed changes for the others while they look, and for those who come back", async () => {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  const rename = async (title: string) => {
    await alice.find("title").fill(title);
    await alice.page.keyboard.press("Enter");
  };
  await rename("A house");
  await bob.says("title", /^\s*A house$/);
  await eventually(async () => expect(await bob.page.title()).toBe("A house — Revcast"));
  await bob.cut();
  await rename("A large house");
  await alice.isSaved();
  bob.mend();
  await bob.says("title", /^\s*A large house$/);
  // It is nothing to be undone.
  expect(await alice.find("undo").getAttribute("aria-disabled")).toBe("true");
});
