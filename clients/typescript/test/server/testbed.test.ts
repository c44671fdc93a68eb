// The servers that tests run against: they keep what they were given, and come and go as they are told.

import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestbed, type Testbed } from "./testbed.js";

let testbed: Testbed;

beforeAll(async () => {
  testbed = await startTestbed();
}, 60_000);

afterAll(() => testbed.close());

test("what was committed is read back, and outlives a crash", async () => {
  const alice = await testbed.person("alice", "Alice");
  const drawing = await testbed.createDrawing(alice, "First");
  const op = {
    op_id: crypto.randomUUID(),
    type: "object.create",
    object_id: "a",
    kind: "rect",
    props: { x: 1 },
  };
  expect(await testbed.commit(alice, drawing, [op])).toBe(1);
  await testbed.kill();
  await expect(testbed.log(alice, drawing)).rejects.toThrow();
  await testbed.start();
  expect(await testbed.log(alice, drawing)).toMatchObject([{ ...op, revision: 1, actor: "alice" }]);
});

test("a role is given and taken away", async () => {
  const [alice, bob] = await Promise.all([testbed.person("alice"), testbed.person("bob")]);
  const drawing = await testbed.createDrawing(alice);
  await expect(testbed.log(bob, drawing)).rejects.toThrow("404");
  await testbed.setRole(alice, drawing, "bob", "viewer");
  expect(await testbed.log(bob, drawing)).toEqual([]);
  await testbed.setRole(alice, drawing, "bob", null);
  await expect(testbed.log(bob, drawing)).rejects.toThrow("404");
});

test("a command that cannot be done fails, and the next one does not", async () => {
  await expect(testbed.start()).rejects.toThrow("running");
  await testbed.stop();
  await testbed.newEpoch();
  await testbed.start();
  expect(await testbed.token("alice")).not.toBe("");
});
