// A drawing whose server is replaced by another one: what its user sees, and what becomes of what was drawn.

import { afterEach, expect, test, vi } from "vitest";
import { NO_REGISTERS } from "../src/canvas/registers.js";
import {
  Canvas,
  type CommittedOp,
  createClient,
  type Drawing,
  MemoryStore,
  type RevcastClient,
} from "../src/index.js";
import { DRAWING, FeedServer, kindOf, problem, type Seen } from "./support/feed_server.js";

const TOKEN = `head.${btoa('{"sub":"alice"}')}.signature`;

const clients: RevcastClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});

const within = <T>(read: () => T) => expect.poll(read, { timeout: 10_000 });
const idsOf = (drawing: Drawing) => drawing.view().objects.map(({ object_id }) => object_id);

/** A drawing that is followed live. What is posted is committed. */
async function open(server: FeedServer): Promise<Drawing> {
  server.registers = () => {
    const canvas = new Canvas();
    for (const op of server.log) canvas.apply(op);
    return canvas.registers();
  };
  const client = createClient({
    url: "http://test",
    getToken: () => TOKEN,
    storage: new MemoryStore(),
    fetch: server.fetch as typeof fetch,
    WebSocket: server.WebSocket,
  });
  clients.push(client);
  const drawing = client.open(DRAWING);
  await within(() => drawing.connection).toBe("live");
  await within(() => server.socket.isFollowing).toBe(true);
  return drawing;
}

/** All that was seen from now on, without repetitions. */
function watch(drawing: Drawing): string[] {
  const seen: string[] = [];
  drawing.onChange(() => {
    const now = idsOf(drawing).join();
    if (seen.at(-1) !== now) seen.push(now);
  });
  return seen;
}

const posted = (server: FeedServer) =>
  server.of("POST ops").map(({ body }) => (body as { ops: { object_id: string }[] }).ops.length);

test("an op that was lost after it was acknowledged is drawn again, and never out of sight", async () => {
  const server = new FeedServer();
  const drawing = await open(server);
  drawing.createObject({ kind: "rect", object_id: "a" });
  await drawing.flush();
  await within(() => drawing.revision).toBe(1);
  server.isTelling = false;
  drawing.createObject({ kind: "rect", object_id: "b" });
  await drawing.flush();
  // Acknowledged, and not seen in the log yet.
  expect(drawing.revision).toBe(1);
  const seen = watch(drawing);
  server.isTelling = true;
  server.failover(1);
  await within(() => server.head).toBe(2);
  await within(() => drawing.revision).toBe(2);
  await drawing.flush();
  expect(idsOf(drawing)).toEqual(["a", "b"]);
  expect(new Set(seen)).toEqual(new Set(["a,b"]));
  expect(posted(server)).toEqual([1, 1, 1]);
  expect(server.count("GET snapshot")).toBe(1);
  expect(drawing.epoch).toBe("epoch-1'");
});

test("an op that was lost after it was seen in the log is drawn again, on a picture that begins anew", async () => {
  const server = new FeedServer();
  const drawing = await open(server);
  for (const object_id of ["a", "b"]) drawing.createObject({ kind: "rect", object_id });
  await drawing.flush();
  await within(() => drawing.revision).toBe(2);
  const seen = watch(drawing);
  server.failover(1);
  await within(() => server.head).toBe(2);
  await within(() => drawing.revision).toBe(2);
  expect(idsOf(drawing)).toEqual(["a", "b"]);
  expect(new Set(seen)).toEqual(new Set(["a,b"]));
  expect(posted(server)).toEqual([2, 1]);
});

test("an op that was acknowledged in an epoch to come stays in sight until the picture is there", async () => {
  const server = new FeedServer();
  const drawing = await open(server);
  const { socket } = server;
  server.isTelling = false;
  // Another node has been promoted, and what follows here has not heard of it.
  socket.isFollowing = false;
  server.script("POST ops", (seen: Seen) => {
    server.failover(0);
    return server.post({ ...seen, body: { ...(seen.body as object), epoch: server.epoch } });
  });
  const release = server.hold("GET ops");
  const seen = watch(drawing);
  drawing.createObject({ kind: "rect", object_id: "a" });
  await drawing.flush();
  expect(drawing.epoch).toBe("epoch-1");
  expect(idsOf(drawing)).toEqual(["a"]);
  release();
  await within(() => drawing.epoch).toBe("epoch-1'");
  await within(() => drawing.revision).toBe(1);
  expect(idsOf(drawing)).toEqual(["a"]);
  expect(seen.every((ids) => ids === "a")).toBe(true);
  expect(server.count("POST ops")).toBe(1);
});

test("a stroke that is drawn while its begin is lost comes out whole", async () => {
  const server = new FeedServer();
  const drawing = await open(server);
  server.isTelling = false;
  const stroke = drawing.beginStroke({ tool: "pen", object_id: "s", points: [[0, 0]] });
  await drawing.flush();
  // The first word of the failover is the refusal of what is drawn on.
  server.socket.isFollowing = false;
  server.failover(0);
  stroke.append([[1, 1]]);
  stroke.end();
  await drawing.flush();
  expect(server.log.map(({ type }) => type)).toEqual(["stroke.begin", "stroke.append", "stroke.end"]);
  server.socket.head(server.head);
  await within(() => drawing.revision).toBe(3);
  expect(drawing.view().objects).toMatchObject([{ object_id: "s", complete: true }]);
  expect(drawing.rejected).toEqual([]);
});

test("a backup that is restored gets back what it lacks", async () => {
  const server = new FeedServer();
  const drawing = await open(server);
  for (const object_id of ["a", "b", "c"]) drawing.createObject({ kind: "rect", object_id });
  await drawing.flush();
  await within(() => drawing.revision).toBe(3);
  server.restore(1);
  await within(() => server.head).toBe(3);
  await within(() => drawing.revision).toBe(3);
  expect(idsOf(drawing)).toEqual(["a", "b", "c"]);
});

test("a server that is too new: the picture stands still, edits are refused, and what is pending is kept", async () => {
  const server = new FeedServer();
  const drawing = await open(server);
  const errors: string[] = [];
  drawing.onError(({ code }) => errors.push(code));
  server.everything = (seen) => (kindOf(seen) === "POST ops" ? problem(503, "store_unavailable") : undefined);
  drawing.createObject({ kind: "rect", object_id: "a" });
  await within(() => drawing.sync).toBe("stored-locally");
  server.protocol = 3;
  server.socket.drop(4100);
  await within(() => drawing.connection).toBe("outdated");
  expect(errors).toEqual(["client_outdated"]);
  expect(idsOf(drawing)).toEqual(["a"]);
  expect(drawing.pendingCount).toBe(1);
  expect(drawing.rejected).toEqual([]);
  expect(() => drawing.createObject({ kind: "rect" })).toThrow(
    expect.objectContaining({ code: "client_outdated" }),
  );
  // It is sent all the same, and stays in the picture, which nobody can compute any more.
  server.everything = undefined;
  await drawing.flush();
  expect(server.head).toBe(1);
  expect(idsOf(drawing)).toEqual(["a"]);
});

test("a drawing tells up to where nothing can be undone any more", async () => {
  const server = new FeedServer();
  const fold = (floor: number): CommittedOp => {
    const revision = server.head + 1;
    return { type: "fold", op_id: crypto.randomUUID(), revision, actor: "revcast:fold", ts: 0, floor };
  };
  server.commit(5);
  server.log.push(fold(4));
  const drawing = await open(server);
  expect(drawing.undoFloor).toBe(4);
  // Neither of these closes anything: the one is not above the last, the other not below itself.
  for (const floor of [4, 8]) {
    server.log.push(fold(floor));
    server.socket.ops(...server.log.slice(-1));
  }
  await within(() => drawing.revision).toBe(8);
  expect(drawing.undoFloor).toBe(4);
  server.log.push(fold(7));
  server.socket.ops(...server.log.slice(-1));
  await within(() => drawing.revision).toBe(9);
  expect(drawing.undoFloor).toBe(7);
});

test("a duplicate that is told of the new epoch is an answer, also where it lies below the base", async () => {
  const server = new FeedServer();
  const drawing = await open(server);
  // The op is committed, and its answer is lost.
  server.isTelling = false;
  server.script("POST ops", async (seen: Seen) => {
    await server.post(seen);
    server.failover(1);
    throw new TypeError("the connection broke off");
  });
  server.socket.isFollowing = false;
  drawing.createObject({ kind: "rect", object_id: "a" });
  await drawing.flush();
  expect(idsOf(drawing)).toEqual(["a"]);
  server.socket.head(server.head);
  await within(() => drawing.epoch).toBe("epoch-1'");
  await within(() => drawing.revision).toBe(1);
  expect(idsOf(drawing)).toEqual(["a"]);
  expect(server.log).toHaveLength(1);
  expect([drawing.sync, drawing.pendingCount]).toEqual(["saved", 0]);
});

test("a canvas that a later version has kept on the device is not shown, which is told, and stays for it", async () => {
  const server = new FeedServer();
  server.everything = () => new Promise(() => {});
  const kept = { epoch: "epoch-1", revision: 9, registers: { ...NO_REGISTERS, format: 3 } };
  const cache = {
    load: vi.fn(async () => kept),
    save: vi.fn(async () => {}),
    remove: vi.fn(async () => {}),
    erase: vi.fn(async () => {}),
  };
  const client = createClient({
    url: "http://test",
    getToken: () => TOKEN,
    storage: new MemoryStore(),
    cache,
    fetch: server.fetch as typeof fetch,
    WebSocket: server.WebSocket,
  });
  clients.push(client);
  const drawing = client.open(DRAWING);
  const errors: string[] = [];
  drawing.onError(({ code }) => errors.push(code));
  await within(() => errors).toEqual(["client_outdated"]);
  expect([drawing.loaded, drawing.revision]).toEqual([false, 0]);
  await drawing.close();
  expect(cache.save).not.toHaveBeenCalled();
  expect(cache.remove).not.toHaveBeenCalled();
});
