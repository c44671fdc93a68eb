// A unit that is folded while it is drawn loses nothing but being undone as one.

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { COALESCE_WINDOW, MAX_CONTINUED_UNITS, MAX_OFFLINE_POINTS } from "../../src/limits.js";
import type { PendingOp } from "../../src/ops.js";
import { MemoryStore, type OutboxStore } from "../../src/outbox/store.js";
import {
  append,
  Browser,
  begin,
  create,
  custom,
  deferred,
  EPOCH,
  id,
  offline,
  opened,
  pass,
  problem,
  type Received,
  type Rig,
  SCOPE,
  Server,
  SharedStore,
  undo,
  update,
} from "./support.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** A server that has closed some units: it names the first op of them that it does not have yet. */
function closing(server: Server, ...units: string[]) {
  return ({ ops }: Received): Response | undefined => {
    const isClosed = (op: { op_id: string; unit?: string }) =>
      !server.log.has(op.op_id) && op.unit !== undefined && units.includes(op.unit);
    const at = ops.findIndex(isClosed);
    return at < 0 ? undefined : problem(409, "unit_closed", `/ops/${at}/unit`);
  };
}

const logged = ({ log }: Server): PendingOp[] => [...log.values()].map(({ body }) => JSON.parse(body));
const unitsOf = (ops: readonly PendingOp[]) => ops.map((op) => op.unit);

/** An outbox that was offline while this was added, in one batch, and that a server answers now. */
async function gathered(rig: Rig, ops: readonly PendingOp[]): Promise<void> {
  rig.server.handler = offline;
  rig.outbox.add(custom(0xffff));
  await pass();
  for (const op of ops) rig.outbox.add(op);
  await pass(COALESCE_WINDOW);
}

async function sent(rig: Rig, handler: Server["handler"]): Promise<void> {
  rig.server.handler = handler;
  rig.outbox.wake();
  await pass();
}

test("what is left of a closed unit goes on as a unit of its own, in its place", async () => {
  const rig = await opened();
  const { server, told, outbox } = rig;
  await gathered(rig, [append(2, "a", 2, 1), create(9, "b"), append(3, "a", 3, 1), append(4, "a", 4, 1)]);
  await sent(rig, closing(server, id(1)));
  const [, first, other, ...rest] = logged(server);
  expect(first).toMatchObject({ type: "stroke.append", object_id: "a", index: 2, points: [[2, 2]] });
  expect(first).not.toHaveProperty("unit");
  expect(first?.op_id).not.toBe(id(2));
  expect(other?.op_id).toBe(id(9));
  // What was never taken keeps its id.
  expect(rest.map(({ op_id, unit }) => [op_id, unit])).toEqual([
    [id(3), first?.op_id],
    [id(4), first?.op_id],
  ]);
  expect(told.rejected).toEqual([]);
  // That of before, the batch, and the batch once more.
  expect(server.requests.slice(1).map(({ ops }) => ops.length)).toEqual([1, 4, 4]);
  expect(told.removed).toEqual([id(2)]);
  expect(told.continued).toBe(1);
  expect(told.added.at(-1)).toEqual(first);
  expect(told.amended.map(({ op_id, unit }) => [op_id, unit])).toEqual([
    [id(3), first?.op_id],
    [id(4), first?.op_id],
  ]);
  expect(outbox.sync).toBe("saved");
});

test("what is drawn on joins the unit as which its own goes on, however often", async () => {
  const rig = await opened();
  const { server, outbox } = rig;
  server.handler = closing(server, id(1));
  outbox.add(append(2, "a", 2, 1));
  await pass(COALESCE_WINDOW);
  const [first] = logged(server);
  outbox.add(append(3, "a", 3, 1));
  await pass(COALESCE_WINDOW);
  server.handler = closing(server, id(1), first?.op_id ?? "");
  outbox.add(append(4, "a", 4, 1));
  await pass(COALESCE_WINDOW);
  const third = logged(server)[2];
  outbox.add(append(5, "a", 5, 1));
  await pass(COALESCE_WINDOW);
  expect(unitsOf(logged(server))).toEqual([undefined, first?.op_id, undefined, third?.op_id]);
  // One refusal for each unit that was closed.
  expect(server.requests).toHaveLength(6);
});

test("updates that wait or come in the meantime move too, and are merged still", async () => {
  const rig = await opened();
  const { server, outbox } = rig;
  const answer = deferred<Response | undefined>();
  server.handler = () => answer.promise;
  outbox.add(update(2, "a", { x: 1 }, 1));
  await pass(COALESCE_WINDOW);
  outbox.add(update(3, "a", { x: 2 }, 1));
  outbox.add(update(4, "b", { x: 3 }, 1));
  server.handler = closing(server, id(1));
  answer.resolve(problem(409, "unit_closed", "/ops/0/unit"));
  await pass(COALESCE_WINDOW);
  outbox.add(update(5, "b", { x: 4 }, 1));
  await pass(COALESCE_WINDOW);
  const [first, ...rest] = logged(server);
  expect(first).toMatchObject({ object_id: "a", set: { x: 2 } });
  expect(rest).toMatchObject([
    { op_id: id(4), object_id: "b", set: { x: 3 }, unit: first?.op_id },
    { op_id: id(5), object_id: "b", set: { x: 4 }, unit: first?.op_id },
  ]);
  expect(outbox.sync).toBe("saved");
});

test("an undo of a closed unit is refused, and keeps nothing else of it from being drawn", async () => {
  const rig = await opened();
  const { server, told } = rig;
  await gathered(rig, [undo(5, 1), append(2, "a", 2, 1)]);
  await sent(rig, closing(server, id(1)));
  expect(told.continued).toBe(1);
  expect(told.rejected.map(({ op, error }) => [op.op_id, error.code])).toEqual([[id(5), "unit_closed"]]);
  expect(logged(server)[1]).toMatchObject({ type: "stroke.append", index: 2 });
});

test("what may be in the log is moved only once the server says that it is not", async () => {
  const store = new MemoryStore();
  await store.append(
    SCOPE,
    [2, 3, 4].map((n) => ({ op_id: id(n), body: JSON.stringify(append(n, "a", n, 1)) })),
  );
  const server = new Server();
  // The answer to the second one was lost in an earlier session.
  server.log.set(id(3), { body: JSON.stringify(append(3, "a", 3, 1)), revision: 1 });
  server.handler = closing(server, id(1));
  const { told, outbox } = await opened({ server, store });
  await pass();
  const [known, first, second] = logged(server);
  expect(known?.op_id).toBe(id(3));
  expect([first, second]).toMatchObject([{ index: 2 }, { index: 4, unit: first?.op_id }]);
  expect(server.log.size).toBe(3);
  expect(told.rejected).toEqual([]);
  expect(outbox.sync).toBe("saved");
  expect(await store.load(SCOPE)).toEqual([]);
});

test("what has moved is stored before it is sent", async () => {
  const store = new MemoryStore();
  const rig = await opened({ store });
  const { server } = rig;
  await gathered(rig, [append(2, "a", 2, 1), append(3, "a", 3, 1)]);
  const isClosed = closing(server, id(1));
  const stored: string[][] = [];
  await sent(rig, async (received) => {
    const bodies = (await store.load(SCOPE)).map(({ body }) => body);
    if (isClosed(received) === undefined && received.ops.length > 1) stored.push(bodies);
    return isClosed(received);
  });
  expect(stored).toEqual([
    logged(server)
      .slice(1)
      .map((op) => JSON.stringify(op)),
  ]);
});

test("what moves is sent also when the storage fails just then", async () => {
  const store = new MemoryStore();
  const rig = await opened({ store });
  await gathered(rig, [append(2, "a", 2, 1), append(3, "a", 3, 1)]);
  vi.spyOn(store, "change").mockRejectedValue(new Error("quota"));
  await sent(rig, closing(rig.server, id(1)));
  const [, first, second] = logged(rig.server);
  expect([first, second]).toMatchObject([{ index: 2 }, { index: 3, unit: first?.op_id }]);
  expect(rig.told.errors).toEqual(["STORAGE_FAILED"]);
  expect(rig.outbox.sync).toBe("saved");
});

test("what is seen in the log while it is moved is not sent again", async () => {
  const store = new MemoryStore();
  const rig = await opened({ store });
  const { server, outbox } = rig;
  await gathered(rig, [append(2, "a", 2, 1), append(3, "a", 3, 1)]);
  const storing = deferred<void>();
  const change = store.change.bind(store);
  vi.spyOn(store, "change")
    .mockImplementationOnce(change)
    .mockImplementationOnce(async (...args) => {
      await storing.promise;
      return change(...args);
    });
  await sent(rig, closing(server, id(1)));
  // A beacon has brought it there after all.
  outbox.confirmed([{ op_id: id(3), revision: 7 }], EPOCH);
  storing.resolve();
  await pass();
  expect(logged(server).slice(1)).toMatchObject([{ index: 2 }]);
  expect(outbox.sync).toBe("saved");
  expect(await store.load(SCOPE)).toEqual([]);
});

test("other tabs see what has moved, once", async () => {
  const platform = new Browser();
  const store = new SharedStore();
  const one = await opened({ platform, store });
  await pass();
  const two = await opened({ platform, store });
  await pass();
  await gathered(one, [append(2, "a", 2, 1), append(3, "a", 3, 1)]);
  const refused = closing(one.server, id(1));
  // It refuses, and is not to be reached then.
  await sent(one, (received) => refused(received) ?? (received.ops.length > 1 ? offline() : undefined));
  const pending = one.outbox.pending;
  expect(unitsOf(pending)).toEqual([undefined, pending[0]?.op_id]);
  expect(two.outbox.pending).toEqual(pending);
  expect(two.told.removed).toContain(id(2));
  expect(two.told.rejected).toEqual([]);
});

test("a request that was put off has changed nothing: all of its closed units move at once", async () => {
  const rig = await opened();
  const { server } = rig;
  await gathered(
    rig,
    [2, 3, 4].map((n) => append(n, "a", n, 1)),
  );
  const before = server.requests.length;
  await sent(rig, ({ ops }) =>
    ops.length > 1 ? problem(429, "rate_limited", [], { "Retry-After": "1" }) : undefined,
  );
  server.handler = closing(server, id(1));
  await pass(2_000);
  // What was gathered before; put off; refused; taken.
  expect(server.requests.slice(before).map(({ ops }) => ops.length)).toEqual([1, 3, 3, 3]);
  expect(rig.outbox.sync).toBe("saved");
});

test("it is remembered as what a bounded number of units go on", async () => {
  const rig = await opened();
  const { server, outbox } = rig;
  const isRefused = vi.fn();
  server.handler = ({ ops }) => {
    const at = ops.findIndex(
      (op) => Number.parseInt((op as PendingOp).unit?.slice(-12) ?? "0", 16) >= 0x10000,
    );
    if (at >= 0 && (ops[at] as PendingOp).unit?.startsWith("01980000-0000-7000-8000-")) {
      isRefused();
      return problem(409, "unit_closed", `/ops/${at}/unit`);
    }
    return undefined;
  };
  for (let n = 0; n <= MAX_CONTINUED_UNITS; n += 1) {
    outbox.add(append(n + 1, "a", 1, 0x10000 + n));
    await pass(COALESCE_WINDOW);
  }
  const before = isRefused.mock.calls.length;
  outbox.add(append(0x8000, "a", 2, 0x10001));
  await pass(COALESCE_WINDOW);
  expect(isRefused).toHaveBeenCalledTimes(before);
  outbox.add(append(0x8001, "a", 2, 0x10000));
  await pass(COALESCE_WINDOW);
  expect(isRefused).toHaveBeenCalledTimes(before + 1);
  expect(outbox.sync).toBe("saved");
});

test("what was undone before it could be sent stays undone", async () => {
  const rig = await opened();
  await gathered(rig, [append(2, "a", 2, 1), undo(3, 1)]);
  await sent(rig, closing(rig.server, id(1)));
  const [, rest, undone] = logged(rig.server);
  expect(undone).toMatchObject({ op_id: id(3), type: "undo", unit: rest?.op_id });
  expect(rig.told.rejected).toEqual([]);
});

test.each([1, 2, 3])(
  "a unit is closed within a request, and %i ops of others later also for what was before",
  async (others) => {
    const rig = await opened();
    const { server, told } = rig;
    await gathered(
      rig,
      [2, 3, 4, 5].map((n) => ({ ...create(n, `o${n}`), unit: id(1) })),
    );
    let left = 2;
    // The head moves while the server looks at the ops of a request, and somebody else draws after the first one.
    const answer = ({ ops }: Received): Response | undefined => {
      let room = left;
      const begun = new Set<string>();
      for (const [index, op] of ops.entries()) {
        const { unit = op.op_id } = op as PendingOp;
        if (unit === id(1) && room <= 0) return problem(409, "unit_closed", `/ops/${index}/unit`);
        const isKnown = unit === id(1) || unit === op.op_id || begun.has(unit) || server.log.has(unit);
        if (!isKnown) return problem(422, "unknown_unit", `/ops/${index}/unit`);
        room -= 1;
        begun.add(op.op_id);
      }
      return undefined;
    };
    await sent(rig, (received) => {
      const refused = answer(received);
      if (refused !== undefined) left -= others;
      return refused;
    });
    expect(told.rejected).toEqual([]);
    const drawn = logged(server).flatMap((op) => (op.type === "object.create" ? [op.object_id] : []));
    expect(drawn).toEqual(["o2", "o3", "o4", "o5"]);
  },
);

test("what moved while the storage failed is lost by no look into it, and keeps the body that was sent", async () => {
  const store = new SharedStore();
  const rig = await opened({ store, platform: new Browser() });
  await pass();
  const { server, outbox } = rig;
  await gathered(rig, [append(2, "a", 2, 1), append(3, "a", 3, 1)]);
  vi.spyOn(store, "change").mockRejectedValue(new Error("quota"));
  const refused = closing(server, id(1));
  const bodies = new Map<string, Set<string>>();
  let isReachable = false;
  await sent(rig, (received) => {
    const answer = refused(received);
    if (answer !== undefined) return answer;
    for (const op of received.ops) {
      bodies.set(op.op_id, (bodies.get(op.op_id) ?? new Set()).add(JSON.stringify(op)));
    }
    return isReachable || received.ops.length === 1 ? undefined : offline();
  });
  outbox.wake();
  await pass();
  expect(outbox.pendingCount).toBe(2);
  isReachable = true;
  outbox.wake();
  await pass();
  const indexes = logged(server).flatMap((op) => (op.type === "stroke.append" ? [op.index] : []));
  expect(indexes).toEqual([2, 3]);
  expect([...bodies.values()].map(({ size }) => size)).toEqual([1, 1, 1]);
});

test("tabs that cannot agree on who sends move an op to the same place", async () => {
  const store = new SharedStore();
  const server = new Server();
  const platform = { locks: undefined, BroadcastChannel: undefined };
  await store.append(SCOPE, [{ op_id: id(2), body: JSON.stringify({ ...custom(2), unit: id(1) }) }]);
  server.handler = offline;
  const tabs = [await opened({ store, server, platform }), await opened({ store, server, platform })];
  await pass();
  server.handler = closing(server, id(1));
  for (const { outbox } of tabs) outbox.wake();
  await pass(60_000);
  expect(logged(server)).toHaveLength(1);
});

test("many ops of a closed unit, left by an earlier session, are few requests", async () => {
  const store = new MemoryStore();
  const ops = Array.from({ length: 1000 }, (_, n) => ({ ...create(n + 2, `o${n}`), unit: id(1) }));
  await store.append(
    SCOPE,
    ops.map((op) => ({ op_id: op.op_id, body: JSON.stringify(op) })),
  );
  const server = new Server();
  // The server names all ops whose units are closed.
  server.handler = ({ ops }) => {
    const places = ops.flatMap((op, at) => ((op as PendingOp).unit === id(1) ? [`/ops/${at}/unit`] : []));
    return places.length > 0 ? problem(409, "unit_closed", places) : undefined;
  };
  const { outbox } = await opened({ server, store });
  await pass();
  expect(outbox.sync).toBe("saved");
  expect(server.log.size).toBe(1000);
  expect(server.requests).toHaveLength(4);
});

test("a server that takes an op in no unit at all is not asked for ever", async () => {
  const rig = await opened();
  rig.server.handler = () => problem(409, "unit_closed", "/ops/0/unit");
  rig.outbox.add(append(2, "a", 2, 1));
  await pass(COALESCE_WINDOW);
  expect(rig.server.requests).toHaveLength(2);
  expect(rig.told.rejected).toMatchObject([{ op: { index: 2 }, error: { code: "unit_closed" } }]);
});

// --- Offline ------------------------------------------------------------------------------------

/** Draws on as a `Stroke` does: into the newest append, or into a further one. Ten points a window. */
async function drawOn({ outbox }: Rig, from: number, count: number, index: { next: number }): Promise<void> {
  for (let at = from; at < from + count; at += 1) {
    if (!outbox.extend("a", [[at, at]])) {
      outbox.add({ ...append(1000 + at, "a", index.next, 1), points: [[at, at]] } as PendingOp);
      index.next += 1;
    }
    await pass(COALESCE_WINDOW / 10);
  }
}

const pointsOf = (ops: readonly PendingOp[]) =>
  ops.flatMap((op) => (op.type === "stroke.append" ? op.points.map(([x]) => x) : []));

test.each([
  ["memory", () => new MemoryStore()],
  ["a storage that tabs share", () => new SharedStore()],
])("a stroke that is drawn offline into %s is few ops, and no point is lost", async (_, makeStore) => {
  const store: OutboxStore = makeStore();
  const rig = await opened({ store, platform: new Browser() });
  await pass();
  const { server, outbox } = rig;
  server.handler = offline;
  outbox.add(begin(1, "a"));
  await pass();
  const index = { next: 1 };
  await drawOn(rig, 0, 2 * MAX_OFFLINE_POINTS, index);
  await pass(COALESCE_WINDOW);
  const all = Array.from({ length: 2 * MAX_OFFLINE_POINTS }, (_, at) => at);
  expect(outbox.pendingCount).toBe(3);
  // A crash at this point loses nothing.
  const records = await store.load(SCOPE);
  expect(pointsOf(records.map(({ body }) => JSON.parse(body)))).toEqual(all);
  expect(outbox.sync).toBe("stored-locally");
  server.handler = () => undefined;
  outbox.wake();
  await pass();
  expect(pointsOf(logged(server))).toEqual(all);
  expect(await store.load(SCOPE)).toEqual([]);
  // Back on the network each window is sent at once.
  await drawOn(rig, 5000, 30, index);
  expect(server.log.size).toBeGreaterThanOrEqual(3 + 2);
});

test("a stroke that is drawn offline is not extended where another tab may send it", async () => {
  const platform = new Browser();
  const store = new SharedStore();
  const one = await opened({ platform, store });
  await pass();
  const two = await opened({ platform, store });
  await pass();
  for (const { server } of [one, two]) server.handler = offline;
  two.outbox.add(begin(1, "a"));
  await pass();
  two.outbox.add(append(2, "a", 1, 1));
  await pass(COALESCE_WINDOW);
  expect(two.outbox.sync).toBe("stored-locally");
  expect(two.outbox.extend("a", [[9, 9]])).toBe(false);
});

/** Slower than the pen is. */
class SlowStore extends MemoryStore {
  override async append(...args: Parameters<MemoryStore["append"]>) {
    await new Promise((resolve) => setTimeout(resolve, 30));
    return super.append(...args);
  }
  override async change(...args: Parameters<MemoryStore["change"]>) {
    await new Promise((resolve) => setTimeout(resolve, 30));
    return super.change(...args);
  }
}

test("closing waits for what a stroke has grown by while it was being stored", async () => {
  const store = new SlowStore();
  const rig = await opened({ store });
  rig.server.handler = offline;
  rig.outbox.add(begin(1, "a"));
  await pass(100);
  const index = { next: 1 };
  // The window ends while points are still coming, and its write is under way at the end.
  await drawOn(rig, 0, 12, index);
  let stored: PendingOp[] = [];
  void rig.outbox.close().then(async () => {
    stored = (await store.load(SCOPE)).map(({ body }) => JSON.parse(body));
  });
  await pass(1_000);
  expect(pointsOf(stored)).toEqual(Array.from({ length: 12 }, (_, at) => at));
});

test("a stroke grows also while it is being stored, and each op is stored once", async () => {
  const store = new SlowStore();
  const rig = await opened({ store });
  const { outbox, server } = rig;
  server.handler = offline;
  outbox.add(begin(1, "a"));
  await pass(100);
  const index = { next: 1 };
  await drawOn(rig, 0, 200, index);
  expect(outbox.pendingCount).toBe(2);
  // The page is left while the newest append is being stored, and lives on.
  outbox.leave();
  await drawOn(rig, 200, 10, index);
  outbox.leave();
  await pass(1_000);
  const records = await store.load(SCOPE);
  expect(new Set(records.map(({ op_id }) => op_id)).size).toBe(records.length);
  const all = Array.from({ length: 210 }, (_, at) => at);
  expect(pointsOf(records.map(({ body }) => JSON.parse(body)))).toEqual(all);
  server.handler = () => undefined;
  outbox.wake();
  await pass(1_000);
  expect(pointsOf(logged(server))).toEqual(all);
  expect(await store.load(SCOPE)).toEqual([]);
});

test("what may have been sent is not extended any more", async () => {
  const rig = await opened();
  rig.server.handler = offline;
  rig.outbox.add(append(2, "a", 1, 1));
  await pass(COALESCE_WINDOW);
  expect(rig.outbox.sync).toBe("stored-locally");
  expect(rig.outbox.extend("a", [[9, 9]])).toBe(false);
});

test("what is sent once more after a refusal is not extended any more", async () => {
  vi.stubGlobal("navigator", { onLine: false });
  const rig = await opened();
  const { server, outbox } = rig;
  // In one call of the storage, so that the append is the newest of its last one.
  await gathered(rig, [append(2, "a", 1, 1), custom(5)]);
  const answer = deferred<undefined>();
  // Nobody knows which one is meant, so that the batch is halved.
  await sent(rig, ({ ops }) => {
    if (ops.length > 1) return problem(422, "invalid_op");
    return ops[0]?.op_id === id(2) ? answer.promise : undefined;
  });
  expect(server.sent.at(-1)).toEqual([2]);
  expect(outbox.sync).toBe("stored-locally");
  expect(outbox.extend("a", [[9, 9]])).toBe(false);
  answer.resolve(undefined);
  await pass();
  expect(pointsOf(logged(server))).toEqual([2]);
});

test("when the storage fails as a stroke is extended, its points are sent from memory", async () => {
  const store = new MemoryStore();
  const rig = await opened({ store });
  rig.server.handler = offline;
  rig.outbox.add(begin(1, "a"));
  await pass();
  const index = { next: 1 };
  await drawOn(rig, 0, 20, index);
  vi.spyOn(store, "change").mockRejectedValue(new Error("quota"));
  await drawOn(rig, 20, 40, index);
  rig.server.handler = () => undefined;
  rig.outbox.wake();
  await pass(COALESCE_WINDOW);
  expect(pointsOf(logged(rig.server))).toEqual(Array.from({ length: 60 }, (_, at) => at));
  expect(rig.told.errors).toEqual(["STORAGE_FAILED"]);
});

test("of a stroke that is drawn offline its end is never stored without its points", async () => {
  /** Each call is a transaction of its own, one after the other, as in IndexedDB. */
  class SerialStore extends MemoryStore {
    committed = (): void => {};
    #last: Promise<unknown> = Promise.resolve();
    override append(...args: Parameters<MemoryStore["append"]>) {
      return this.#after(() => super.append(...args));
    }
    override change(...args: Parameters<MemoryStore["change"]>) {
      return this.#after(() => super.change(...args));
    }
    #after<T>(call: () => Promise<T>): Promise<T> {
      const done = this.#last.then(call);
      this.#last = done.catch(() => {});
      void done.then(() => this.committed());
      return done;
    }
  }
  const store = new SerialStore();
  const { outbox, server } = await opened({ store });
  server.handler = offline;
  outbox.add(begin(1, "a"));
  await pass();
  outbox.add(append(2, "a", 1, 1));
  await pass(COALESCE_WINDOW);
  // After each of them the page may crash.
  const states: Promise<PendingOp[]>[] = [];
  store.committed = () => {
    states.push(store.load(SCOPE).then((all) => all.map(({ body }) => JSON.parse(body))));
  };
  expect(outbox.extend("a", [[9, 9]])).toBe(true);
  outbox.add({ op_id: id(3), type: "stroke.end", object_id: "a", unit: id(1), count: 1 });
  await pass(COALESCE_WINDOW);
  const stored = await Promise.all(states);
  expect(stored.at(-1)?.map(({ type }) => type)).toContain("stroke.end");
  for (const ops of stored) {
    if (ops.some(({ type }) => type === "stroke.end")) expect(pointsOf(ops)).toEqual([2, 9]);
  }
});

test("the next tab to send sends what is stored, not what it knew of it", async () => {
  const platform = new Browser();
  const store = new SharedStore();
  const server = new Server();
  server.handler = offline;
  const one = await opened({ platform, store, server });
  await pass();
  await opened({ platform, store, server });
  await pass();
  one.outbox.add(begin(1, "a"));
  await pass();
  one.outbox.add(append(2, "a", 1, 1));
  await pass(COALESCE_WINDOW);
  expect(one.outbox.extend("a", [[9, 9]])).toBe(true);
  await pass(COALESCE_WINDOW);
  // The page is gone, its last request is lost, and the network is back.
  server.handler = ({ keepalive }) => (keepalive ? offline() : undefined);
  await one.outbox.close();
  await pass(2_000);
  expect(pointsOf(logged(server))).toEqual([2, 9]);
});
