// What an owner gives can be taken back: links, members, the drawing itself. Nothing of it by accident.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { eventually } from "./support/artist.js";
import { World } from "./support/world.js";

let world: World;

beforeAll(async () => {
  world = await World.open();
});
afterEach(() => world.leave());
afterAll(() => world.close());

test("a link that the owner removes opens nothing any more, and who joined by it stays", async () => {
  const [alice, bob, carol] = await Promise.all([
    world.artist("Alice"),
    world.artist("Bob"),
    world.artist("Carol"),
  ]);
  await alice.create();
  await alice.find("share-button").click();
  await alice.find("make-link").click();
  const link = new URL(await alice.find("share-link").inputValue());
  await bob.visit(link.hash);
  await bob.seesTheBoard();
  await alice.says("links", /can draw.*never expires/i);
  await alice.find("remove-link").click();
  await alice.find("remove-link-confirm").click();
  await alice.find("links").waitFor({ state: "detached" });
  // Nor is it there to be copied.
  expect(await alice.find("share-link").count()).toBe(0);
  await carol.visit(link.hash);
  await carol.page.getByText("This link does not work any more.").waitFor();
  await bob.draw([300, 300], [600, 300]);
  await bob.isSaved();
});

test("a member is removed once the owner has said so twice", async () => {
  const [alice, bob] = await Promise.all([world.artist("Alice"), world.artist("Bob")]);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  await alice.find("share-button").click();
  const members = alice.find("members").getByRole("listitem");
  await eventually(async () => expect(await members.count()).toBe(2));
  const remove = members.filter({ hasNotText: "(you)" }).getByTestId("remove-member");
  await remove.click();
  await alice.page.getByRole("button", { name: "Cancel" }).click();
  expect(await members.count()).toBe(2);
  await remove.click();
  await alice.find("remove-member-confirm").click();
  await bob.page.getByText("You no longer have access").waitFor();
  await eventually(async () => expect(await members.count()).toBe(1));
});

test("who was invited leaves a drawing, and who owns it deletes it for good", async () => {
  const [alice, bob, carol] = await Promise.all([
    world.artist("Alice"),
    world.artist("Bob"),
    world.artist("Carol"),
  ]);
  const drawing = await alice.create();
  await bob.join(alice, drawing);
  await carol.join(alice, drawing);
  await bob.visit();
  await bob.find("leave-drawing").click();
  await bob.find("leave-drawing-confirm").click();
  await bob.find("drawing").waitFor({ state: "detached" });
  await bob.visit(`#/d/${drawing}`);
  await bob.page.getByText("you have not been invited to it").waitFor();
  await alice.visit();
  await alice.find("delete-drawing").click();
  const question = alice.page.getByRole("dialog", { name: "Delete “Untitled”?" });
  await question.getByText("This is final").waitFor();
  await question.getByRole("button", { name: "Cancel" }).click();
  expect(await alice.find("drawing").count()).toBe(1);
  await alice.find("delete-drawing").click();
  await alice.find("delete-drawing-confirm").click();
  await alice.find("drawing").waitFor({ state: "detached" });
  await carol.page.getByText("You no longer have access").waitFor();
});
