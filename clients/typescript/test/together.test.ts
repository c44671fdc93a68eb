// Edits that are made at once: all of them or none, told once, and with as much work for each as one takes.

import { afterEach, expect, test, vi } from "vitest";
import { NO_REGISTERS } from "../src/canvas/registers.js";
import { createClient, MemoryStore, type NewOp, type RevcastClient } from "../src/index.js";
import { MAX_EARLY_OPS } from "../src/limits.js";
import { Intake } from "../src/outbox/intake.js";
import { DRAWING, FeedServer } from "./support/feed_server.js";

const TOKEN = `head.${btoa('{"sub":"alice"}')}.signature`;

const clients: RevcastClient[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const client of clients.splice(0)) await client.close();
});

function open(getToken: () => string | Promise<string> = () => TOKEN) {
  const server = new FeedServer();
  server.registers = () => NO_REGISTERS;
  const client = createClient({
    url: "http://test",
    getToken,
    storage: new MemoryStore(),
    fetch: server.fetch as typeof fetch,
    WebSocket: server.WebSocket,
  });
  clients.push(client);
  return { server, drawing: client.open(DRAWING) };
}

const creates = (count: number): NewOp[] =>
  Array.from({ length: count }, (_, n) => ({
    type: "object.create",
    object_id: `o${n}`,
    kind: "rect",
    props: { x: 0 },
  }));
const moves = (count: number, x: unknown = 1) =>
  Array.from({ length: count }, (_, n) => ({ object_id: `o${n}`, set: { x: x as number } }));

test("a move of thousands is told once, and each op is spelled once", async () => {
  const { server, drawing } = open();
  await expect.poll(() => drawing.userId).toBe("alice");
  drawing.editAll(creates(2_000));
  await drawing.flush();
  const told: (readonly unknown[])[] = [];
  drawing.onChange(() => told.push([...new Set(drawing.view().objects.map(({ props }) => props.x))]));
  const [spelled, read, random] = [
    vi.spyOn(JSON, "stringify"),
    vi.spyOn(JSON, "parse"),
    vi.spyOn(crypto, "getRandomValues"),
  ];
  const ids = drawing.updateObjects(moves(2_000));
  expect(spelled).toHaveBeenCalledTimes(2_000);
  expect(read).not.toHaveBeenCalled();
  expect(random).toHaveBeenCalledTimes(1);
  await expect.poll(() => told.length).toBe(1);
  expect(told).toEqual([[1]]);

  await drawing.flush();
  const [first, ...rest] = server.log.slice(2_000);
  expect(server.log.slice(2_000).map(({ op_id }) => op_id)).toEqual(ids);
  expect(first).toMatchObject({ op_id: ids[0], unit: ids[0], set: { x: 1 } });
  expect(rest.every(({ unit }) => unit === ids[0])).toBe(true);
  expect(drawing.undo()).toBe(true);
  expect(drawing.view().objects.every(({ props }) => props.x === 0)).toBe(true);
});

test("a move that goes on is merged into what still waits", async () => {
  const { server, drawing } = open();
  await expect.poll(() => drawing.userId).toBe("alice");
  drawing.editAll(creates(3));
  await drawing.flush();
  const unit = drawing.newUnit();
  drawing.updateObjects(moves(3, 1), unit);
  drawing.updateObjects(moves(3, 2), unit);
  expect(drawing.pendingCount).toBe(3);
  expect(drawing.view().objects.map(({ props }) => props.x)).toEqual([2, 2, 2]);
  await drawing.flush();
  expect(server.log.slice(3)).toMatchObject([{ set: { x: 2 } }, { set: { x: 2 } }, { set: { x: 2 } }]);
});

test("where there is no room for all, none is made, and their unit may begin later", async () => {
  let give: (token: string) => void = () => {};
  const token = new Promise<string>((resolve) => {
    give = resolve;
  });
  const { drawing } = open(() => token);
  drawing.editAll(creates(MAX_EARLY_OPS - 1));
  const unit = drawing.newUnit();
  expect(() => drawing.updateObjects(moves(2), unit)).toThrow("too much is pending");
  expect(drawing.pendingCount).toBe(MAX_EARLY_OPS - 1);
  expect(drawing.view().objects.every(({ props }) => props.x === 0)).toBe(true);
  give(TOKEN);
  await expect.poll(() => drawing.userId).toBe("alice");
  expect(drawing.updateObjects(moves(2), unit)[0]).toBe(unit);
});

test.each([{ op_id: 5 }, { unit: 5 }, { unset: 5 }, { unset: {} }])(
  "where a later one is of no shape, as with %j, none is made, and their unit may begin later",
  async (wrong) => {
    const { server, drawing } = open();
    await expect.poll(() => drawing.userId).toBe("alice");
    drawing.editAll(creates(2));
    await drawing.flush();
    const changed = vi.fn();
    drawing.onChange(changed);
    const unit = drawing.newUnit();
    const [first, second] = moves(2).map((move): NewOp => ({ type: "object.update", ...move, unit }));
    const make = (...ops: unknown[]) => drawing.editAll(ops as NewOp[]);
    // Something is waiting that it might be merged into.
    drawing.updateObjects(moves(2, 2));
    changed.mockClear();
    expect(() => make(first, { ...second, ...wrong })).toThrow(TypeError);
    expect(drawing.pendingCount).toBe(2);
    expect(changed).not.toHaveBeenCalled();
    expect(make(first, second)[0]).toBe(unit);
    await drawing.flush();
    expect(server.log.slice(4)).toMatchObject([{ op_id: unit, unit }, { unit }]);
  },
);

test("an op that fails after others were taken does not begin their unit once more", async () => {
  const { drawing } = open();
  await expect.poll(() => drawing.userId).toBe("alice");
  const unit = drawing.newUnit();
  vi.spyOn(Intake.prototype, "push").mockImplementationOnce(() => {
    throw new Error("broken");
  });
  expect(() => drawing.updateObjects(moves(2), unit)).toThrow("broken");
  expect(drawing.pendingCount).toBe(1);
  expect(drawing.updateObjects(moves(1), unit)[0]).not.toBe(unit);
});

test("where one cannot be told as JSON, none is made", async () => {
  const { drawing } = open();
  await expect.poll(() => drawing.userId).toBe("alice");
  drawing.editAll(creates(2));
  const changed = vi.fn();
  drawing.onChange(changed);
  expect(() => drawing.updateObjects([...moves(1), ...moves(1, 1n)])).toThrow(TypeError);
  expect(drawing.pendingCount).toBe(2);
  expect(changed).not.toHaveBeenCalled();
  expect(drawing.updateObjects([])).toEqual([]);
  expect(drawing.pendingCount).toBe(2);
});
