// Drawings on a real server: what users of the package see of each other, and what befalls them.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import WebSocket from "ws";
import {
  type CommittedOp,
  createClient,
  type Drawing,
  MemoryStore,
  type OutboxStore,
  type RevcastError,
  type Schemas,
} from "../../src/index.js";
import { startImported } from "./imported.js";
import { startProxy } from "./proxy.js";
import { type Person, startTestbed, type Testbed } from "./testbed.js";

let testbed: Testbed;
let alice: Person;
let bob: Person;
beforeAll(async () => {
  testbed = await startTestbed();
  alice = await testbed.person("alice", "Alice");
  bob = await testbed.person("bob", "Bob");
});
afterAll(() => testbed.close());

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** How a person follows a drawing. */
interface Way {
  readonly url?: string;
  readonly socket?: boolean;
  readonly storage?: OutboxStore;
}

function open(
  person: Person,
  drawingId: string,
  { url = testbed.url, socket = true, storage = new MemoryStore() }: Way = {},
): Drawing {
  const client = createClient({
    url,
    storage,
    getToken: () => person.token,
    ...(socket ? { WebSocket: WebSocket as unknown as typeof globalThis.WebSocket } : {}),
  });
  ends.push(() => client.close());
  return client.open(drawingId);
}

const shared = async (role: "editor" | "viewer" = "editor"): Promise<string> => {
  const drawingId = await testbed.createDrawing(alice);
  await testbed.setRole(alice, drawingId, "bob", role);
  return drawingId;
};
const within = <T>(read: () => T) => expect.poll(read, { timeout: 10_000 });
const kinds = (drawing: Drawing) => drawing.view().objects.map((object) => object.kind);

describe.each([
  ["sockets", true],
  ["event streams", false],
])("over %s", (_, socket) => {
  test("two draw together, and each undoes their own", async () => {
    const id = await shared();
    const [a, b] = [open(alice, id, { socket }), open(bob, id, { socket })];
    await within(() => [a.role, b.role]).toEqual(["owner", "editor"]);
    expect([a.connection, b.connection]).toEqual(socket ? ["live", "live"] : ["fallback", "fallback"]);
    const stroke = a.beginStroke({ tool: "pen", points: [[0, 0]] });
    stroke.append([[1, 1]]);
    stroke.append([[2, 2]]);
    stroke.end();
    expect(a.view().objects[0]?.points).toHaveLength(3);
    expect(a.sync).toBe("saving");
    await within(() => b.view().objects[0]?.complete).toBe(true);
    b.createObject({ kind: "rect", props: { x: 1 } });
    await within(() => kinds(a)).toEqual(["stroke", "rect"]);
    expect(a.undo()).toBe(true);
    expect(kinds(a)).toEqual(["rect"]);
    expect(b.history()).toEqual({ canUndo: true, canRedo: false });
    await within(() => kinds(b)).toEqual(["rect"]);
    expect(b.undo()).toBe(true);
    await within(() => kinds(a)).toEqual([]);
    expect(a.redo()).toBe(true);
    await within(() => kinds(b)).toEqual(["stroke"]);
    await Promise.all([a.flush(), b.flush()]);
    expect([a.sync, b.sync]).toEqual(["saved", "saved"]);
    await within(() => b.revision).toBe(a.revision);
    expect(b.stateHash()).toBe(a.stateHash());
  });

  test("they see who is here, and one user's tabs are one user", async () => {
    const id = await shared();
    const [a, b, again] = [open(alice, id, { socket }), open(bob, id, { socket }), open(bob, id, { socket })];
    await within(() => [a.role, b.role, again.role]).toEqual(["owner", "editor", "editor"]);
    a.presence.set({ cursor: { x: 1, y: 2 } });
    b.presence.set({ cursor: { x: 3, y: 4 }, viewport: { x: 0, y: 0, width: 10, height: 10 } });
    again.presence.set({ cursor: { x: 5, y: 6 } });
    await within(() => a.presence.others.length).toBe(2);
    await within(() =>
      a.presence.users.map((user) => [user.name, user.isSelf, user.connections.length]),
    ).toEqual([
      ["Alice", true, 1],
      ["Bob", false, 2],
    ]);
    await within(() => b.presence.others.filter((other) => other.isSelf).length).toBe(1);
    const followed: unknown[] = [];
    a.presence.onFollow((state) => followed.push(state.viewport));
    a.presence.follow("bob");
    b.presence.update({ viewport: { x: 7, y: 0, width: 10, height: 10 } });
    await within(() => followed.at(-1)).toEqual({ x: 7, y: 0, width: 10, height: 10 });
    b.presence.set(null);
    again.presence.set(null);
    await within(() => a.presence.users.length).toBe(1);
    expect(a.presence.following).toBeNull();
  });

  test("a viewer sees and does not draw; a role that changes counts at once", async () => {
    const id = await shared("viewer");
    const [a, b] = [open(alice, id, { socket }), open(bob, id, { socket })];
    await within(() => b.role).toBe("viewer");
    expect(() => b.createObject({ kind: "rect" })).toThrow(expect.objectContaining({ code: "forbidden" }));
    await testbed.setRole(alice, id, "bob", "editor");
    await within(() => b.role).toBe("editor");
    b.createObject({ kind: "rect" });
    expect(() => b.clear()).toThrow(expect.objectContaining({ code: "forbidden" }));
    await within(() => kinds(a)).toEqual(["rect"]);
    await testbed.setRole(alice, id, "bob", null);
    await within(() => b.role).toBeNull();
    expect(() => b.createObject({ kind: "rect" })).toThrow(expect.objectContaining({ code: "forbidden" }));
    a.createObject({ kind: "ellipse" });
    await a.flush();
    expect(kinds(b)).toEqual(["rect"]);
  });
});

test("what was drawn offline is there after a reload, and reaches the others", async () => {
  const id = await shared();
  const proxy = await startProxy(testbed.url);
  ends.push(() => proxy.close());
  const storage = new MemoryStore();
  const a = open(alice, id);
  let b = open(bob, id, { url: proxy.url, storage });
  await within(() => b.connection).toBe("live");
  proxy.mode("refuse");
  proxy.drop();
  const stroke = b.beginStroke({ tool: "pen", points: [[0, 0]] });
  stroke.append([[1, 1]]);
  stroke.end();
  a.createObject({ kind: "rect" });
  await within(() => [b.connection, b.sync]).toEqual(["offline", "stored-locally"]);
  b.close();
  b = open(bob, id, { url: proxy.url, storage });
  await within(() => kinds(b)).toEqual(["stroke"]);
  expect(b.loaded).toBe(false);
  proxy.mode("pass");
  await b.flush();
  await within(() => kinds(a).sort()).toEqual(["rect", "stroke"]);
  await within(() => kinds(b).sort()).toEqual(["rect", "stroke"]);
});

test("a late joiner of a long drawing sees what all see", async () => {
  const id = await shared();
  const points = (index: number) => [[index, index]];
  for (let batch = 0; batch < 5; batch += 1) {
    const ops = Array.from({ length: 400 }, (_, index) => ({
      op_id: crypto.randomUUID(),
      type: "stroke.begin",
      object_id: `s${batch}-${index}`,
      tool: "pen",
      props: {},
      points: points(index),
    }));
    await testbed.commit(alice, id, ops);
  }
  const b = open(bob, id);
  await within(() => b.revision).toBe(2_000);
  expect(b.view().objects).toHaveLength(2_000);
  const then = await b.snapshotAt({ revision: 10 });
  expect(then.view.objects).toHaveLength(10);
});

test("an op that the server refuses leaves the picture, is told, and stops nothing", async () => {
  const id = await shared();
  const b = open(bob, id);
  await within(() => b.role).toBe("editor");
  const refused: string[] = [];
  b.onRejected((rejected) => refused.push(...rejected.map(({ op, error }) => `${op.type} ${error.code}`)));
  // Fog is the owner's alone; the client leaves that to the server.
  const fog = b.createObject({ kind: "fog" });
  b.updateObject(fog, { set: { x: 1 } });
  b.createObject({ kind: "rect" });
  expect(kinds(b)).toEqual(["fog", "rect"]);
  await b.flush();
  await within(() => kinds(b)).toEqual(["rect"]);
  expect(refused).toEqual(["object.create forbidden", "object.update dependency_rejected"]);
  expect(b.sync).toBe("rejected");
  b.dismissRejected();
  expect([b.sync, b.rejected.length]).toEqual(["saved", 0]);
});

test("a gesture of thousands of ops arrives whole, and is undone whole", async () => {
  const id = await shared();
  const [a, b] = [open(alice, id), open(bob, id)];
  await within(() => a.connection).toBe("live");
  const unit = a.newUnit();
  const count = 2_500;
  for (let n = 0; n < count; n += 1) a.createObject({ kind: "rect", object_id: `r${n}`, unit });
  await a.flush();
  await within(() => b.view().objects.length).toBe(count);
  expect(a.rejected).toEqual([]);
  expect(a.view().objects).toHaveLength(count);
  await within(() => b.revision).toBe(count);
  expect(b.stateHash()).toBe(a.stateHash());
  expect(a.undo()).toBe(true);
  await within(() => b.view().objects).toEqual([]);
  expect(a.history()).toEqual({ canUndo: false, canRedo: true });
}, 60_000);

describe("a drawing whose history was folded", () => {
  const STROKE = "01980000-0000-7000-8000-000000000001";
  const FLOOR = 3;

  /** Alice has begun a stroke, and Bob has drawn before the fold and after it. */
  const folded = async (): Promise<{ own: Testbed; id: string }> => {
    const id = crypto.randomUUID();
    const rect = { type: "object.create", kind: "rect", props: {}, actor: "bob" } as const;
    const made = [
      { type: "stroke.begin", object_id: "s", tool: "pen", props: {}, points: [[0, 0]], actor: "alice" },
      { ...rect, object_id: "a" },
      { ...rect, object_id: "b" },
      { type: "fold", floor: FLOOR, actor: "revcast:fold" },
      { ...rect, object_id: "c" },
    ];
    const log = made.map((op, index) => {
      const op_id = index === 0 ? STROKE : crypto.randomUUID();
      return { ...op, op_id, revision: index + 1, ts: 1_000 + index } as CommittedOp;
    });
    const own = await startImported({ owner: "alice", drawingId: id, log });
    ends.push(() => own.close());
    await own.setRole(await own.person("alice"), id, "bob", "editor");
    return { own, id };
  };
  const openAt = async (own: Testbed, name: string, id: string) =>
    open(await own.person(name), id, { url: own.url });

  test("has nothing to undo from before the fold, and says up to where", async () => {
    const { own, id } = await folded();
    const [a, b] = [await openAt(own, "alice", id), await openAt(own, "bob", id)];
    await within(() => [a.revision, b.revision]).toEqual([5, 5]);
    expect([a.undoFloor, b.undoFloor]).toEqual([FLOOR, FLOOR]);
    expect(a.history()).toEqual({ canUndo: false, canRedo: false });
    expect(b.undo()).toBe(true);
    expect(kinds(b)).toEqual(["stroke", "rect", "rect"]);
    expect(b.history()).toEqual({ canUndo: false, canRedo: true });
    await b.flush();
    const person = await own.person("bob");
    const read = <T>(what: string) => own.call<T>(person, "GET", `/v1/drawings/${id}/${what}`);
    expect(await read<Schemas["HistoryResponse"]>("history")).toMatchObject({
      revision: 6,
      undo_floor: FLOOR,
      can_undo: false,
      can_redo: true,
    });
    await within(() => [a.revision, b.revision]).toEqual([6, 6]);
    const { state_hash } = await read<Schemas["SnapshotBody"]>("snapshot");
    expect([a.stateHash(), b.stateHash()]).toEqual([state_hash, state_hash]);
  });

  test("has a stroke go on whose unit is closed, as a unit of its own", async () => {
    const { own, id } = await folded();
    const [a, b] = [await openAt(own, "alice", id), await openAt(own, "bob", id)];
    await within(() => [a.connection, b.connection]).toEqual(["live", "live"]);
    let told = 0;
    a.onUnitClosed(() => {
      told += 1;
    });
    for (let index = 1; index <= 3; index += 1) {
      const points: [number, number][] = [[index, index]];
      a.edit({ type: "stroke.append", object_id: "s", index, points, unit: STROKE });
      await a.flush();
    }
    a.edit({ type: "stroke.end", object_id: "s", count: 3, unit: STROKE });
    await a.flush();
    expect(told).toBe(1);
    expect(a.rejected).toEqual([]);
    const seen = (drawing: Drawing) => drawing.view().objects.find(({ kind }) => kind === "stroke");
    await within(() => seen(b)?.complete).toBe(true);
    const points = [0, 1, 2, 3].map((x) => [x, x]);
    for (const drawing of [a, b]) expect(seen(drawing)?.points).toEqual(points);
    // An undo takes back what was drawn since, and no more.
    expect(a.undo()).toBe(true);
    await within(() => seen(b)).toMatchObject({ complete: false, points: [[0, 0]] });
    expect(a.history().canUndo).toBe(false);
  });
});

test("who may not know of a drawing is told so", async () => {
  const id = await testbed.createDrawing(alice);
  const errors: RevcastError[] = [];
  const b = open(bob, id);
  b.onError((error) => errors.push(error));
  await within(() => b.role).toBeNull();
  expect(b.loaded).toBe(false);
});

test("after a restored backup the canvas is read anew, and what is pending is sent again", async () => {
  const own = await startTestbed();
  ends.push(() => own.close());
  const owner = await own.person("alice");
  const id = await own.createDrawing(owner);
  const a = open(owner, id, { url: own.url });
  a.createObject({ kind: "rect" });
  await a.flush();
  await within(() => a.revision).toBe(1);
  const before = a.epoch;
  await own.stop();
  a.createObject({ kind: "ellipse" });
  await own.newEpoch();
  await own.start();
  await a.flush();
  await within(() => a.epoch).not.toBe(before);
  await within(() => a.revision).toBe(2);
  expect(kinds(a)).toEqual(["rect", "ellipse"]);
});

test("closing is final", async () => {
  const id = await shared();
  const b = open(bob, id);
  await within(() => b.connection).toBe("live");
  const changes: string[] = [];
  b.onConnection((state) => changes.push(state));
  b.close();
  b.close();
  expect(changes).toEqual(["closed"]);
  expect(() => b.createObject({ kind: "rect" })).toThrow(expect.objectContaining({ code: "closed" }));
  await expect(b.flush()).rejects.toMatchObject({ code: "closed" });
  const seen = b.revision;
  await testbed.commit(alice, id, [{ op_id: crypto.randomUUID(), type: "custom.note", data: null }]);
  const a = open(alice, id);
  await within(() => a.revision).toBeGreaterThan(seen);
  expect(b.revision).toBe(seen);
});
