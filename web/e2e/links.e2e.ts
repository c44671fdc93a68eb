// Share links: one press makes and copies one, in place of the one before.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { World } from "./support/world.js";

let world: World;

beforeAll(async () => {
  world = await World.open();
});
afterEach(() => world.leave());
afterAll(() => world.close());

test("a new link is copied and replaces the one of its kind, which then opens nothing", async () => {
  const [alice, bob, carol] = await Promise.all([
    world.artist("Alice"),
    world.artist("Bob"),
    world.artist("Carol"),
  ]);
  await alice.context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const drawing = await alice.create();
  const path = `/v1/drawings/${drawing}/links`;
  const { token: old } = await world.testbed.call<{ token: string }>(alice.person, "POST", path, {
    role: "editor",
  });
  for (const body of [{ role: "viewer" }, { role: "editor", expires_at: Date.now() + 3_600_000 }]) {
    await world.testbed.call(alice.person, "POST", path, body);
  }
  await alice.find("share-button").click();
  const rows = alice.page.locator("[data-testid=links] li");
  await expect.poll(() => rows.count(), { timeout: 15_000 }).toBe(3);
  await alice.says("replaces", /the link by which others can draw, made/);
  await alice.find("make-link").click();
  await alice.says("replaced", /has replaced the link by which others can draw/);
  await alice.says("copy-link", /copied/i);
  const link = await alice.find("share-link").inputValue();
  expect(await alice.page.evaluate(() => navigator.clipboard.readText())).toBe(link);
  await expect.poll(() => rows.count(), { timeout: 15_000 }).toBe(3);

  // Once more, it replaces its predecessor, and is there when the dialog is opened again.
  await alice.find("make-link").click();
  await expect.poll(() => alice.find("share-link").inputValue(), { timeout: 15_000 }).not.toBe(link);
  const newest = await alice.find("share-link").inputValue();
  await expect.poll(() => rows.count(), { timeout: 15_000 }).toBe(3);
  await alice.page.keyboard.press("Escape");
  await alice.find("share-button").click();
  expect(await alice.find("share-link").inputValue()).toBe(newest);

  await bob.visit(newest.slice(newest.indexOf("#")));
  await bob.page.waitForURL(new RegExp(`#/d/${drawing}`));
  await bob.seesTheBoard();
  for (const gone of [`#/join/${old}`, link.slice(link.indexOf("#"))]) {
    await carol.visit(gone);
    await carol.page.getByText("does not work any more").waitFor();
  }
});
