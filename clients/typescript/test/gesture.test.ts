// A gesture of many ops is one undo unit, in however many requests it is sent.

import { afterEach, expect, test } from "vitest";
import { NO_REGISTERS } from "../src/canvas/registers.js";
import { createClient, MemoryStore, type RevcastClient } from "../src/index.js";
import { MAX_BATCH_OPS } from "../src/limits.js";
import { DRAWING, FeedServer } from "./support/feed_server.js";

const OBJECTS = 5_000;
const TOKEN = `head.${btoa('{"sub":"alice"}')}.signature`;

let client: RevcastClient | undefined;
afterEach(() => client?.close());

test("a move of 5,000 objects is one unit, and is undone whole", async () => {
  const server = new FeedServer();
  server.registers = () => NO_REGISTERS;
  client = createClient({
    url: "http://test",
    getToken: () => TOKEN,
    storage: new MemoryStore(),
    fetch: server.fetch as typeof fetch,
    WebSocket: server.WebSocket,
  });
  const drawing = client.open(DRAWING);
  const places = () => new Set(drawing.view().objects.map(({ props }) => props.x));
  const ids = Array.from({ length: OBJECTS }, (_, n) => `o${n}`);
  const made = drawing.newUnit();
  for (const object_id of ids) drawing.createObject({ kind: "rect", object_id, props: { x: 0 }, unit: made });
  const unit = drawing.newUnit();
  for (const object_id of ids) drawing.updateObject(object_id, { set: { x: 1 } }, unit);
  await drawing.flush();
  expect(server.count("POST ops")).toBeGreaterThanOrEqual((2 * OBJECTS) / MAX_BATCH_OPS);
  await expect.poll(() => drawing.revision, { timeout: 10_000 }).toBe(2 * OBJECTS);
  const [first, ...rest] = server.log.slice(OBJECTS);
  expect(first).toMatchObject({ op_id: unit, type: "object.update" });
  expect(rest.every((op) => op.unit === unit)).toBe(true);
  expect(places()).toEqual(new Set([1]));

  expect(drawing.undo()).toBe(true);
  expect(places()).toEqual(new Set([0]));
  await drawing.flush();
  expect(server.log.slice(2 * OBJECTS)).toMatchObject([{ type: "undo", unit }]);
  expect(drawing.undo()).toBe(true);
  expect(drawing.view().objects).toEqual([]);
  expect(drawing.history()).toEqual({ canUndo: false, canRedo: true });
});
