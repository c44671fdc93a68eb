// A deployment whose URL changes: what is left on the device under the former one.

import "fake-indexeddb/auto";
import { deleteDB } from "idb";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { NO_REGISTERS } from "../src/canvas/registers.js";
import { type ClientOptions, createClient, type OutboxStore, type RevcastClient } from "../src/index.js";
import { Adoption } from "../src/outbox/adoption.js";
import { IndexedDbStore } from "../src/outbox/indexeddb.js";
import { MemoryStore } from "../src/outbox/store.js";
import { Browser, create, id, offline, opened, pass, SCOPE, Server, SharedStore } from "./outbox/support.js";
import { DRAWING, FeedServer } from "./support/feed_server.js";

const OLD = "http://old";
const NEW = "https://new.example";
const TOKEN = `head.${btoa('{"sub":"alice"}')}.signature`;
const scopeOf = (name: string | null, sub = "alice") => JSON.stringify([name, sub, DRAWING]);

const within = <T>(read: () => T) => expect.poll(read, { timeout: 10_000 });
const clients: RevcastClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});

const recordOf = (n: number) => ({ op_id: id(n), body: JSON.stringify(create(n, `o${n}`)) });

interface Given extends Partial<ClientOptions> {
  readonly storage: OutboxStore;
}

function clientOf(given: Given, server = new FeedServer()) {
  server.registers = () => NO_REGISTERS;
  const client = createClient({
    url: NEW,
    getToken: () => TOKEN,
    fetch: server.fetch as typeof fetch,
    WebSocket: server.WebSocket,
    ...given,
  });
  clients.push(client);
  return { client, server };
}

const loggedBy = (server: FeedServer) => server.log.map(({ op_id }) => op_id);

describe.each([
  ["memory", () => new MemoryStore()],
  ["IndexedDB", () => new IndexedDbStore("adoption-test")],
])("with a storage in %s", (_, make: () => OutboxStore) => {
  let storage: OutboxStore;
  beforeEach(() => {
    storage = make();
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.close();
    storage.close();
    await deleteDB("adoption-test");
  });
  const left = async (scope: string) => (await storage.load(scope)).map(({ op_id }) => op_id);

  test("what was left under a former URL is sent to the new one, before what was made since", async () => {
    await storage.append(scopeOf(OLD), [recordOf(1)]);
    await storage.append(scopeOf(NEW), [recordOf(2)]);
    await storage.append(scopeOf(OLD, "bob"), [recordOf(3)]);
    const { client, server } = clientOf({ storage, previousUrls: [`${OLD}/`, NEW] });
    const drawing = client.open(DRAWING);
    await drawing.flush();
    expect(loggedBy(server)).toEqual([id(1), id(2)]);
    expect(await left(scopeOf(OLD))).toEqual([]);
    expect(await left(scopeOf(OLD, "bob"))).toEqual([id(3)]);
  });

  test("what was left under another URL is not sent where nobody has said that it is the same", async () => {
    await storage.append(scopeOf(OLD), [recordOf(1)]);
    const { client, server } = clientOf({ storage, previousUrls: ["http://other"] });
    const named = clientOf({ storage, deployment: "acme" });
    await client.open(DRAWING).flush();
    await named.client.open(DRAWING).flush();
    expect([...loggedBy(server), ...loggedBy(named.server)]).toEqual([]);
    expect(await left(scopeOf(OLD))).toEqual([id(1)]);
  });

  test("a deployment with a name takes over what was left under its URL, and keeps it from then on", async () => {
    await storage.append(scopeOf(OLD), [recordOf(1)]);
    const first = clientOf({ storage, url: OLD, deployment: "acme", fetch: offline });
    const drawing = first.client.open(DRAWING);
    await within(() => drawing.pendingCount).toBe(1);
    await first.client.close();
    expect(await left(scopeOf("acme"))).toEqual([id(1)]);
    const second = clientOf({ storage, url: async () => NEW, deployment: "acme" });
    await second.client.open(DRAWING).flush();
    expect(loggedBy(second.server)).toEqual([id(1)]);
  });

  test("to erase what is kept is to erase what was left under former names, too", async () => {
    await storage.append(scopeOf(OLD), [recordOf(1)]);
    await storage.append(scopeOf("acme"), [recordOf(2)]);
    await storage.append(scopeOf("http://other"), [recordOf(3)]);
    const { client } = clientOf({ storage, deployment: "acme", previousUrls: [OLD] });
    expect(await client.erase()).toBe(2);
    expect(await left(scopeOf(OLD))).toEqual([]);
    expect(await left(scopeOf("acme"))).toEqual([]);
    expect(await left(scopeOf("http://other"))).toEqual([id(3)]);
  });

  test("what is made while that is taken over is stored at once, and sent after it", async () => {
    await storage.append(scopeOf(OLD), [recordOf(1)]);
    const move = storage.move?.bind(storage);
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const moving = vi.spyOn(storage, "move").mockImplementation(async (from, to) => {
      await released;
      return (await move?.(from, to)) ?? 0;
    });
    const { client, server } = clientOf({ storage, previousUrls: [OLD] });
    const drawing = client.open(DRAWING);
    const early = drawing.edit({ type: "custom.note", data: 1 });
    await within(() => moving.mock.calls.length).toBe(1);
    const late = drawing.edit({ type: "custom.note", data: 2 });
    // The page may be gone from here on.
    await within(() => left(scopeOf(NEW))).toEqual([early, late]);
    drawing.suspend();
    drawing.resume();
    const flushed = drawing.flush();
    await within(() => drawing.connection).toBe("live");
    expect(loggedBy(server)).toEqual([]);
    release();
    await flushed;
    expect(loggedBy(server)).toEqual([id(1), early, late]);
    await within(() => left(scopeOf(NEW))).toEqual([]);
  });

  test("what is made while that is taken over is there the next time, if it is closed before the end", async () => {
    await storage.append(scopeOf(OLD), [recordOf(1)]);
    const moving = vi.spyOn(storage, "move").mockReturnValue(new Promise(() => {}));
    const first = clientOf({ storage, previousUrls: [OLD] });
    const drawing = first.client.open(DRAWING);
    await within(() => moving.mock.calls.length).toBe(1);
    const made = drawing.edit({ type: "custom.note", data: 1 });
    await drawing.close();
    expect(loggedBy(first.server)).toEqual([]);
    moving.mockRestore();
    const second = clientOf({ storage, previousUrls: [OLD] });
    await second.client.open(DRAWING).flush();
    expect(loggedBy(second.server)).toEqual([id(1), made]);
  });

  test("what cannot be moved is told, stays, and keeps nothing else from being sent", async () => {
    await storage.append(scopeOf(OLD), [recordOf(1)]);
    vi.spyOn(storage, "move").mockRejectedValue(new Error("full"));
    const { client, server } = clientOf({ storage, previousUrls: [OLD] });
    const drawing = client.open(DRAWING);
    const errors: string[] = [];
    drawing.onError(({ code }) => errors.push(code));
    drawing.createObject({ kind: "rect" });
    await drawing.flush();
    expect(server.log).toHaveLength(1);
    expect(errors).toEqual(["STORAGE_FAILED"]);
    expect(await left(scopeOf(OLD))).toEqual([id(1)]);
  });
});

test("what a page has left as its will is taken over as well", async () => {
  const kept = new Map<string, string>();
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, text: string) => void kept.set(key, text),
    removeItem: (key: string) => void kept.delete(key),
  });
  try {
    const gone = new IndexedDbStore("adoption-will");
    gone.leave("old", [recordOf(1)]);
    const store = new IndexedDbStore("adoption-will");
    expect(await store.move("old", "new")).toBe(1);
    expect(await store.load("new")).toMatchObject([recordOf(1)]);
    expect(kept.size).toBe(0);
    store.close();
  } finally {
    vi.unstubAllGlobals();
  }
});

test("a storage that cannot move anything is refused where that is asked for", () => {
  const storage = Object.assign(new MemoryStore(), { move: undefined }) as unknown as OutboxStore;
  expect(() => clientOf({ storage, previousUrls: [OLD] })).toThrow(TypeError);
  expect(() => clientOf({ storage, deployment: NEW })).not.toThrow();
});

test("what a tab has open under the former name is left to it, until it is closed", async () => {
  vi.useFakeTimers();
  try {
    const platform = new Browser();
    const store = new SharedStore();
    const former = await opened({ platform, store, server: new Server() });
    former.server.handler = offline;
    former.outbox.add(create(1, "a"));
    await pass();
    let adopted = 0;
    const adoptions = [1, 2].map(
      () =>
        new Adoption({
          store,
          scope: "new",
          formerScopes: [SCOPE],
          platform,
          adopted: () => {
            adopted += 1;
          },
          failed: (error) => {
            throw error;
          },
        }),
    );
    const begun = Promise.all(adoptions.map((adoption) => adoption.begin()));
    await pass();
    expect(await begun).toEqual([false, false]);
    expect(await store.load(SCOPE)).toHaveLength(1);
    await former.outbox.close();
    await pass();
    expect(await store.load(SCOPE)).toEqual([]);
    expect(await store.load("new")).toHaveLength(1);
    // Whoever has waited looks, whichever of them has moved it.
    expect(adopted).toBe(2);
    for (const adoption of adoptions) adoption.close();
  } finally {
    vi.useRealTimers();
  }
});

test("what a tab under the former name leaves is sent by one that is open under the new one", async () => {
  const platform = new Browser();
  const storage = new SharedStore();
  vi.stubGlobal("navigator", { locks: platform.locks });
  vi.stubGlobal("BroadcastChannel", platform.BroadcastChannel);
  try {
    const former = clientOf({ storage, url: OLD, fetch: offline });
    former.client.open(DRAWING).createObject({ kind: "rect" });
    await within(() => storage.load(scopeOf(OLD)).then(({ length }) => length)).toBe(1);
    const { client, server } = clientOf({ storage, previousUrls: [OLD] });
    const drawing = client.open(DRAWING);
    await drawing.flush();
    expect(server.log).toEqual([]);
    await former.client.close();
    await within(() => server.log.length).toBe(1);
    await within(() => drawing.view().objects.length).toBe(1);
    expect(await storage.load(scopeOf(OLD))).toEqual([]);
    await client.close();
  } finally {
    vi.unstubAllGlobals();
  }
});
