// A drawing as a whole, on a server that lives in the test.

import { afterEach, expect, test, vi } from "vitest";
import { NO_REGISTERS } from "../src/canvas/registers.js";
import { createClient, type Drawing, MemoryStore, type RevcastClient } from "../src/index.js";
import { MAX_EARLY_OPS } from "../src/limits.js";
import { DRAWING, FeedServer, json, problem, type Seen } from "./support/feed_server.js";

const URL = "http://test";
const SCOPE = JSON.stringify([URL, "alice", DRAWING]);
const TOKEN = `head.${btoa('{"sub":"alice"}')}.signature`;
const opId = (n: number) => `01980000-0000-7000-8000-${n.toString(16).padStart(12, "0")}`;

const clients: RevcastClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});

interface Given {
  readonly server?: FeedServer;
  readonly storage?: MemoryStore;
  readonly getToken?: () => string | Promise<string>;
  readonly url?: string | (() => string);
}

function open({
  server = new FeedServer(),
  storage = new MemoryStore(),
  getToken = () => TOKEN,
  url = URL,
}: Given = {}) {
  const client = createClient({
    url,
    getToken,
    storage,
    fetch: server.fetch as typeof fetch,
    WebSocket: server.WebSocket,
  });
  clients.push(client);
  return client.open(DRAWING);
}

/** Answers as if each op were the next one of the log. */
function acknowledge(server: FeedServer) {
  return ({ body }: Seen): Response => {
    const { ops } = body as { ops: readonly { op_id: string }[] };
    const results = ops.map(({ op_id }, index) => ({
      op_id,
      revision: server.head + index + 1,
      duplicate: false,
    }));
    return json({ epoch: server.epoch, latest_revision: server.head + ops.length, results });
  };
}

const within = <T>(read: () => T) => expect.poll(read, { timeout: 10_000 });
const propsOf = (drawing: Drawing) => drawing.view().objects.map((object) => object.props);

test("what was found in the storage is told at once, not op by op", async () => {
  const storage = new MemoryStore();
  const stored = Array.from({ length: 100 }, (_, n) => {
    const op = { op_id: opId(n), type: "object.create", object_id: `o${n}`, kind: "rect", props: {} };
    return { op_id: op.op_id, body: JSON.stringify(op) };
  });
  await storage.append(SCOPE, stored);
  const server = new FeedServer();
  server.everything = () => new Promise(() => {});
  const drawing = open({ server, storage });
  const seen: number[] = [];
  drawing.onChange(() => seen.push(drawing.view().objects.length));
  await within(() => drawing.view().objects.length).toBe(100);
  expect(seen.filter((count) => count > 0)).toEqual([100]);
});

test("updates that were merged before the user was known leave nothing behind", async () => {
  const server = new FeedServer();
  server.hasSnapshots = false;
  let give: (token: string) => void = () => {};
  const token = new Promise<string>((resolve) => {
    give = resolve;
  });
  const drawing = open({ server, getToken: () => token });
  drawing.createObject({ kind: "rect", object_id: "a" });
  const unit = drawing.newUnit();
  const first = drawing.updateObject("a", { set: { x: 1 } }, unit);
  drawing.updateObject("a", { set: { x: 2 } }, unit);
  server.script("POST ops", acknowledge(server));
  server.script("POST ops", acknowledge(server));
  give(TOKEN);
  await drawing.flush();
  const [create, update] = server.of("POST ops").flatMap(({ body }) => (body as { ops: object[] }).ops);
  expect(update).toMatchObject({ op_id: first, set: { x: 2 } });
  // Somebody else has the last word.
  const theirs = { op_id: opId(9), type: "object.update", object_id: "a", set: { x: 3 } };
  const log = [create, update, theirs].map((op, n) => ({ ...op, revision: n + 1, actor: "alice", ts: 0 }));
  await within(() => server.sockets.all.at(-1)?.isFollowing).toBe(true);
  server.socket.ops(...(log as never[]));
  await within(() => drawing.revision).toBe(3);
  expect(propsOf(drawing)).toEqual([{ x: 3 }]);
});

test("an op that was committed in another epoch is seen all the while", async () => {
  const server = new FeedServer();
  server.commit(5);
  const drawing = open({ server });
  await within(() => drawing.connection).toBe("live");
  const counts = new Set<number>();
  drawing.onChange(() => counts.add(drawing.view().objects.length));
  server.epoch = "another";
  server.log.splice(0);
  server.commit(1);
  server.script("POST ops", acknowledge(server));
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  server.script("GET snapshot", async () => {
    await released;
    const registers = { ...NO_REGISTERS, canvas: { from: [[1, null, 1]] } };
    return json({ epoch: "another", revision: 1, registers });
  });
  const op_id = drawing.edit({ type: "object.create", object_id: "a", kind: "rect", props: {} });
  await drawing.flush();
  expect(drawing.view().objects).toHaveLength(1);
  const op = { op_id, type: "object.create", object_id: "a", kind: "rect", props: {} };
  server.log.push({ ...op, revision: 2, actor: "alice", ts: 0 });
  release();
  await within(() => drawing.revision).toBe(2);
  expect([...counts]).toEqual([1]);
  expect(drawing.history().canUndo).toBe(true);
});

test("where the log has a pending op is told, also of one that was found in the storage and a snapshot holds", async () => {
  const storage = new MemoryStore();
  const left = { op_id: opId(1), type: "object.create", object_id: "a", kind: "rect", props: {} };
  await storage.append(SCOPE, [{ op_id: left.op_id, body: JSON.stringify(left) }]);
  const server = new FeedServer();
  server.script("GET snapshot", () => {
    const registers = { ...NO_REGISTERS, canvas: { from: [[9, null, 1]] } };
    return json({ epoch: server.epoch, revision: 9, registers });
  });
  server.log.push({ ...left, revision: 1, actor: "alice", ts: 0 } as never);
  server.commit(8);
  server.script("POST ops", ({ body }) => {
    const { ops } = body as { ops: readonly { op_id: string }[] };
    const results = ops.map(({ op_id }) => ({ op_id, revision: 1, duplicate: true }));
    return json({ epoch: server.epoch, latest_revision: 9, results });
  });
  const drawing = open({ server, storage });
  const told: unknown[] = [];
  const seen: string[] = [];
  drawing.onAcknowledged((ops) => told.push(...ops));
  drawing.onOps((ops) => seen.push(...ops.map(({ op_id }) => op_id)));
  await within(() => drawing.connection).toBe("live");
  await drawing.flush();
  expect(told).toEqual([{ ...left, revision: 1 }]);
  expect(seen).not.toContain(left.op_id);
});

test("what is made just before it is closed is stored, also while the user is not known yet", async () => {
  const storage = new MemoryStore();
  const server = new FeedServer();
  server.everything = () => new Promise(() => {});
  const drawing = open({ server, storage, getToken: async () => TOKEN });
  const op_id = drawing.edit({ type: "custom.note", data: 1 });
  await drawing.close();
  expect(await storage.load(SCOPE)).toMatchObject([{ op_id }]);
});

test("what was stored is found again where the URL is another node's the next time", async () => {
  const storage = new MemoryStore();
  const server = new FeedServer();
  server.everything = () => new Promise(() => {});
  const first = open({ server, storage, url: () => "http://one.test" });
  first.edit({ type: "object.create", object_id: "a", kind: "rect", props: { x: 1 } });
  await first.close();
  const second = open({ server, storage, url: () => "http://two.test" });
  await within(() => propsOf(second)).toEqual([{ x: 1 }]);
});

test("an op that was not taken in does not begin its unit", async () => {
  const server = new FeedServer();
  server.everything = () => new Promise(() => {});
  let give: (token: string) => void = () => {};
  const token = new Promise<string>((resolve) => {
    give = resolve;
  });
  const drawing = open({ server, getToken: () => token });
  for (let n = 0; n < MAX_EARLY_OPS; n += 1) drawing.edit({ type: "custom.note", data: n });
  const unit = drawing.newUnit();
  const attempt = () => drawing.edit({ type: "custom.note", data: 0, unit });
  expect(attempt).toThrow("too much is pending");
  give(TOKEN);
  await within(() => drawing.userId).toBe("alice");
  expect(attempt()).toBe(unit);
});

test("a snapshot that cannot be read is told and read again, and nothing is put on top of it", async () => {
  const server = new FeedServer();
  server.commit(2);
  const registers = { ...NO_REGISTERS, canvas: { a: [[9, null, 1]] } };
  server.script("GET snapshot", () => json({ epoch: server.epoch, revision: 2, registers }));
  const drawing = open({ server });
  const errors: unknown[] = [];
  drawing.onError((error) => errors.push([error.code, drawing.loaded]));
  await within(() => errors).toEqual([["invalid_snapshot", false]]);
  await within(() => drawing.view().canvas).toEqual({ from: 2 });
  server.commit(1);
  await within(() => drawing.revision).toBe(3);
});

test("a getToken that never answers is asked again", async () => {
  const { timeout } = AbortSignal;
  const soon = vi.spyOn(AbortSignal, "timeout").mockImplementation(() => timeout.call(AbortSignal, 20));
  const answers = [new Promise<string>(() => {}), new Promise<string>(() => {})];
  const drawing = open({ getToken: () => answers.shift() ?? TOKEN });
  const errors: string[] = [];
  drawing.onError((error) => errors.push(error.code));
  await within(() => drawing.userId).toBe("alice");
  expect(errors).toContain("AUTH_FAILED");
  soon.mockRestore();
});

test("an owner undoes anyone's unit, and redoes it", async () => {
  const server = new FeedServer();
  server.role = "owner";
  server.registers = () => NO_REGISTERS;
  const drawing = open({ server });
  await within(() => server.sockets.all.at(-1)?.isFollowing).toBe(true);
  const set = (revision: number, x: number) => ({
    type: "object.update",
    op_id: opId(revision),
    object_id: "a",
    set: { x },
    revision,
    actor: x === 1 ? "bob" : "carol",
    ts: 0,
  });
  const made = { type: "object.create", op_id: opId(1), object_id: "a", kind: "rect", props: { x: 0 } };
  server.log.push({ ...made, revision: 1, actor: "alice", ts: 0 } as never, set(2, 1), set(3, 2));
  server.socket.ops(...server.log);
  await within(() => drawing.revision).toBe(3);
  const seen: unknown[] = [];
  for (const act of ["undo", "undo", "redo", "redo"] as const) {
    expect(drawing[act]("all")).toBe(true);
    seen.push(propsOf(drawing)[0]?.x);
  }
  expect(seen).toEqual([1, 0, 1, 2]);
  await drawing.flush();
  expect(server.log.slice(3).map(({ type, unit }) => [type, unit])).toEqual([
    ["undo", opId(3)],
    ["undo", opId(2)],
    ["redo", opId(2)],
    ["redo", opId(3)],
  ]);
});

test("a gesture whose unit the server has closed says so", async () => {
  const server = new FeedServer();
  server.registers = () => NO_REGISTERS;
  const drawing = open({ server });
  await within(() => drawing.connection).toBe("live");
  let told = 0;
  drawing.onUnitClosed(() => {
    told += 1;
  });
  const unit = drawing.newUnit();
  drawing.createObject({ kind: "rect", object_id: "a", unit });
  await drawing.flush();
  server.script("POST ops", () => problem(409, "unit_closed", { errors: [{ pointer: "/ops/0/unit" }] }));
  drawing.updateObject("a", { set: { x: 1 } }, unit);
  await drawing.flush();
  expect(told).toBe(1);
  expect(drawing.rejected).toEqual([]);
  expect(server.log.at(-1)).toMatchObject({ type: "object.update", set: { x: 1 } });
  expect(server.log.at(-1)).not.toHaveProperty("unit");
});

test("a thousand edits in one task are told twice: of the first at once, of the others together", async () => {
  const drawing = open();
  await within(() => drawing.userId).toBe("alice");
  const seen: number[] = [];
  drawing.onChange(() => seen.push(drawing.view().objects.length));
  for (let n = 0; n < 1_000; n += 1) drawing.createObject({ kind: "rect" });
  expect(seen).toEqual([1]);
  await within(() => seen).toEqual([1, 1_000]);
});

test("what a listener changes as it is told of a change is told, too", async () => {
  const drawing = open();
  await within(() => drawing.userId).toBe("alice");
  const seen: number[] = [];
  drawing.onChange(() => {
    const { length } = drawing.view().objects;
    seen.push(length);
    if (length < 3) drawing.createObject({ kind: "rect" });
  });
  drawing.createObject({ kind: "rect" });
  await within(() => seen).toEqual([1, 2, 3]);
});

test("a refused op that is sent again is seen again, and one that is discarded is told of", async () => {
  const server = new FeedServer();
  server.registers = () => NO_REGISTERS;
  server.script("POST ops", () => problem(403, "forbidden"));
  const drawing = open({ server });
  await within(() => drawing.loaded).toBe(true);
  drawing.createObject({ kind: "rect", props: { n: 1 } });
  drawing.createObject({ kind: "rect", props: { n: 2 } });
  await within(() => drawing.rejected.length).toBe(2);
  expect(propsOf(drawing)).toEqual([]);
  const [first, second] = drawing.rejected.map(({ op }) => op.op_id);
  let changes = 0;
  drawing.onChange(() => {
    changes += 1;
  });
  drawing.discard([first ?? ""]);
  expect(changes).toBe(1);
  expect(drawing.resend([second ?? ""])).toEqual([second]);
  expect(drawing.rejected).toEqual([]);
  await drawing.flush();
  expect(propsOf(drawing)).toEqual([{ n: 2 }]);
  expect(drawing.sync).toBe("saved");
});
