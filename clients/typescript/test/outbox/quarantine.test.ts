import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { COALESCE_WINDOW, MAX_PENDING_OPS, MAX_REJECTED_BYTES, MAX_REJECTED_OPS } from "../../src/limits.js";
import type { PendingOp } from "../../src/ops.js";
import { type Held, Quarantine } from "../../src/outbox/quarantine.js";
import { MemoryStore } from "../../src/outbox/store.js";
import {
  append,
  begin,
  create,
  custom,
  EPOCH,
  id,
  numberOf,
  offline,
  opened,
  pass,
  problem,
  type Received,
  type Rig,
  SCOPE,
  undo,
  update,
} from "./support.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Gathers what is added while a first request fails, so that it goes out in one batch. */
async function gathered(rig: Rig, add: () => void): Promise<void> {
  rig.server.handler = offline;
  rig.outbox.add(custom(0xffff));
  await pass();
  add();
  await pass(COALESCE_WINDOW);
}

/** Sends what was gathered; the requests of it are those after the first batch. */
async function sent(rig: Rig, handler: (received: Received) => Response | undefined): Promise<number[][]> {
  const before = rig.server.requests.length;
  rig.server.handler = (received) => (received.ops[0]?.op_id === id(0xffff) ? undefined : handler(received));
  rig.outbox.wake();
  await pass();
  return rig.server.sent.slice(before + 1);
}

/** Refuses ops by their numbers, as the server does: nothing of the request is committed. */
const refusing =
  (numbers: readonly number[], code = "invalid_op", status = 422) =>
  ({ ops }: Received): Response | undefined => {
    const pointers = ops.flatMap((op, index) =>
      numbers.includes(numberOf(op)) ? [`/ops/${index}/props`] : [],
    );
    return pointers.length > 0 ? problem(status, code, pointers) : undefined;
  };

const rejectedOf = ({ told }: Rig): [number, string][] =>
  told.rejected.map(({ op, error }) => [numberOf(op), error.code]);

test("a refused op goes aside, with what depends on it, and the queue goes on", async () => {
  const rig = await opened();
  await gathered(rig, () => {
    rig.outbox.add(begin(1, "s"));
    rig.outbox.add(create(2, "a"));
    rig.outbox.add(append(3, "s", 1, 1));
    rig.outbox.add(undo(4, 1));
    rig.outbox.add(update(5, "s", { x: 1 }));
    rig.outbox.add(update(6, "a", { x: 1 }));
  });
  expect(await sent(rig, refusing([1]))).toEqual([
    [1, 2, 3, 4, 5, 6],
    [2, 6],
  ]);
  expect(rejectedOf(rig)).toEqual([
    [1, "invalid_op"],
    [3, "dependency_rejected"],
    [4, "dependency_rejected"],
    [5, "dependency_rejected"],
  ]);
  expect(rig.outbox.rejected[0]).toMatchObject({
    op: { op_id: id(1) },
    error: { detail: "wrong at /ops/0/props" },
  });
  expect(rig.outbox.sync).toBe("rejected");
  rig.outbox.dismissRejected();
  expect(rig.outbox.sync).toBe("saved");
  expect(rig.told.sync.slice(-2)).toEqual(["rejected", "saved"]);
  await pass();
  expect(await rig.store.load(SCOPE)).toEqual([]);
});

test("several that are named go aside at once", async () => {
  const rig = await opened();
  await gathered(rig, () => {
    for (let n = 1; n <= 4; n += 1) rig.outbox.add(custom(n));
  });
  expect(await sent(rig, refusing([2, 4]))).toEqual([
    [1, 2, 3, 4],
    [1, 3],
  ]);
});

test("what is drawn on after a refusal goes aside too", async () => {
  const rig = await opened();
  rig.server.handler = refusing([1], "forbidden", 403);
  rig.outbox.add(begin(1, "s"));
  await pass();
  rig.outbox.add(append(2, "s", 1, 1));
  rig.outbox.add(custom(3));
  await pass();
  expect(rejectedOf(rig)).toEqual([
    [1, "forbidden"],
    [2, "dependency_rejected"],
  ]);
  expect(rig.server.sent).toEqual([[1], [3]]);
  const stored = await rig.store.load(SCOPE);
  expect(stored.map(({ op_id, rejected }) => [op_id, rejected?.code])).toEqual([
    [id(1), "forbidden"],
    [id(2), "dependency_rejected"],
  ]);
});

test("an object that is created anew depends on nothing", async () => {
  const rig = await opened();
  await gathered(rig, () => {
    rig.outbox.add(create(1, "a"));
    rig.outbox.add(create(2, "a"));
    rig.outbox.add(update(3, "a", { x: 1 }));
  });
  expect(await sent(rig, refusing([1]))).toEqual([
    [1, 2, 3],
    [2, 3],
  ]);
  rig.outbox.add(update(4, "a", { x: 2 }));
  await pass(COALESCE_WINDOW);
  expect(rig.server.sent.at(-1)).toEqual([4]);
});

test("an id that was used for another op goes aside alone", async () => {
  const rig = await opened();
  await gathered(rig, () => {
    rig.outbox.add(begin(1, "s"));
    rig.outbox.add(append(2, "s", 1, 1));
  });
  await sent(rig, refusing([1], "op_id_conflict", 409));
  expect(rejectedOf(rig)).toEqual([[1, "op_id_conflict"]]);
  expect(rig.server.logged).toContain(2);
});

test("what is refused without being named is found by halving", async () => {
  const rig = await opened();
  await gathered(rig, () => {
    for (let n = 1; n <= 8; n += 1) rig.outbox.add(custom(n));
  });
  const requests = await sent(rig, ({ ops }) =>
    ops.some((op) => numberOf(op) === 6) ? problem(413, "too_large") : undefined,
  );
  expect(requests[0]).toHaveLength(8);
  expect(requests[1]).toEqual([1, 2, 3, 4]);
  expect(rejectedOf(rig)).toEqual([[6, "too_large"]]);
  expect(rig.server.logged.filter((n) => n < 10).sort()).toEqual([1, 2, 3, 4, 5, 7, 8]);
  expect(requests.length).toBeLessThan(12);
});

test("a body that a gateway finds too large is halved", async () => {
  const rig = await opened();
  await gathered(rig, () => {
    for (let n = 1; n <= 4; n += 1) rig.outbox.add(custom(n));
  });
  await sent(rig, ({ ops }) => (ops.length > 2 ? new Response("<html>", { status: 413 }) : undefined));
  expect(rig.outbox.rejected).toEqual([]);
  expect(rig.outbox.sync).toBe("saved");
});

test("a viewer's ops go aside in one request", async () => {
  const rig = await opened();
  await gathered(rig, () => {
    for (let n = 1; n <= 4; n += 1) rig.outbox.add(custom(n));
  });
  expect(await sent(rig, () => problem(403, "forbidden"))).toEqual([[1, 2, 3, 4]]);
  expect(rejectedOf(rig)).toHaveLength(4);
});

test.each([
  ["without access", () => problem(404, "not_found"), "not_found"],
  ["while the log is damaged", () => problem(500, "log_damaged"), "log_damaged"],
  ["from a gateway", () => new Response("<html>", { status: 403 }), "invalid_request"],
])("an answer %s rejects nothing, is told once, and is tried again slowly", async (_, answer, code) => {
  const rig = await opened();
  rig.server.handler = answer;
  rig.outbox.add(create(1, "a"));
  await pass(70_000);
  expect(rig.server.requests).toHaveLength(3);
  expect(rig.told.errors).toEqual([code]);
  expect(rig.outbox.sync).toBe("stored-locally");
  rig.server.handler = () => undefined;
  await pass(30_000);
  expect(rig.server.logged).toEqual([1]);
  expect(rig.outbox.rejected).toEqual([]);
});

test("rejected ops are there again after a reload, and are not sent", async () => {
  const store = new MemoryStore();
  const first = await opened({ store });
  first.server.handler = refusing([1]);
  first.outbox.add(create(1, "a"));
  await pass();
  await first.outbox.close();
  const second = await opened({ store });
  await pass();
  expect(rejectedOf(second)).toEqual([[1, "invalid_op"]]);
  expect(second.outbox.sync).toBe("rejected");
  expect(second.told.added).toEqual([]);
  expect(second.server.requests).toEqual([]);
  second.outbox.add(update(2, "a", { x: 1 }));
  await pass(COALESCE_WINDOW);
  expect(second.server.requests).toEqual([]);
});

test("a gesture of thousands whose first op is refused goes aside whole, and is sent again whole", async () => {
  const rig = await opened();
  const count = 2_500;
  rig.server.handler = ({ ops }) =>
    numberOf(ops[0] ?? custom(0)) === 1
      ? problem(403, "forbidden", "/ops/0")
      : problem(422, "unknown_unit", "/ops/0");
  rig.outbox.addAll(
    Array.from({ length: count }, (_, n) => {
      const op = update(n + 1, `o${n}`, { x: n }, 1);
      return { op, body: JSON.stringify(op) };
    }),
  );
  await pass(COALESCE_WINDOW);
  await pass(1);
  expect(rig.server.requests).toHaveLength(1);
  // It is under way.
  rig.outbox.add(update(count + 1, "o9", { x: 0 }, 1));
  await pass(COALESCE_WINDOW);
  expect(rig.server.requests).toHaveLength(1);
  expect(rejectedOf(rig).slice(0, 2)).toEqual([
    [1, "forbidden"],
    [2, "dependency_rejected"],
  ]);
  expect(rig.outbox.rejected).toHaveLength(count + 1);
  expect(await rig.store.load(SCOPE)).toHaveLength(count + 1);
  rig.server.handler = () => undefined;
  expect(rig.outbox.resend([id(1)])).toHaveLength(count + 1);
  await pass();
  expect(rig.server.logged).toEqual(Array.from({ length: count + 1 }, (_, n) => n + 1));
  expect(rig.outbox.rejected).toEqual([]);
  expect(await rig.store.load(SCOPE)).toEqual([]);
});

const held = (op: PendingOp, key: number, error = "dependency_rejected", filler = ""): Held => ({
  id: op.op_id,
  op,
  error: { code: error, detail: "" },
  place: { key, body: JSON.stringify(op) + filler },
  isStored: true,
});

test("of what is aside, too much in number goes, the oldest first", () => {
  const quarantine = new Quarantine();
  for (let n = 1; n <= MAX_REJECTED_OPS + 5; n += 1) quarantine.add(held(custom(n), n, "forbidden"));
  expect(
    quarantine
      .trim()
      .map(({ op }) => numberOf(op))
      .sort(),
  ).toEqual([1, 2, 3, 4, 5]);
  expect(quarantine.list).toHaveLength(MAX_REJECTED_OPS);
  expect(quarantine.trim()).toEqual([]);
});

test("of what is aside, too much in bytes goes by whole units, with what needs them", () => {
  const filler = "x".repeat(MAX_REJECTED_BYTES / 4);
  const quarantine = new Quarantine();
  quarantine.add(held(custom(1), 1, "forbidden", filler));
  quarantine.add(held(create(2, "a"), 2, "forbidden", filler));
  quarantine.add(held(custom(3), 3, "forbidden"));
  quarantine.add(held(update(4, "a", { x: 1 }, 5), 4, "dependency_rejected", filler));
  quarantine.add(held(update(6, "b", { x: 1 }, 5), 5, "dependency_rejected", filler));
  // The object and the unit that needs it are one family, which has grown last.
  expect(quarantine.trim().map(({ op }) => numberOf(op))).toEqual([1]);
  quarantine.add(held(custom(7), 7, "forbidden", filler));
  expect(
    quarantine
      .trim()
      .map(({ op }) => numberOf(op))
      .sort(),
  ).toEqual([2, 3, 4, 6]);
  expect(quarantine.list.map(({ op }) => numberOf(op))).toEqual([7]);
});

test("the newest unit is kept whole for as much as may be pending", () => {
  const quarantine = new Quarantine();
  quarantine.add(held(custom(0xfffff), 1, "forbidden"));
  for (let n = 1; n <= MAX_PENDING_OPS; n += 1) quarantine.add(held(update(n, "a", { x: n }, 1), n + 1));
  expect(quarantine.trim()).toHaveLength(1);
  quarantine.add(held(update(MAX_PENDING_OPS + 1, "a", { x: 0 }, 1), MAX_PENDING_OPS + 2));
  expect(quarantine.trim()).toHaveLength(MAX_PENDING_OPS + 1);
  expect(quarantine.isEmpty).toBe(true);
});

test("what has gone for want of room is gone from the storage, and does not come back", async () => {
  const store = new MemoryStore();
  const ops = Array.from({ length: MAX_REJECTED_OPS + 5 }, (_, n) => custom(n + 1));
  const keys = await store.append(
    SCOPE,
    ops.map((op) => ({ op_id: op.op_id, body: JSON.stringify(op) })),
  );
  const rejected = { code: "forbidden", detail: "" };
  await store.change(SCOPE, {
    put: ops.map((op, n) => ({ key: keys[n] ?? 0, op_id: op.op_id, body: JSON.stringify(op), rejected })),
  });
  const rig = await opened({ store });
  await pass();
  expect(rig.outbox.rejected).toHaveLength(MAX_REJECTED_OPS);
  expect(await store.load(SCOPE)).toHaveLength(MAX_REJECTED_OPS);
  rig.outbox.refresh();
  await pass();
  expect(rig.outbox.rejected[0]?.op.op_id).toBe(id(6));
});

test("the list stays the same array while nothing changes", () => {
  const quarantine = new Quarantine();
  const { list } = quarantine;
  quarantine.dismiss([]);
  expect(quarantine.list).toBe(list);
});

test("an op that was refused and yet is in the log was not refused", async () => {
  const rig = await opened();
  // It is committed, and the answer is lost; then the role is.
  rig.server.handler = (received) => {
    rig.server.commit(received);
    throw new TypeError("broken off");
  };
  rig.outbox.add(create(1, "a"));
  await pass();
  rig.server.handler = () => problem(403, "forbidden");
  rig.outbox.add(create(2, "b"));
  await pass(COALESCE_WINDOW);
  rig.outbox.wake();
  await pass();
  expect(rejectedOf(rig)).toEqual([
    [1, "forbidden"],
    [2, "forbidden"],
  ]);
  rig.outbox.confirmed([{ op_id: id(1), revision: 1 }], EPOCH);
  await pass();
  expect(rig.outbox.rejected.map(({ op }) => numberOf(op))).toEqual([2]);
  expect((await rig.store.load(SCOPE)).map(({ op_id }) => op_id)).toEqual([id(2)]);
  rig.server.handler = () => undefined;
  // It exists, so that what belongs to it goes on.
  rig.outbox.add(update(3, "a", { x: 1 }));
  await pass(COALESCE_WINDOW);
  expect(rig.server.logged).toEqual([1, 3]);
  rig.outbox.dismissRejected();
  expect(rig.outbox.sync).toBe("saved");
});

test("another op in the log under its id does not take a refusal back", async () => {
  const rig = await opened();
  rig.server.handler = refusing([1], "op_id_conflict", 409);
  rig.outbox.add(create(1, "a"));
  await pass();
  rig.outbox.confirmed([{ op_id: id(1), revision: 1 }], EPOCH);
  expect(rig.outbox.rejected).toHaveLength(1);
  expect(rig.outbox.sync).toBe("rejected");
});

const heldOf = ({ outbox }: Rig): number[] => outbox.rejected.map(({ op }) => numberOf(op));
const storedOf = async ({ store }: Rig): Promise<string[]> =>
  (await store.load(SCOPE)).map(
    ({ op_id, rejected }) => `${numberOf({ op_id })}${rejected ? " rejected" : ""}`,
  );

/** Two objects whose creation was refused, each with an update, and a note. */
async function refusedTwo(): Promise<Rig> {
  const rig = await opened();
  await gathered(rig, () => {
    rig.outbox.add(create(1, "a"));
    rig.outbox.add(create(2, "b"));
    rig.outbox.add(update(3, "b", { x: 1 }));
    rig.outbox.add(update(4, "a", { x: 1 }));
    rig.outbox.add(custom(5));
  });
  await sent(rig, refusing([1, 2, 5]));
  expect(heldOf(rig).sort()).toEqual([1, 2, 3, 4, 5]);
  rig.server.handler = () => undefined;
  return rig;
}

test("what is sent again takes along what was rejected for it, in its order and under its ids", async () => {
  const rig = await refusedTwo();
  const resent = rig.outbox.resend([id(1).toUpperCase()]);
  expect(resent.map(numberOf)).toEqual([1, 4]);
  expect(rig.outbox.pending.map(numberOf)).toEqual([1, 4]);
  expect(rig.outbox.sync).toBe("saving");
  await pass();
  expect(rig.server.sent.at(-1)).toEqual([1, 4]);
  expect(rig.server.logged).toEqual([0xffff, 1, 4]);
  expect(heldOf(rig).sort()).toEqual([2, 3, 5]);
  expect(await storedOf(rig)).toEqual(["2 rejected", "3 rejected", "5 rejected"]);
  expect(rig.outbox.sync).toBe("rejected");
  // It goes on from there.
  rig.outbox.add(update(6, "a", { x: 2 }));
  rig.outbox.add(update(7, "b", { x: 2 }));
  await pass(COALESCE_WINDOW);
  expect(rig.server.sent.at(-1)).toEqual([6]);
  expect(heldOf(rig).sort()).toEqual([2, 3, 5, 7]);
});

test("what depends on an op that stays aside stays with it", async () => {
  const rig = await refusedTwo();
  expect(rig.outbox.resend([id(3), id(5), id(99)]).map(numberOf)).toEqual([5]);
  expect(rig.outbox.resend([id(3)])).toEqual([]);
  await pass();
  expect(rig.server.logged).toEqual([0xffff, 5]);
  expect(rig.outbox.resend([id(3), id(2)]).map(numberOf)).toEqual([2, 3]);
  await pass();
  expect(rig.server.logged).toEqual([0xffff, 5, 2, 3]);
});

test("what is discarded takes along what was rejected for it, and nothing else", async () => {
  const rig = await refusedTwo();
  rig.outbox.dismissRejected([id(2)]);
  await pass();
  expect(heldOf(rig).sort()).toEqual([1, 4, 5]);
  expect(await storedOf(rig)).toEqual(["1 rejected", "4 rejected", "5 rejected"]);
  expect(rig.outbox.sync).toBe("rejected");
  rig.outbox.dismissRejected([id(5)]);
  rig.outbox.dismissRejected([id(1)]);
  await pass();
  expect(await storedOf(rig)).toEqual([]);
  expect(rig.outbox.sync).toBe("saved");
  expect(rig.server.logged).toEqual([0xffff]);
});

test("an op that is refused again goes aside again, and may be sent once more", async () => {
  const rig = await opened();
  rig.server.handler = refusing([1]);
  rig.outbox.add(create(1, "a"));
  await pass();
  rig.outbox.resend([id(1)]);
  await pass();
  expect(rejectedOf(rig)).toEqual([
    [1, "invalid_op"],
    [1, "invalid_op"],
  ]);
  expect(await storedOf(rig)).toEqual(["1 rejected"]);
  rig.server.handler = () => undefined;
  rig.outbox.resend([id(1)]);
  await pass();
  expect(rig.server.logged).toEqual([1]);
  const [body, ...bodies] = rig.server.requests.map((request) => request.body);
  expect(bodies).toEqual([body, body]);
  expect(await storedOf(rig)).toEqual([]);
});

test("an op may be sent again before it is stored as rejected, and it outlives the page as such", async () => {
  const store = new MemoryStore();
  const first = await opened({ store });
  first.server.handler = refusing([1]);
  first.outbox.add(create(1, "a"));
  while (first.outbox.rejected.length === 0) await Promise.resolve();
  first.server.handler = offline;
  first.outbox.resend([id(1)]);
  await pass();
  expect(await storedOf(first)).toEqual(["1"]);
  await first.outbox.close();
  const second = await opened({ store });
  await pass();
  expect(second.server.logged).toEqual([1]);
  expect(second.outbox.rejected).toEqual([]);
});

test("what is sent again after a reload goes before what was made after it", async () => {
  const store = new MemoryStore();
  const first = await opened({ store });
  first.server.handler = refusing([1, 2]);
  first.outbox.add(create(1, "a"));
  first.outbox.add(create(2, "b"));
  await pass();
  await first.outbox.close();
  const second = await opened({ store });
  await gathered(second, () => second.outbox.add(custom(3)));
  second.outbox.resend([id(2), id(1)]);
  expect(second.outbox.pending.map(numberOf)).toEqual([1, 2, 0xffff, 3]);
  await pass();
  second.server.handler = () => undefined;
  second.outbox.wake();
  await pass();
  expect(second.server.logged).toEqual([0xffff, 1, 2, 3]);
});

test("an op whose id is taken goes again under another one, in its unit", async () => {
  const rig = await opened();
  rig.server.handler = refusing([1], "op_id_conflict", 409);
  rig.outbox.add(create(1, "a"));
  await pass();
  rig.server.handler = () => undefined;
  const [resent] = rig.outbox.resend([id(1)]);
  expect(resent).toEqual({ ...create(1, "a"), op_id: expect.not.stringMatching(id(1)), unit: id(1) });
  await pass();
  expect([...rig.server.log.keys()]).toEqual([resent?.op_id]);
  expect(await storedOf(rig)).toEqual([]);
});

test("while the storage fails, what is sent again is sent from memory", async () => {
  const rig = await refusedTwo();
  const change = vi.spyOn(rig.store, "change").mockRejectedValue(new Error("full"));
  rig.outbox.resend([id(1)]);
  await pass();
  expect(rig.server.logged).toEqual([0xffff, 1, 4]);
  change.mockRestore();
});

test("nothing is sent again from a closed outbox", async () => {
  const rig = await refusedTwo();
  await rig.outbox.close();
  expect(() => rig.outbox.resend([id(1)])).toThrow("closed");
});
