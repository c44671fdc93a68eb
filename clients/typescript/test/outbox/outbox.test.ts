import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  BACKOFF_FIRST,
  BACKOFF_LAST,
  COALESCE_WINDOW,
  MAX_PENDING_BYTES,
  MAX_POINTS,
  RESTART_AFTER,
  STORE_RETRY,
} from "../../src/limits.js";
import type { PendingOp, Point } from "../../src/ops.js";
import { MemoryStore } from "../../src/outbox/store.js";
import {
  append,
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
  rig,
  SCOPE,
  Server,
  undo,
  update,
} from "./support.js";

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("the window", () => {
  test("updates of one object and unit become one op, under the first id, last value first", async () => {
    const { outbox, server, told } = await opened();
    outbox.add(update(1, "a", { x: 1, y: 1 }));
    outbox.add(update(2, "a", { x: 2 }, 1));
    outbox.add(update(3, "a", { x: 3 }, 1));
    expect(told.added.map((op) => op.op_id)).toEqual([id(1)]);
    expect(told.amended.at(-1)).toMatchObject({ op_id: id(1), set: { x: 3, y: 1 } });
    expect(outbox.pendingCount).toBe(1);
    expect(server.requests).toEqual([]);
    await pass(COALESCE_WINDOW);
    expect(server.requests.map(({ ops }) => ops)).toEqual([
      [{ op_id: id(1), type: "object.update", object_id: "a", set: { x: 3, y: 1 } }],
    ]);
  });

  test("objects that are dragged together are merged each with its own", async () => {
    const { outbox, server } = await opened();
    outbox.add(update(1, "a", { x: 1 }));
    outbox.add(update(2, "b", { x: 1 }, 1));
    outbox.add(update(3, "a", { x: 2 }, 1));
    outbox.add(update(4, "b", { x: 2 }, 1));
    await pass(COALESCE_WINDOW);
    expect(server.sent).toEqual([[1, 2]]);
  });

  test("updates of other units are not merged", async () => {
    const { outbox, server } = await opened();
    outbox.add(update(1, "a", { x: 1 }));
    outbox.add(update(2, "a", { x: 2 }));
    outbox.add(update(3, "a", { x: 3 }, 1));
    await pass(COALESCE_WINDOW);
    expect(server.sent).toEqual([[1, 2, 3]]);
  });

  test("a property that is set and unset ends in one of the two", async () => {
    const { outbox, server } = await opened();
    outbox.add({
      op_id: id(1),
      type: "object.update",
      object_id: "a",
      z: "a1",
      set: { x: 1, y: 1 },
      unset: ["w"],
    });
    outbox.add({
      op_id: id(2),
      type: "object.update",
      object_id: "a",
      unit: id(1),
      set: { w: 2 },
      unset: ["x"],
    });
    await pass(COALESCE_WINDOW);
    expect(server.requests[0]?.ops[0]).toEqual({
      op_id: id(1),
      type: "object.update",
      object_id: "a",
      z: "a1",
      set: { y: 1, w: 2 },
      unset: ["x"],
    });
  });

  test("any other op goes out at once, with what waited before it", async () => {
    const { outbox, server } = await opened();
    outbox.add(update(1, "a", { x: 1 }));
    outbox.add(create(2, "b"));
    await pass();
    expect(server.sent).toEqual([[1, 2]]);
  });

  test("points join the open append, up to what one op may hold", async () => {
    const { outbox, server, told } = await opened();
    outbox.add(begin(1, "s"));
    expect(outbox.extend("s", [[1, 1]])).toBe(false);
    await pass();
    outbox.add(append(2, "s", 1, 1));
    expect(outbox.extend("other", [[1, 1]])).toBe(false);
    expect(outbox.extend("s", [[3, 3]])).toBe(true);
    expect(told.amended.at(-1)).toMatchObject({
      op_id: id(2),
      index: 1,
      points: [
        [2, 2],
        [3, 3],
      ],
    });
    const many: Point[] = Array.from({ length: MAX_POINTS - 1 }, () => [1, 1]);
    expect(outbox.extend("s", many)).toBe(false);
    await pass(COALESCE_WINDOW);
    expect(outbox.extend("s", [[4, 4]])).toBe(false);
    expect(server.sent).toEqual([[1], [2]]);
  });
});

describe("sending", () => {
  test("nothing is sent before it is stored", async () => {
    const store = new MemoryStore();
    const gate = deferred<void>();
    const write = store.append.bind(store);
    store.append = async (scope, ops) => {
      await gate.promise;
      return write(scope, ops);
    };
    const { outbox, server } = await opened({ store });
    outbox.add(create(1, "a"));
    await pass(1_000);
    outbox.wake();
    await pass(1_000);
    expect(server.requests).toEqual([]);
    gate.resolve();
    await pass();
    expect(server.sent).toEqual([[1]]);
  });

  test.each([
    ["once all of it is stored", false],
    ["once it is known that not all of it can be", true],
  ])("what is made at once is sent %s, whoever asks for it before", async (_, fails) => {
    const store = new MemoryStore();
    const gates = Array.from({ length: 3 }, () => deferred<void>());
    const write = store.append.bind(store);
    let calls = 0;
    store.append = async (scope, ops) => {
      await gates[calls++]?.promise;
      return write(scope, ops);
    };
    const { outbox, server } = await opened({ store });
    outbox.addAll(
      Array.from({ length: 1_200 }, (_, n) => {
        const op = update(n + 1, `o${n}`, { x: n }, 1);
        return { op, body: JSON.stringify(op) };
      }),
    );
    await pass(COALESCE_WINDOW);
    for (const gate of gates) {
      await pass(10);
      outbox.wake();
      outbox.confirmed([], EPOCH);
      await pass();
      expect(server.requests).toEqual([]);
      if (fails && calls === 2) gate.reject(new Error("full"));
      else gate.resolve();
      if (fails && calls === 2) break;
    }
    await pass(10);
    expect(server.sent.map(({ length }) => length)).toEqual([500, 500, 200]);
    expect(outbox.pendingCount).toBe(0);
  });

  test("while a request is under way, the next gathers", async () => {
    const { outbox, server, told } = await opened();
    const gate = deferred<void>();
    server.handler = async (received) => {
      await gate.promise;
      return server.commit(received);
    };
    outbox.add(create(1, "a"));
    await pass();
    outbox.add(create(2, "b"));
    outbox.add(create(3, "c"));
    await pass(1_000);
    expect(server.sent).toEqual([[1]]);
    expect(outbox.sync).toBe("saving");
    gate.resolve();
    await pass();
    expect(server.sent).toEqual([[1], [2, 3]]);
    expect(told.acks.map(({ revision }) => revision)).toEqual([1, 2, 3]);
    expect(told.sync).toEqual(["saving", "saved"]);
    expect(outbox.pendingCount).toBe(0);
  });

  test("thousands of ops at once are few calls of the storage, none of which is large", async () => {
    const sizes: number[] = [];
    class Slow extends MemoryStore {
      override async append(scope: string, ops: readonly { op_id: string; body: string }[]) {
        sizes.push(ops.length);
        await new Promise((resolve) => setTimeout(resolve, 10));
        return super.append(scope, ops);
      }
    }
    const { outbox, server, told } = await opened({ store: new Slow() });
    for (let n = 1; n <= 1_000; n += 1) outbox.add(create(n, `o${n}`));
    await pass(5);
    for (let n = 1_001; n <= 2_000; n += 1) {
      outbox.add(create(n, `o${n}`));
      await undefined;
    }
    await pass(1_000);
    expect(sizes).toEqual([500, 500, 500, 500]);
    expect(told.errors).toEqual([]);
    expect(server.logged).toEqual(Array.from({ length: 2_000 }, (_, n) => n + 1));
  });

  test("updates are not merged across an op that waits to be stored", async () => {
    const { outbox, server } = await opened();
    outbox.add(update(1, "a", { x: 1 }, 1));
    outbox.add(undo(2, 1));
    outbox.add(update(3, "a", { x: 3 }, 1));
    await pass(200);
    expect(server.logged).toEqual([1, 2, 3]);
  });

  test("a request holds 500 ops, and not much more than 900 KB", async () => {
    const { outbox, server } = await opened();
    for (let n = 1; n <= 502; n += 1) outbox.add(custom(n));
    for (let n = 1; n <= 20; n += 1) {
      outbox.add({ op_id: id(1_000 + n), type: "custom.big", data: "x".repeat(60_000) });
    }
    await pass();
    expect(server.sent.map((ops) => ops.length)).toEqual([500, 16, 6]);
    for (const { body } of server.requests) expect(body.length).toBeLessThan(950_000);
  });

  test("a long drag offline becomes one op", async () => {
    const { outbox, server, store, told } = await opened();
    server.handler = offline;
    outbox.add(create(1, "a"));
    await pass();
    outbox.add(update(2, "a", { x: 0 }));
    for (let n = 3; n <= 502; n += 1) {
      outbox.add(update(n, "a", { x: n }, 2));
      await pass(COALESCE_WINDOW);
    }
    expect(outbox.sync).toBe("stored-locally");
    const before = server.requests.length;
    server.handler = () => undefined;
    outbox.wake();
    await pass();
    const sent = server.sent.slice(before);
    expect(sent[0]).toEqual([1]);
    expect(sent.slice(1)).toEqual([[2]]);
    expect(server.requests.at(-1)?.ops[0]).toMatchObject({ op_id: id(2), set: { x: 502 } });
    expect(told.amended.at(-1)).toMatchObject({ op_id: id(2), set: { x: 502 } });
    expect(told.removed).toHaveLength(told.added.length - 2);
    expect(outbox.pendingCount).toBe(0);
    expect(await store.load(SCOPE)).toEqual([]);
  });

  test("an update is not merged across an op that it may not be moved across", async () => {
    const { outbox, server } = await opened();
    const gate = deferred<void>();
    server.handler = (received) => gate.promise.then(() => server.commit(received));
    outbox.add(update(1, "a", { x: 1 }));
    await pass(COALESCE_WINDOW);
    for (let n = 2; n <= 5; n += 1) {
      outbox.add(n === 4 ? undo(4, 9) : update(n, "a", { x: n }, 1));
      await pass(COALESCE_WINDOW);
    }
    gate.resolve();
    await pass();
    expect(server.sent).toEqual([[1], [2, 4, 5]]);
  });

  test("a merge is stored before it is sent", async () => {
    const store = new MemoryStore();
    const { outbox, server } = await opened({ store });
    server.handler = offline;
    outbox.add(custom(1));
    await pass();
    for (let n = 2; n <= 4; n += 1) {
      outbox.add(update(n, "a", { x: n }, 2));
      await pass(COALESCE_WINDOW);
    }
    const gate = deferred<void>();
    const change = store.change.bind(store);
    store.change = async (scope, changes) => {
      if (changes.put !== undefined) await gate.promise;
      return change(scope, changes);
    };
    server.handler = () => undefined;
    outbox.wake();
    await pass();
    expect(server.logged).toEqual([1]);
    gate.resolve();
    await pass();
    expect(server.logged).toEqual([1, 2]);
  });
});

describe("retrying", () => {
  test("a retry has the same ids and the same body, whatever was added meanwhile", async () => {
    const { outbox, server } = await opened();
    server.handler = (received) => {
      server.commit(received);
      return Promise.reject(new TypeError("the answer is lost"));
    };
    outbox.add(update(1, "a", { x: 1 }));
    await pass(COALESCE_WINDOW);
    outbox.add(update(2, "a", { x: 2 }, 1));
    await pass(COALESCE_WINDOW);
    server.handler = () => undefined;
    outbox.wake();
    await pass();
    expect(server.requests[1]?.body).toBe(server.requests[0]?.body);
    expect(server.sent).toEqual([[1], [1], [2]]);
    expect(outbox.sync).toBe("saved");
    expect(outbox.rejected).toEqual([]);
  });

  test("an op that may be in the log is not merged, also when its batch has become smaller", async () => {
    const { outbox, server, told } = await opened();
    server.handler = offline;
    outbox.add(custom(1));
    await pass();
    outbox.add(custom(2));
    outbox.add(update(3, "a", { x: 3 }));
    await pass(COALESCE_WINDOW);
    // It commits the two, and says that it took too long.
    server.handler = (received) => {
      server.commit(received);
      return received.ops.length > 1 ? problem(503, "timeout", [], { "Retry-After": "1" }) : undefined;
    };
    outbox.wake();
    await pass();
    outbox.add(update(4, "a", { x: 4 }, 3));
    await pass(10_000);
    expect(server.sent).toEqual([[1], [1], [2, 3], [2], [3, 4], [3], [4]]);
    expect(server.logged).toEqual([1, 2, 3, 4]);
    expect(told.rejected).toEqual([]);
  });

  test("pauses double from half a second to 30 s", async () => {
    const { outbox, server } = await opened();
    server.handler = offline;
    outbox.add(create(1, "a"));
    await pass(200_000);
    const times = server.requests.map(({ at }) => at);
    const pauses = times.slice(1).map((at, index) => at - (times[index] ?? 0));
    expect(pauses.slice(0, 8)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  });

  test("Retry-After is obeyed, by a wake too", async () => {
    const { outbox, server } = await opened();
    server.handler = () => problem(429, "rate_limited", [], { "Retry-After": "7" });
    outbox.add(create(1, "a"));
    await pass();
    expect(outbox.sync).toBe("stored-locally");
    server.handler = () => undefined;
    await pass(4_000);
    outbox.wake();
    await pass(2_999);
    expect(server.requests).toHaveLength(1);
    await pass(600);
    expect(server.sent).toEqual([[1], [1]]);
  });

  test("without a token ops wait, and the token is asked for again", async () => {
    let isSignedIn = false;
    const { outbox, server, told } = await opened({
      getToken: () => {
        if (!isSignedIn) throw new Error("signed out");
        return "token";
      },
    });
    outbox.add(create(1, "a"));
    await pass(10_000);
    expect(server.requests).toEqual([]);
    expect(told.errors).toEqual(["AUTH_FAILED"]);
    isSignedIn = true;
    await pass(30_000);
    expect(server.logged).toEqual([1]);
  });

  test("a token that never comes holds up nothing for ever", async () => {
    const timeout = new AbortController();
    const spy = vi.spyOn(AbortSignal, "timeout").mockReturnValue(timeout.signal);
    let token: string | Promise<string> = new Promise(() => {});
    const { outbox, server } = await opened({ getToken: () => token });
    outbox.add(create(1, "a"));
    await pass();
    spy.mockRestore();
    token = "token";
    timeout.abort(new DOMException("too late", "TimeoutError"));
    await pass(500);
    expect(server.logged).toEqual([1]);
  });

  test("an answer that is not the server's is none", async () => {
    const { outbox, server } = await opened();
    server.handler = () => Response.json({ hello: "please accept our terms" });
    outbox.add(create(1, "a"));
    await pass();
    expect(outbox.sync).toBe("stored-locally");
    server.handler = () => undefined;
    await pass(500);
    expect(server.logged).toEqual([1]);
  });

  test("wake makes a request again that has been under way for long, at once and with the same body", async () => {
    const { outbox, server } = await opened();
    server.handler = () => new Promise(() => {});
    outbox.add(create(1, "a"));
    await pass();
    outbox.wake();
    await pass(RESTART_AFTER);
    expect(server.requests).toHaveLength(1);
    void outbox.flush();
    await pass();
    expect(server.requests).toHaveLength(1);
    server.handler = () => undefined;
    outbox.wake();
    await pass();
    expect(server.requests.map(({ body }) => body)).toEqual([
      server.requests[0]?.body,
      server.requests[0]?.body,
    ]);
    expect([server.logged, outbox.sync]).toEqual([[1], "saved"]);
  });

  test("wake ends a pause", async () => {
    const { outbox, server } = await opened();
    server.handler = offline;
    outbox.add(create(1, "a"));
    await pass();
    server.handler = () => undefined;
    outbox.wake();
    await pass();
    expect(server.logged).toEqual([1]);
  });
});

describe("the echo", () => {
  test("before the answer settles the op, and a late failure changes nothing", async () => {
    const { outbox, server, store, told } = await opened();
    const gate = deferred<Response>();
    server.handler = () => gate.promise;
    outbox.add(create(1, "a"));
    await pass();
    outbox.confirmed([{ op_id: id(1).toUpperCase(), revision: 1 }], EPOCH);
    expect(outbox.sync).toBe("saved");
    server.handler = () => undefined;
    gate.reject(new TypeError("cut"));
    outbox.add(create(2, "b"));
    await pass();
    expect(server.sent).toEqual([[1], [2]]);
    expect(told.sync).not.toContain("stored-locally");
    expect(await store.load(SCOPE)).toEqual([]);
  });

  test("ends the waiting for an answer that does not come", async () => {
    const { outbox, server } = await opened();
    server.handler = () => new Promise(() => {});
    outbox.add(create(1, "a"));
    await pass();
    outbox.add(create(2, "b"));
    outbox.confirmed([{ op_id: id(1), revision: 1 }], EPOCH);
    server.handler = () => undefined;
    await pass(1_000);
    expect(server.sent).toEqual([[1], [2]]);
  });

  test("after the answer tells nothing new", async () => {
    const { outbox, server, told } = await opened();
    outbox.add(create(1, "a"));
    await pass();
    outbox.confirmed([{ op_id: id(1), revision: 1 }], EPOCH);
    await pass();
    expect(server.sent).toEqual([[1]]);
    expect(told.acks).toEqual([{ op_id: id(1), revision: 1 }]);
  });
});

describe("the end", () => {
  test("flush resolves when nothing is pending, and rejects on close", async () => {
    const { outbox, server } = await opened();
    await outbox.flush();
    outbox.add(update(1, "a", { x: 1 }));
    const flushed = outbox.flush();
    await pass();
    await flushed;
    expect(server.logged).toEqual([1]);
    server.handler = offline;
    outbox.add(update(2, "a", { x: 1 }));
    const failed = expect(outbox.flush()).rejects.toMatchObject({ code: "closed" });
    await outbox.close();
    await failed;
  });

  test("flush waits for what an earlier session has left, also before that is read", async () => {
    const store = new MemoryStore();
    await store.append(SCOPE, [{ op_id: id(1), body: JSON.stringify(create(1, "a")) }]);
    const { outbox, server } = rig({ store });
    const flushed = vi.fn();
    void outbox.flush().then(flushed);
    void outbox.open();
    const answer = deferred<undefined>();
    server.handler = () => answer.promise;
    await pass();
    expect(server.sent).toEqual([[1]]);
    expect(flushed).not.toHaveBeenCalled();
    answer.resolve(undefined);
    await pass();
    expect(flushed).toHaveBeenCalled();
  });

  test("close is final: no timer, no request, no event", async () => {
    const { outbox, server, told } = await opened();
    server.handler = offline;
    outbox.add(create(1, "a"));
    await pass();
    outbox.add(update(2, "a", { x: 1 }));
    await outbox.close();
    expect(vi.getTimerCount()).toBe(0);
    const { length } = server.requests;
    const before = JSON.stringify(told);
    outbox.wake();
    outbox.confirmed([{ op_id: id(1), revision: 1 }], EPOCH);
    outbox.leave();
    await pass(100_000);
    expect(server.requests).toHaveLength(length);
    expect(JSON.stringify(told)).toBe(before);
    expect(() => outbox.add(create(3, "b"))).toThrow(expect.objectContaining({ code: "closed" }));
  });

  test("leave begins its request in the same task, with all that is unsent", async () => {
    const { outbox, server } = await opened();
    outbox.add(custom(1));
    await pass();
    const gate = deferred<Response>();
    server.handler = () => gate.promise;
    outbox.add(create(2, "a"));
    await pass();
    outbox.add(update(3, "a", { x: 1 }));
    outbox.leave();
    expect(server.sent).toEqual([[1], [2], [2, 3]]);
    expect(server.requests.at(-1)?.keepalive).toBe(true);
    // Again, as browsers tell of it twice: what is on its way is not sent again.
    outbox.leave();
    expect(server.requests).toHaveLength(3);
  });

  test("what leave has sent is settled by its answer, and not merged any more", async () => {
    const { outbox, server, store, told } = await opened();
    outbox.add(custom(1));
    await pass();
    const gate = deferred<void>();
    server.handler = (received) =>
      received.keepalive ? undefined : gate.promise.then(() => Promise.reject(new TypeError("cut")));
    outbox.add(custom(2));
    await pass();
    outbox.add(update(3, "a", { x: 1 }));
    outbox.leave();
    outbox.add(update(4, "a", { x: 2 }, 3));
    await pass(COALESCE_WINDOW);
    server.handler = () => undefined;
    gate.resolve();
    await pass(1_000);
    expect(server.logged).toEqual([1, 2, 3, 4]);
    expect(told.acks).toHaveLength(4);
    expect(outbox.rejected).toEqual([]);
    expect(await store.load(SCOPE)).toEqual([]);
  });

  test("what leave has sent is not merged, also when its answer is lost", async () => {
    const { outbox, server } = await opened();
    server.handler = offline;
    outbox.add(custom(1));
    await pass();
    outbox.add(update(2, "a", { x: 1 }));
    await pass(COALESCE_WINDOW);
    server.handler = (received) => {
      server.commit(received);
      return Promise.reject(new TypeError("the answer is lost"));
    };
    outbox.leave();
    await pass();
    server.handler = () => undefined;
    outbox.add(update(3, "a", { x: 2 }, 2));
    await pass(1_000);
    expect(server.logged).toEqual([1, 2, 3]);
    expect(outbox.rejected).toEqual([]);
  });

  test("leave does not send what is just being merged, nor what follows it", async () => {
    const store = new MemoryStore();
    const { outbox, server } = await opened({ store });
    server.handler = offline;
    outbox.add(custom(1));
    await pass();
    for (let n = 2; n <= 3; n += 1) {
      outbox.add(update(n, "a", { x: n }, 2));
      await pass(COALESCE_WINDOW);
    }
    const gate = deferred<void>();
    const change = store.change.bind(store);
    store.change = (scope, changes) => gate.promise.then(() => change(scope, changes));
    server.handler = () => undefined;
    outbox.wake();
    await pass();
    outbox.add(custom(4));
    const before = server.requests.length;
    outbox.leave();
    expect(server.requests).toHaveLength(before);
    gate.resolve();
    await pass();
    expect(server.logged).toEqual([1, 2, 4]);
  });

  test("a page that goes just as a merge is stored sends the body that is stored", async () => {
    for (let turns = 0; turns < 25; turns += 1) {
      const store = new MemoryStore();
      const { outbox, server } = await opened({ store });
      server.handler = offline;
      outbox.add(custom(0xffff));
      await pass();
      outbox.add(update(2, "a", { x: 1 }));
      outbox.add(create(9, "b"));
      outbox.add(update(3, "a", { x: 2 }, 2));
      await pass(COALESCE_WINDOW);
      outbox.add(update(4, "a", { x: 3 }, 2));
      await pass(COALESCE_WINDOW);
      let closed: Promise<void> | undefined;
      const change = store.change.bind(store);
      vi.spyOn(store, "change").mockImplementation(async (scope, what) => {
        await change(scope, what);
        if ((what.put ?? []).length === 0) return;
        let later = Promise.resolve();
        for (let turn = 0; turn < turns; turn += 1) later = later.then(() => {});
        void later.then(() => {
          closed ??= outbox.close();
        });
      });
      const left: string[] = [];
      server.handler = ({ keepalive, ops }) => {
        if (!keepalive) return undefined;
        left.push(...ops.map((op) => JSON.stringify(op)));
        return Promise.reject(new TypeError("gone"));
      };
      outbox.wake();
      await pass(60_000);
      await closed;
      expect(closed).toBeDefined();
      for (const { op_id, body } of await store.load(SCOPE)) {
        for (const sent of left) {
          if (JSON.parse(sent).op_id === op_id) expect(sent, `after ${turns} turns`).toBe(body);
        }
      }
    }
  });

  test("the answer to a leave that comes after close is for the storage alone", async () => {
    const { outbox, server, store, told } = await opened();
    outbox.add(custom(1));
    await pass();
    const gate = deferred<void>();
    server.handler = (received) => gate.promise.then(() => server.commit(received));
    outbox.add(custom(2));
    await outbox.close();
    expect(await store.load(SCOPE)).toHaveLength(1);
    gate.resolve();
    await pass();
    expect(await store.load(SCOPE)).toEqual([]);
    expect(told.acks).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("what a leave has settled before it was written is removed when it is", async () => {
    const store = new MemoryStore();
    const { outbox, server } = await opened({ store });
    const gate = deferred<void>();
    const write = store.append.bind(store);
    store.append = (scope, ops) => gate.promise.then(() => write(scope, ops));
    outbox.add(custom(1));
    outbox.leave();
    await pass();
    expect(server.logged).toEqual([1]);
    expect(outbox.sync).toBe("saved");
    gate.resolve();
    await pass();
    expect(await store.load(SCOPE)).toEqual([]);
    expect(server.requests).toHaveLength(1);
  });

  test("a leave after a leave does not let later ops overtake those of the first", async () => {
    const { outbox, server } = await opened();
    server.handler = () => new Promise(() => {});
    outbox.add(create(1, "a"));
    await pass();
    outbox.leave();
    outbox.leave();
    outbox.add(create(2, "b"));
    outbox.leave();
    outbox.leave();
    expect(server.requests.filter(({ keepalive }) => keepalive).map(({ ops }) => ops.length)).toEqual([1, 2]);
    await outbox.close();
  });

  test("leave sends the oldest, up to 60 KiB", async () => {
    const { outbox, server } = await opened();
    outbox.add(custom(1));
    await pass();
    server.handler = () => new Promise(() => {});
    for (let n = 2; n <= 9; n += 1)
      outbox.add({ op_id: id(n), type: "custom.big", data: "x".repeat(20_000) });
    await pass();
    outbox.leave();
    expect(server.sent.at(-1)).toEqual([2, 3, 4]);
    expect(server.requests.at(-1)?.body.length).toBeLessThan(60 * 1024);
  });

  test("leave with nothing unsent sends nothing", async () => {
    const { outbox, server } = await opened();
    outbox.leave();
    expect(server.requests).toEqual([]);
  });
});

describe("the storage", () => {
  test("a new outbox sends what was left, with the same bodies, and shows it", async () => {
    const store = new MemoryStore();
    const first = await opened({ store });
    first.server.handler = offline;
    first.outbox.add(update(1, "a", { x: 1 }));
    await pass(COALESCE_WINDOW);
    first.outbox.add(update(2, "a", { x: 2 }, 1));
    await first.outbox.close();
    const second = await opened({ store });
    await pass();
    expect(second.told.added.map((op) => op.op_id)).toEqual([id(1), id(2)]);
    expect(second.server.sent).toEqual([[1, 2]]);
    expect(second.server.requests[0]?.ops[0]).toEqual(first.server.requests[0]?.ops[0]);
    expect(second.outbox.sync).toBe("saved");
    expect(await store.load(SCOPE)).toEqual([]);
  });

  test("what was seen in the log before it is read is not sent again", async () => {
    const store = new MemoryStore();
    await store.append(SCOPE, [{ op_id: id(1), body: JSON.stringify(create(1, "a")) }]);
    const { outbox, server, told } = rig({ store });
    const opening = outbox.open();
    outbox.confirmed([{ op_id: id(1), revision: 1 }], EPOCH);
    await opening;
    await pass();
    expect(server.requests).toEqual([]);
    expect(told.added).toEqual([]);
    expect(await store.load(SCOPE)).toEqual([]);
  });

  test("ops are added while it is still being read", async () => {
    const store = new MemoryStore();
    const { outbox, server } = rig({ store });
    const opening = outbox.open();
    outbox.add(create(1, "a"));
    await opening;
    await pass();
    expect(server.sent).toEqual([[1]]);
  });

  test("when it fails the outbox goes on in memory, and says so once", async () => {
    const store = new MemoryStore();
    const { outbox, server, told } = await opened({ store });
    store.append = () => Promise.reject(new DOMException("full", "QuotaExceededError"));
    outbox.add(create(1, "a"));
    await pass();
    outbox.add(create(2, "b"));
    await pass();
    expect(server.sent).toEqual([[1], [2]]);
    expect(told.errors).toEqual(["STORAGE_FAILED"]);
  });

  test("what was held in memory is stored once the storage works again", async () => {
    const store = new MemoryStore();
    const { outbox, server, told } = await opened({ store });
    server.handler = offline;
    const failing = vi.spyOn(store, "append").mockRejectedValue(new Error("suspended"));
    outbox.add(create(1, "a"));
    await pass();
    outbox.add(update(2, "a", { x: 1 }));
    await pass(COALESCE_WINDOW);
    expect(told.errors).toEqual(["STORAGE_FAILED"]);
    // Nothing is on the device, whatever the network does.
    expect(outbox.sync).toBe("saving");
    await pass(STORE_RETRY + BACKOFF_FIRST);
    failing.mockRestore();
    outbox.wake();
    await pass();
    expect((await store.load(SCOPE)).map(({ op_id }) => op_id)).toEqual([id(1), id(2)]);
    expect(outbox.sync).toBe("stored-locally");
    outbox.add(create(3, "b"));
    await pass();
    expect(await store.load(SCOPE)).toHaveLength(3);
    server.handler = () => undefined;
    outbox.wake();
    await pass();
    expect(server.logged).toEqual([1, 2, 3]);
    expect(await store.load(SCOPE)).toEqual([]);
    expect(told.errors).toEqual(["STORAGE_FAILED"]);
  });

  test("it is tried again by itself, more and more rarely, and told again only after it has worked", async () => {
    const store = new MemoryStore();
    const { outbox, server, told } = await opened({ store });
    server.handler = offline;
    const append = vi.spyOn(store, "append").mockRejectedValue(new Error("quota"));
    outbox.add(create(1, "a"));
    await pass();
    for (let pause = BACKOFF_FIRST, calls = 1; calls < 4; pause *= 2, calls += 1) {
      expect(append).toHaveBeenCalledTimes(calls);
      await pass(STORE_RETRY + pause);
    }
    expect(told.errors).toEqual(["STORAGE_FAILED"]);
    append.mockRestore();
    await pass(STORE_RETRY + BACKOFF_LAST);
    expect(await store.load(SCOPE)).toHaveLength(1);
    vi.spyOn(store, "append").mockRejectedValue(new Error("quota"));
    outbox.add(create(2, "b"));
    await pass();
    expect(told.errors).toEqual(["STORAGE_FAILED", "STORAGE_FAILED"]);
    await outbox.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("what fails as a page is left, and works when it is back, is not told", async () => {
    const store = new MemoryStore();
    const { outbox, server, told } = await opened({ store });
    server.handler = offline;
    const failing = vi.spyOn(store, "append").mockRejectedValueOnce(new Error("suspended"));
    outbox.add(update(1, "a", { x: 1 }));
    outbox.leave();
    await pass();
    expect(outbox.sync).toBe("saving");
    await pass(STORE_RETRY + BACKOFF_FIRST);
    expect(await store.load(SCOPE)).toHaveLength(1);
    expect(outbox.sync).toBe("stored-locally");
    expect(told.errors).toEqual([]);
    // One that goes on is.
    failing.mockRejectedValue(new Error("quota"));
    outbox.leave();
    outbox.add(create(2, "b"));
    await pass(STORE_RETRY + BACKOFF_FIRST);
    expect(told.errors).toEqual(["STORAGE_FAILED"]);
  });

  test("an op that is stored twice is sent once, and leaves nothing behind", async () => {
    const store = new MemoryStore();
    const op = { op_id: id(1), body: JSON.stringify(create(1, "a")) };
    await store.append(SCOPE, [op, op]);
    const { outbox, server } = await opened({ store });
    await pass();
    expect(server.sent).toEqual([[1]]);
    expect(outbox.sync).toBe("saved");
    expect(await store.load(SCOPE)).toEqual([]);
  });

  test("what cannot be stored before the page goes is left in another way", async () => {
    const store = Object.assign(new MemoryStore(), { leave: vi.fn() });
    const { outbox, server } = await opened({ store });
    server.handler = offline;
    outbox.add(create(1, "a"));
    await pass();
    outbox.leave();
    // All of it is stored.
    expect(store.leave).not.toHaveBeenCalled();
    outbox.add(update(2, "a", { x: 1 }));
    outbox.leave();
    expect(store.leave.mock.calls).toEqual([
      [SCOPE, [{ op_id: id(2), body: JSON.stringify(update(2, "a", { x: 1 })) }]],
    ]);
  });

  test("a page that was frozen meanwhile does not take it for failed", async () => {
    const store = new MemoryStore();
    const stored = deferred<readonly number[]>();
    store.append = () => stored.promise;
    const { outbox, server, told } = await opened({ store });
    outbox.add(create(1, "a"));
    await pass();
    const now = performance.now();
    const clock = vi.spyOn(performance, "now").mockImplementation(() => now + 3_600_000);
    await pass(5_000);
    clock.mockRestore();
    stored.resolve([1]);
    await pass();
    expect(told.errors).toEqual([]);
    expect(server.logged).toEqual([1]);
  });

  test("when it hangs the outbox goes on in memory", async () => {
    const store = new MemoryStore();
    store.load = () => new Promise(() => {});
    const { outbox, server, told } = rig({ store });
    void outbox.open();
    outbox.add(create(1, "a"));
    await pass(5_000);
    expect(server.sent).toEqual([[1]]);
    expect(told.errors).toEqual(["STORAGE_FAILED"]);
    await outbox.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("when a merge cannot be stored, its ops are sent as they are", async () => {
    const store = new MemoryStore();
    const { outbox, server, told } = await opened({ store });
    server.handler = offline;
    outbox.add(custom(1));
    await pass();
    for (let n = 2; n <= 4; n += 1) {
      outbox.add(update(n, "a", { x: n }, 2));
      await pass(COALESCE_WINDOW);
    }
    const bodies = (await store.load(SCOPE)).map(({ body }) => body);
    store.change = () => Promise.reject(new DOMException("full", "QuotaExceededError"));
    server.handler = () => undefined;
    outbox.wake();
    await pass();
    expect(server.requests.at(-1)?.body).toBe(`{"ops":[${bodies.slice(1).join(",")}]}`);
    expect(told.errors).toEqual(["STORAGE_FAILED"]);
    expect(outbox.sync).toBe("saved");
  });

  test("beyond its bounds the outbox takes in no more, and keeps what it has", async () => {
    const { outbox, server, told } = await opened();
    server.handler = offline;
    const data = "x".repeat(MAX_PENDING_BYTES / 8);
    for (let n = 1; n <= 8; n += 1) outbox.add({ op_id: id(n), type: "custom.big", data });
    expect(() => outbox.add(custom(9))).toThrow(expect.objectContaining({ code: "outbox_full" }));
    expect(outbox.pendingCount).toBe(8);
    expect(told.added).toHaveLength(8);
  });

  test("where there is no room for all ops that were made at once, it takes in none of them", async () => {
    const { outbox, server, told } = await opened();
    server.handler = offline;
    const big = (n: number) => ({
      op: custom(n),
      body: JSON.stringify({ ...custom(n), data: "x".repeat(MAX_PENDING_BYTES / 5) }),
    });
    outbox.addAll([1, 2, 3].map(big));
    expect(() => outbox.addAll([4, 5, 6].map(big))).toThrow(expect.objectContaining({ code: "outbox_full" }));
    expect(outbox.pendingCount).toBe(3);
    outbox.addAll([3, 4].map(big));
    expect(told.added).toHaveLength(4);
  });

  test("the room for what is made at once is counted in bytes of UTF-8", async () => {
    const { outbox } = await opened();
    const big = (n: number) => ({
      op: custom(n),
      body: JSON.stringify({ ...custom(n), data: "é".repeat(MAX_PENDING_BYTES / 4) }),
    });
    expect(() => outbox.addAll([1, 2, 3].map(big))).toThrow(expect.objectContaining({ code: "outbox_full" }));
    expect(outbox.pendingCount).toBe(0);
    outbox.addAll([1, 2].map(big));
    expect(outbox.pendingCount).toBe(2);
  });

  test("what is merged into what waits takes no room, however much is pending", async () => {
    const { outbox, told } = await opened();
    const made = (op: PendingOp) => ({ op, body: JSON.stringify(op) });
    outbox.addAll([made(update(1, "a", { x: 1 }, 1)), made(update(2, "b", { x: 1 }, 1))]);
    const body = "x".repeat(MAX_PENDING_BYTES);
    outbox.addAll([{ op: update(3, "c", { x: 1 }), body }]);
    outbox.addAll([made(update(4, "a", { x: 2 }, 1)), made(update(5, "b", { x: 2 }, 1))]);
    expect(told.amended).toMatchObject([{ op_id: id(1), set: { x: 2 } }, { op_id: id(2) }]);
    const full = expect.objectContaining({ code: "outbox_full" });
    // Of another unit; and after one that ends the waiting.
    expect(() => outbox.addAll([4, 5].map((n) => made(update(n, "a", { x: 3 }, 9))))).toThrow(full);
    expect(() => outbox.addAll([made(custom(6)), made(update(7, "a", { x: 3 }, 1))])).toThrow(full);
    expect(outbox.pendingCount).toBe(3);
    expect(told.amended).toHaveLength(2);
  });

  test("an unreadable record keeps nothing else from being sent", async () => {
    const store = new MemoryStore();
    const server = new Server();
    await store.append(SCOPE, [{ op_id: id(1), body: "{" }]);
    await store.append(SCOPE, [{ op_id: id(2), body: JSON.stringify(create(2, "a")) }]);
    await opened({ store, server });
    await pass();
    expect(server.sent).toEqual([[2]]);
    expect(await store.load(SCOPE)).toEqual([]);
  });
});
