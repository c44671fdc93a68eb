import "fake-indexeddb/auto";
import { deleteDB } from "idb";
import { afterEach, describe, expect, test, vi } from "vitest";
import { COALESCE_WINDOW, MAX_WILL_BYTES } from "../../src/limits.js";
import { byteLength } from "../../src/outbox/coalesce.js";
import { IndexedDbStore, runsOf } from "../../src/outbox/indexeddb.js";
import { MemoryStore, type OutboxStore } from "../../src/outbox/store.js";
import { Browser, create, id, offline, opened, SCOPE, Server, update } from "./support.js";

const DATABASE = "outbox-test";
const made: OutboxStore[] = [];

function indexedDb(): IndexedDbStore {
  const store = new IndexedDbStore(DATABASE);
  made.push(store);
  return store;
}

afterEach(async () => {
  for (const store of made.splice(0)) store.close();
  await deleteDB(DATABASE);
});

const record = (n: number) => ({ op_id: id(n), body: `{"n":${n}}` });

describe.each([
  ["memory", () => new MemoryStore()],
  ["IndexedDB", indexedDb],
])("a storage in %s", (_, make: () => OutboxStore) => {
  test("keeps the order, by scope", async () => {
    const store = make();
    const keys = await store.append("one", [record(1), record(2)]);
    await store.append("two", [record(3)]);
    await store.append("one", [record(4)]);
    expect((await store.load("one")).map(({ op_id }) => op_id)).toEqual([id(1), id(2), id(4)]);
    expect((await store.load("one", keys[0])).map(({ op_id }) => op_id)).toEqual([id(2), id(4)]);
    expect(await store.load("two")).toMatchObject([record(3)]);
    expect(await store.load("three")).toEqual([]);
  });

  test("changes records in their place, and removes them", async () => {
    const store = make();
    const [first = 0, second = 0] = await store.append("one", [record(1), record(2), record(3)]);
    const rejected = { code: "invalid_op", detail: "no" };
    await store.change("one", {
      put: [{ key: first, op_id: id(1), body: "{}", rejected }],
      remove: [second, 99],
    });
    expect(await store.load("one")).toMatchObject([
      { key: first, op_id: id(1), body: "{}", rejected },
      record(3),
    ]);
  });

  test("moves what is under a scope to another one, as it is", async () => {
    const store = make();
    const [first = 0] = await store.append("old", [record(1)]);
    await store.append("new", [record(2)]);
    await store.append("old", [record(3)]);
    await store.append("older", [record(4)]);
    const rejected = { code: "invalid_op", detail: "no" };
    await store.change("old", { put: [{ key: first, ...record(1), rejected }] });
    expect(await store.move?.("old", "new")).toBe(2);
    expect(await store.load("new")).toMatchObject([
      { key: first, ...record(1), rejected },
      record(2),
      record(3),
    ]);
    expect(await store.load("old")).toEqual([]);
    expect(await store.load("older")).toHaveLength(1);
    expect(await store.move?.("old", "new")).toBe(0);
    expect(await store.move?.("new", "new")).toBe(0);
    expect(await store.load("new")).toHaveLength(3);
  });

  test("erases what is under scopes that begin so, and tells what was still to be sent", async () => {
    const store = make();
    await store.append("a", [record(1)]);
    await store.append("ab", [record(2), record(3)]);
    const [key = 0] = await store.append("abc", [record(4)]);
    const rejected = { code: "invalid_op", detail: "no" };
    await store.change("abc", { put: [{ key, ...record(4), rejected }] });
    await store.append("b", [record(5)]);
    expect(await store.erase("ab")).toBe(2);
    const left = await Promise.all(["a", "ab", "abc", "b"].map((scope) => store.load(scope)));
    expect(left.map((records) => records.length)).toEqual([1, 0, 0, 1]);
    expect(await store.erase("ab")).toBe(0);
  });

  test("calls take effect in the order in which they were made", async () => {
    const store = make();
    const before = store.load("one");
    const appended = store.append("one", [record(1)]);
    const between = store.load("one");
    const [key = 0] = await appended;
    const removed = store.change("one", { remove: [key] });
    const after = store.load("one");
    await removed;
    expect([(await before).length, (await between).length, (await after).length]).toEqual([0, 1, 0]);
  });
});

describe("IndexedDB", () => {
  test("keeps what it was given when it is opened again", async () => {
    const first = indexedDb();
    await first.append("one", [record(1)]);
    first.close();
    await expect(first.load("one")).rejects.toMatchObject({ code: "closed" });
    expect(await indexedDb().load("one")).toMatchObject([record(1)]);
  });

  test("gives way to whoever deletes the database, and opens it anew", async () => {
    const store = indexedDb();
    await store.append("one", [record(1)]);
    await deleteDB(DATABASE);
    expect(await store.load("one")).toEqual([]);
  });

  test("a write has begun when the call returns", async () => {
    const store = indexedDb();
    await store.load("one");
    const begin = vi.spyOn(IDBDatabase.prototype, "transaction");
    void store.append("one", [record(1)]);
    expect(begin).toHaveBeenCalledWith("ops", "readwrite", { durability: "strict" });
    begin.mockRestore();
  });

  test("an outbox sends after a reload what was left, as it was stored", async () => {
    const server = new Server();
    const platform = new Browser();
    server.handler = offline;
    const first = await opened({ store: indexedDb(), platform, server });
    first.outbox.add(create(1, "a"));
    first.outbox.add(update(2, "a", { x: 1 }));
    first.outbox.add(update(3, "a", { x: 2 }, 2));
    await first.outbox.close();
    const bodies = (await first.store.load(SCOPE)).map(({ body }) => body);
    expect(bodies).toHaveLength(2);

    server.handler = () => undefined;
    const second = await opened({ store: indexedDb(), platform, server });
    await second.outbox.flush();
    expect(server.requests.at(-1)?.body).toBe(`{"ops":[${bodies.join(",")}]}`);
    await second.outbox.close();
    expect(await second.store.load(SCOPE)).toEqual([]);
  });

  test("two tabs: one sends, the other takes over", async () => {
    const server = new Server();
    const platform = new Browser();
    const one = await opened({ store: indexedDb(), platform, server });
    const two = await opened({ store: indexedDb(), platform, server: new Server() });
    two.outbox.add(create(1, "a"));
    await two.outbox.flush();
    expect(server.sent).toEqual([[1]]);
    expect(two.server.requests).toEqual([]);
    await one.outbox.close();
    two.outbox.add(update(2, "a", { x: 1 }));
    await two.outbox.flush();
    expect(two.server.sent).toEqual([[2]]);
    await two.outbox.close();
  });

  test("where it is not allowed, the outbox goes on in memory", async () => {
    const open = vi.spyOn(indexedDB, "open").mockImplementation(() => {
      throw new DOMException("private mode", "SecurityError");
    });
    const { outbox, server, told } = await opened({ store: indexedDb(), platform: new Browser() });
    outbox.add(update(1, "a", { x: 1 }));
    await vi.waitFor(() => expect(server.sent).toEqual([[1]]), { timeout: COALESCE_WINDOW * 20 });
    expect(told.errors).toEqual(["STORAGE_FAILED"]);
    await outbox.close();
    open.mockRestore();
  });
});

describe("a will", () => {
  /** The local storage of a browser, as far as it is needed. */
  function localStorage(): Record<string, string> {
    const kept: Record<string, string> = {};
    const methods = {
      getItem: (key: string) => kept[key] ?? null,
      setItem: (key: string, value: string) => void Object.assign(kept, { [key]: value }),
      removeItem: (key: string) => void delete kept[key],
    };
    for (const [name, value] of Object.entries(methods)) {
      Object.defineProperty(kept, name, { value, enumerable: false });
    }
    vi.stubGlobal("localStorage", kept);
    return kept;
  }
  afterEach(() => void vi.unstubAllGlobals());
  const idsOf = async (store: OutboxStore) => (await store.load("one")).map(({ op_id }) => op_id);

  test("of a page that is gone is taken in by the next one, once, after what was stored", async () => {
    const kept = localStorage();
    const first = indexedDb();
    await first.append("one", [record(1)]);
    first.leave("one", [record(2), record(3)]);
    first.close();
    const next = indexedDb();
    expect(await next.load("two")).toEqual([]);
    expect(await idsOf(next)).toEqual([id(1), id(2), id(3)]);
    expect(await idsOf(indexedDb())).toEqual([id(1), id(2), id(3)]);
    expect(Object.keys(kept)).toEqual([]);
  });

  test("is dropped once the page that goes on has stored it", async () => {
    const kept = localStorage();
    const store = indexedDb();
    store.leave("one", [record(1), record(2)]);
    const [key = 0] = await store.append("one", [record(1)]);
    expect(Object.keys(kept)).toHaveLength(1);
    // What it stores itself it does not take in.
    expect(await idsOf(store)).toEqual([id(1)]);
    await store.append("one", [record(2)]);
    expect(Object.keys(kept)).toEqual([]);
    store.leave("one", [{ op_id: id(1), body: "longer" }]);
    await store.change("one", { put: [{ key, op_id: id(1), body: "longer" }] });
    expect(Object.keys(kept)).toEqual([]);
  });

  test("has the newer body of an op that was stored before", async () => {
    localStorage();
    const first = indexedDb();
    const [key] = await first.append("one", [record(1), record(2)]);
    first.leave("one", [{ op_id: id(1), body: "longer" }]);
    first.close();
    expect(await indexedDb().load("one")).toMatchObject([{ key, body: "longer" }, record(2)]);
  });

  test("holds the oldest ops, as far as there is room", async () => {
    localStorage();
    const body = "x".repeat(MAX_WILL_BYTES / 2);
    indexedDb().leave(
      "one",
      [1, 2, 3].map((n) => ({ op_id: id(n), body })),
    );
    expect(await idsOf(indexedDb())).toEqual([id(1), id(2)]);
  });

  test("is erased with the rest, and counted", async () => {
    const kept = localStorage();
    const store = indexedDb();
    await store.append("one", [record(1)]);
    store.leave("one", [record(2)]);
    store.leave("two", [record(3)]);
    expect(await store.erase("one")).toBe(2);
    expect(Object.keys(kept)).toHaveLength(1);
  });

  test("that cannot be read is none", async () => {
    const kept = localStorage();
    for (const text of ["{", "3", "[1]", '[{"op_id":1}]']) {
      kept["revcast-outbox:one"] = text;
      expect(await indexedDb().load("one")).toEqual([]);
    }
    vi.stubGlobal("localStorage", undefined);
    expect(() => indexedDb().leave("one", [record(1)])).not.toThrow();
    expect(await indexedDb().load("one")).toEqual([]);
  });
});

test("IndexedDB: thousands of ops are stored under the keys that are told, and removed in one call", async () => {
  const store = indexedDb();
  await store.append("other", [record(1)]);
  const ops = Array.from({ length: 2_000 }, (_, n) => record(n + 2));
  const keys = await store.append("one", ops);
  const [late = 0] = await store.append("one", [record(2_002)]);
  expect((await store.load("one")).map(({ key, op_id }) => [key, op_id])).toEqual([
    ...ops.map(({ op_id }, index) => [keys[index], op_id]),
    [late, id(2_002)],
  ]);
  const removed = vi.spyOn(IDBObjectStore.prototype, "delete");
  await store.change("one", { remove: keys.toReversed() });
  expect(removed).toHaveBeenCalledTimes(1);
  removed.mockRestore();
  expect(await store.load("one")).toMatchObject([record(2_002)]);
  expect(await store.load("other")).toMatchObject([record(1)]);
  expect(runsOf([7, 3, 1, 2, 9])).toEqual([
    [1, 3],
    [7, 7],
    [9, 9],
  ]);
});

test("the size of a text is that of its UTF-8", () => {
  for (const text of [
    "",
    "a",
    "\u007f\u0080\u07ff\u0800\uffff",
    "🎉é–漢",
    "\ud83c",
    "\udf89\ud83c",
    "\ud83ca",
  ])
    expect(byteLength(text)).toBe(new TextEncoder().encode(text).length);
});
