// What was acknowledged and then lost in a failover is posted again; nothing is posted twice for nothing.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  COALESCE_WINDOW,
  KEEP_RECEIPTS_FOR,
  MAX_EPOCH_REFUSALS,
  MAX_RECEIPT_BYTES,
  MAX_RECEIPTS,
} from "../../src/limits.js";
import { Queue } from "../../src/outbox/queue.js";
import { Receipts } from "../../src/outbox/receipts.js";
import {
  append,
  Browser,
  begin,
  create,
  custom,
  deferred,
  EPOCH,
  id,
  numberOf,
  offline,
  opened,
  pass,
  problem,
  type Rig,
  SCOPE,
  Server,
  SharedStore,
  update,
} from "./support.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const NEXT = "01980000-0000-7000-8000-00000000e0e1";
const goesOn = (base: number) => ({ epoch: NEXT, previous_epoch: EPOCH, base });

/** Loses all of the log above `base`, and goes on in the next epoch. */
function failover(server: Server, base: number, epoch = NEXT): void {
  for (const [op_id, { revision }] of server.log) if (revision > base) server.log.delete(op_id);
  server.epoch = epoch;
}

/** An outbox that follows the log, and has had some ops acknowledged. */
async function acknowledged(count: number): Promise<Rig> {
  const rig = await opened();
  rig.outbox.moved({ epoch: EPOCH });
  for (let n = 1; n <= count; n += 1) rig.outbox.add(custom(n));
  await pass(COALESCE_WINDOW);
  expect(rig.told.acks).toHaveLength(count);
  return rig;
}

describe("the log goes on in another epoch", () => {
  test("what was acknowledged above the base is posted again under its id, in order, once", async () => {
    const { outbox, server, told } = await acknowledged(4);
    failover(server, 2);
    outbox.moved(goesOn(2));
    expect(told.revoked).toEqual([id(3), id(4)]);
    expect(told.added.slice(4).map(numberOf)).toEqual([3, 4]);
    expect(outbox.sync).toBe("saving");
    await pass(60_000);
    expect(server.sent).toEqual([
      [1, 2, 3, 4],
      [3, 4],
    ]);
    expect(server.logged).toEqual([1, 2, 3, 4]);
    expect(told.acks.slice(4)).toEqual([
      { op_id: id(3), revision: 3 },
      { op_id: id(4), revision: 4 },
    ]);
    expect(outbox.sync).toBe("saved");
    outbox.moved(goesOn(2));
    await pass(60_000);
    expect(server.requests).toHaveLength(2);
  });

  test("what the new log has already comes back as a duplicate", async () => {
    const { outbox, server, told } = await acknowledged(2);
    server.epoch = NEXT;
    outbox.moved(goesOn(1));
    await pass();
    expect(server.sent.at(-1)).toEqual([2]);
    expect(server.logged).toEqual([1, 2]);
    expect(told.rejected).toEqual([]);
    expect(outbox.sync).toBe("saved");
  });

  test("level with the base, nothing is posted again", async () => {
    const { outbox, server, told } = await acknowledged(2);
    server.epoch = NEXT;
    outbox.moved(goesOn(2));
    await pass(60_000);
    expect(server.requests).toHaveLength(1);
    expect(told.revoked).toEqual([]);
    // What lay below one base is of that epoch from then on.
    failover(server, 1, "third");
    outbox.moved({ epoch: "third", previous_epoch: NEXT, base: 1 });
    await pass();
    expect(server.logged).toEqual([1, 2]);
    expect(told.revoked).toEqual([id(2)]);
  });

  test("what was seen in the log above the base is posted again, too", async () => {
    const rig = await opened();
    const { outbox, server, told } = rig;
    outbox.moved({ epoch: EPOCH });
    const answer = deferred<Response | undefined>();
    server.handler = () => answer.promise;
    outbox.add(custom(1));
    await pass();
    outbox.confirmed([{ op_id: id(1), revision: 1 }], EPOCH);
    server.handler = () => undefined;
    answer.resolve(undefined);
    await pass();
    failover(server, 0);
    outbox.moved(goesOn(0));
    await pass();
    expect(told.revoked).toEqual([id(1)]);
    expect(server.logged).toEqual([1]);
  });

  test("where the line is cut, all that is kept is posted again", async () => {
    const { outbox, server, told } = await acknowledged(3);
    failover(server, 2);
    outbox.moved({ epoch: NEXT });
    await pass();
    expect(told.revoked.map((op_id) => numberOf({ op_id }))).toEqual([1, 2, 3]);
    expect(server.sent.at(-1)).toEqual([1, 2, 3]);
    expect(server.logged).toEqual([1, 2, 3]);
    expect(told.rejected).toEqual([]);
  });

  test("it goes before what is pending, which may depend on it", async () => {
    const { outbox, server, told } = await opened();
    outbox.moved({ epoch: EPOCH });
    outbox.add(begin(1, "a"));
    await pass();
    const answer = deferred<Response | undefined>();
    server.handler = () => answer.promise;
    outbox.add(append(2, "a", 1, 1));
    await pass(COALESCE_WINDOW);
    failover(server, 0);
    server.handler = () => undefined;
    answer.resolve(undefined);
    await pass();
    // Refused: it was for the log of the epoch before.
    expect(server.logged).toEqual([]);
    expect(told.outrun).toBe(1);
    outbox.moved(goesOn(0));
    await pass();
    expect(server.logged).toEqual([1, 2]);
    expect(outbox.pending).toEqual([]);
    // It was sent again at once.
    expect(told.errors).toEqual([]);
    expect(told.sync).not.toContain("stored-locally");
    expect(told.rejected).toEqual([]);
    expect(outbox.sync).toBe("saved");
  });

  test("an older value that was lost does not come after a newer one", async () => {
    const { outbox, server } = await opened();
    outbox.moved({ epoch: EPOCH });
    outbox.add(create(1, "a"));
    await pass();
    outbox.add(update(2, "a", { x: 1 }));
    await pass(COALESCE_WINDOW);
    failover(server, 1);
    outbox.add(update(3, "a", { x: 2 }));
    await pass(COALESCE_WINDOW);
    outbox.moved(goesOn(1));
    await pass(60_000);
    expect(server.logged).toEqual([1, 2, 3]);
  });

  test("a request that fails while the epoch changes gives way to what was lost", async () => {
    const { outbox, server } = await opened();
    outbox.moved({ epoch: EPOCH });
    outbox.add(custom(1));
    await pass();
    server.handler = () => problem(503, "store_unavailable");
    outbox.add(custom(2));
    await pass();
    failover(server, 0);
    server.handler = () => undefined;
    outbox.moved(goesOn(0));
    await pass(60_000);
    expect(server.logged).toEqual([1, 2]);
  });
});

describe("answers of a log that is over", () => {
  test("an answer that comes after the change, and is above the base, is none", async () => {
    const { outbox, server, told } = await opened();
    outbox.moved({ epoch: EPOCH });
    const answer = deferred<Response | undefined>();
    server.handler = () => answer.promise;
    outbox.add(custom(1));
    await pass();
    const [received] = server.requests;
    if (received === undefined) throw new Error("nothing was sent");
    const late = server.commit(received);
    failover(server, 0);
    outbox.moved(goesOn(0));
    server.handler = () => undefined;
    answer.resolve(late);
    await pass();
    expect(told.acks).toEqual([{ op_id: id(1), revision: 1 }]);
    expect(server.sent).toEqual([[1], [1]]);
    expect(server.logged).toEqual([1]);
  });

  test("one that is not above the base is as good as any", async () => {
    const { outbox, server, told } = await opened();
    outbox.moved({ epoch: EPOCH });
    const answer = deferred<Response | undefined>();
    server.handler = () => answer.promise;
    outbox.add(custom(1));
    await pass();
    const [received] = server.requests;
    if (received === undefined) throw new Error("nothing was sent");
    const late = server.commit(received);
    outbox.moved(goesOn(1));
    answer.resolve(late);
    await pass(60_000);
    expect(told.acks).toHaveLength(1);
    expect(server.requests).toHaveLength(1);
    expect(outbox.sync).toBe("saved");
  });

  test("a duplicate of the new epoch is one, also where it is not above the base", async () => {
    const { outbox, server, told } = await opened();
    outbox.moved({ epoch: EPOCH });
    // Committed, and the answer is lost.
    server.handler = (received) => {
      server.commit(received);
      return problem(503, "store_unavailable");
    };
    outbox.add(custom(1));
    await pass();
    server.epoch = NEXT;
    server.handler = () => undefined;
    outbox.moved(goesOn(5));
    await pass(60_000);
    expect(server.sent).toEqual([[1], [1]]);
    expect(server.logged).toEqual([1]);
    expect(told.acks).toEqual([{ op_id: id(1), revision: 1 }]);
    expect(told.revoked).toEqual([]);
    expect([outbox.sync, outbox.pendingCount]).toEqual(["saved", 0]);
  });

  test("one of an epoch that is not known yet is taken, and kept until it is", async () => {
    const { outbox, server, told } = await opened();
    server.epoch = NEXT;
    outbox.add(custom(1));
    await pass();
    expect(told.acks).toHaveLength(1);
    outbox.moved(goesOn(0));
    await pass(60_000);
    expect(told.revoked).toEqual([]);
    expect(server.requests).toHaveLength(1);
  });
});

describe("the epoch of a request", () => {
  test("is that of the reader, and none before there is one", async () => {
    const { outbox, server } = await opened();
    outbox.add(custom(1));
    await pass();
    outbox.moved({ epoch: EPOCH });
    outbox.add(custom(2));
    await pass();
    expect(server.requests.map(({ body }) => JSON.parse(body).epoch)).toEqual([undefined, EPOCH]);
  });

  test("is that of the request with which the page leaves, too: a newer op does not overtake what was lost", async () => {
    const { outbox, server } = await acknowledged(1);
    outbox.add(custom(2));
    failover(server, 0);
    outbox.leave();
    await pass();
    expect(server.logged).toEqual([]);
    outbox.moved(goesOn(0));
    await pass(60_000);
    expect(server.logged).toEqual([1, 2]);
  });

  test("a reader that never gets to know another one does not keep ops from being sent", async () => {
    const { outbox, server, told } = await opened();
    outbox.moved({ epoch: EPOCH });
    server.epoch = NEXT;
    outbox.add(custom(1));
    await pass(600_000);
    expect(told.outrun).toBe(MAX_EPOCH_REFUSALS);
    expect(told.errors).toEqual([]);
    expect(server.logged).toEqual([1]);
    expect(told.rejected).toEqual([]);
    expect(outbox.sync).toBe("saved");
  });
});

test("what is found in the storage stands behind what was lost", () => {
  const queue = new Queue();
  queue.insert(custom(5), "{}", 5);
  queue.restore([1, 2].map((n) => ({ op: custom(n), body: "{}" })));
  queue.push(custom(6));
  queue.insert(custom(4), "{}", 4);
  queue.insert(custom(3), "{}", 3);
  // A restored one may be stored meanwhile, and has a great key then.
  for (const entry of queue.entries) if (entry.restored) entry.key = 9;
  queue.insert(custom(7), "{}", 7);
  expect(queue.entries.map(({ op }) => numberOf(op))).toEqual([1, 2, 3, 4, 5, 7, 6]);
});

describe("what is kept", () => {
  const kept = (count: number, size = 1): Receipts => {
    const receipts = new Receipts();
    receipts.revoke({ epoch: EPOCH });
    for (let n = 1; n <= count; n += 1) {
      const entry = new Queue().push({ op_id: id(n), type: "custom.note", data: "x".repeat(size) });
      receipts.keep([entry], [{ op_id: id(n), revision: n }], EPOCH);
    }
    return receipts;
  };
  const revoked = (receipts: Receipts) => receipts.revoke({ epoch: NEXT }).map(({ revision }) => revision);
  const taken = (receipts: Receipts) => receipts.takeRevoked().map(({ revision }) => revision);

  test("is bounded by count, the newest of it", () => {
    const revisions = revoked(kept(MAX_RECEIPTS + 3));
    expect(revisions).toHaveLength(MAX_RECEIPTS);
    expect(revisions[0]).toBe(4);
  });

  test("is bounded by bytes", () => {
    const size = MAX_RECEIPT_BYTES / 8;
    expect(revoked(kept(20, size)).length).toBeLessThanOrEqual(8);
  });

  test("is bounded by age", () => {
    const receipts = kept(2);
    vi.advanceTimersByTime(KEEP_RECEIPTS_FOR);
    const entry = new Queue().push(custom(3));
    receipts.keep([entry], [{ op_id: id(3), revision: 3 }], EPOCH);
    expect(revoked(receipts)).toEqual([3]);
    expect(revoked(receipts)).toEqual([]);
  });

  test("is told as revoked once, and taken once", () => {
    const receipts = kept(2);
    expect(revoked(receipts)).toEqual([1, 2]);
    expect(receipts.revoke({ epoch: "third" })).toEqual([]);
    expect(taken(receipts)).toEqual([1, 2]);
    expect(taken(receipts)).toEqual([]);
  });

  test("is bounded also while it is revoked", () => {
    const receipts = kept(2);
    expect(revoked(receipts)).toEqual([1, 2]);
    vi.advanceTimersByTime(KEEP_RECEIPTS_FOR);
    expect(taken(receipts)).toEqual([]);
  });

  test("is revoked no more once it is found in the next log, whenever that is told", () => {
    const receipts = kept(3);
    receipts.found([{ op_id: id(1), revision: 1 }], NEXT);
    expect(revoked(receipts)).toEqual([2, 3]);
    receipts.found([{ op_id: id(2), revision: 2 }], NEXT);
    expect(taken(receipts)).toEqual([3]);
    // It is of that log now, and may be lost with it.
    const again = receipts.revoke({ epoch: "third", previous_epoch: NEXT, base: 1 });
    expect(again.map(({ revision }) => revision)).toEqual([2]);
  });
});

describe("several tabs", () => {
  test("the one that sends posts it again; the others do not show it meanwhile", async () => {
    const [store, platform, server] = [new SharedStore(), new Browser(), new Server()];
    const first = await opened({ store, platform, server });
    await pass();
    const second = await opened({ store, platform, server });
    for (const { outbox } of [first, second]) outbox.moved({ epoch: EPOCH });
    second.outbox.add(custom(1));
    await pass(COALESCE_WINDOW);
    expect(server.logged).toEqual([1]);
    expect(second.told.acks).toHaveLength(1);
    failover(server, 0);
    for (const { outbox } of [second, first]) outbox.moved(goesOn(0));
    await pass(60_000);
    expect(server.sent).toEqual([[1], [1]]);
    expect(server.logged).toEqual([1]);
    expect(second.told.revoked).toEqual([id(1)]);
    for (const { outbox } of [first, second]) expect(outbox.pendingCount).toBe(0);
    // The next in line has nothing to post once more.
    await first.outbox.close();
    await pass(60_000);
    expect(server.requests).toHaveLength(2);
  });

  test("if the one that sends is gone before it knew, the next in line posts it again, in front", async () => {
    const [store, platform, server] = [new SharedStore(), new Browser(), new Server()];
    const first = await opened({ store, platform, server });
    await pass();
    const second = await opened({ store, platform, server });
    for (const { outbox } of [first, second]) outbox.moved({ epoch: EPOCH });
    second.outbox.add(begin(1, "a"));
    await pass(COALESCE_WINDOW);
    expect(server.logged).toEqual([1]);
    failover(server, 0);
    second.outbox.moved(goesOn(0));
    second.outbox.add(append(2, "a", 1, 1));
    await pass(COALESCE_WINDOW);
    expect(server.logged).toEqual([]);
    await first.outbox.close();
    await pass(60_000);
    expect(server.logged).toEqual([1, 2]);
    expect(second.told.added.map(numberOf)).toEqual([1, 2, 1]);
    expect(second.outbox.sync).toBe("saved");
  });

  test("what the one that sent has stored of it is pending once", async () => {
    const [store, platform, server] = [new SharedStore(), new Browser(), new Server()];
    const first = await opened({ store, platform, server });
    await pass();
    const second = await opened({ store, platform, server });
    for (const { outbox } of [first, second]) outbox.moved({ epoch: EPOCH });
    second.outbox.add(custom(1));
    await pass(COALESCE_WINDOW);
    failover(server, 0);
    second.outbox.moved(goesOn(0));
    // It leaves before it is answered, and what it had to post again stays in the storage.
    server.handler = offline;
    first.outbox.moved(goesOn(0));
    await store.append(SCOPE, [{ op_id: id(1), body: JSON.stringify(custom(1)) }]);
    server.handler = () => undefined;
    await first.outbox.close();
    await pass(60_000);
    expect(server.logged).toEqual([1]);
    expect(second.told.added.map(numberOf)).toEqual([1, 1]);
    expect(second.outbox.pendingCount).toBe(0);
  });
});
