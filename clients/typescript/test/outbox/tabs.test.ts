import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { COALESCE_WINDOW, LOOK_AGAIN } from "../../src/limits.js";
import {
  Browser,
  create,
  custom,
  EPOCH,
  id,
  offline,
  opened,
  pass,
  problem,
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

async function twoTabs() {
  const platform = new Browser();
  const store = new SharedStore();
  const one = await opened({ platform, store, server: new Server() });
  await pass();
  const two = await opened({ platform, store, server: new Server() });
  await pass();
  // Both reach the same log; each has its own connection.
  Object.assign(two.server, { log: one.server.log });
  return { platform, store, one, two };
}

test("one tab sends, for both, and both hear of it", async () => {
  const { store, one, two } = await twoTabs();
  two.outbox.add(create(1, "a"));
  await pass();
  one.outbox.add(create(2, "b"));
  await pass();
  expect(one.server.sent).toEqual([[1], [2]]);
  expect(two.server.requests).toEqual([]);
  for (const { told, outbox } of [one, two]) {
    expect(told.added.map((op) => op.op_id).sort()).toEqual([id(1), id(2)]);
    expect(told.acks.map(({ op_id }) => op_id)).toEqual([id(1), id(2)]);
    expect(told.removed).toEqual([]);
    expect(outbox.sync).toBe("saved");
  }
  expect(await store.load(SCOPE)).toEqual([]);
});

test("the next in line sends what the first one leaves", async () => {
  const { store, one, two } = await twoTabs();
  one.server.handler = offline;
  one.outbox.add(create(1, "a"));
  await pass();
  two.outbox.add(create(2, "b"));
  await pass(100);
  expect(two.outbox.sync).toBe("stored-locally");
  expect(two.outbox.pendingCount).toBe(2);
  await one.outbox.close();
  await pass();
  expect(two.server.sent).toEqual([[1, 2]]);
  expect(two.outbox.sync).toBe("saved");
  expect(await store.load(SCOPE)).toEqual([]);
});

test("a tab that opens later shows what is pending", async () => {
  const { platform, store, one } = await twoTabs();
  one.server.handler = offline;
  one.outbox.add(create(1, "a"));
  await pass();
  const three = await opened({ platform, store });
  expect(three.told.added.map((op) => op.op_id)).toEqual([id(1)]);
  expect(three.outbox.sync).toBe("saving");
});

test("merges and refusals are seen in the other tab", async () => {
  const { one, two } = await twoTabs();
  one.server.handler = offline;
  one.outbox.add(custom(1));
  await pass();
  for (let n = 2; n <= 4; n += 1) {
    one.outbox.add(update(n, "a", { x: n }, 2));
    await pass(COALESCE_WINDOW);
  }
  expect(two.outbox.pendingCount).toBe(4);
  one.server.handler = ({ ops }) =>
    ops[0]?.op_id === id(2) ? problem(422, "invalid_op", "/ops/0/set") : undefined;
  one.outbox.wake();
  await pass();
  expect(two.told.removed).toEqual([id(3), id(4)]);
  expect(two.told.rejected).toMatchObject([
    { op: { op_id: id(2), set: { x: 4 } }, error: { code: "invalid_op" } },
  ]);
  expect(two.outbox.sync).toBe("rejected");
  two.outbox.dismissRejected();
  await pass();
  expect(one.outbox.sync).toBe("saved");
});

test("refused ops are sent again and discarded from any tab, for both", async () => {
  const { store, one, two } = await twoTabs();
  one.server.handler = () => problem(403, "forbidden");
  one.outbox.add(create(1, "a"));
  one.outbox.add(custom(2));
  one.outbox.add(custom(3));
  await pass(COALESCE_WINDOW);
  for (const { outbox } of [one, two]) expect(outbox.rejected).toHaveLength(3);
  one.server.handler = () => undefined;
  // The tab that does not send.
  two.outbox.resend([id(1)]);
  await pass();
  expect(two.server.requests).toEqual([]);
  expect(one.server.logged).toEqual([1]);
  two.outbox.dismissRejected([id(2)]);
  await pass();
  expect(one.told.removed).toContain(id(2));
  for (const { outbox } of [one, two]) {
    expect(outbox.rejected.map(({ op }) => op.op_id)).toEqual([id(3)]);
    expect(outbox.pendingCount).toBe(0);
  }
  // And the one that does.
  one.outbox.resend([id(3)]);
  await pass();
  expect(one.server.logged).toEqual([1, 3]);
  for (const { outbox } of [one, two]) expect(outbox.sync).toBe("saved");
  expect(await store.load(SCOPE)).toEqual([]);
});

test("what another tab has stored is sent as it is stored", async () => {
  const { one, two } = await twoTabs();
  one.server.handler = offline;
  one.outbox.add(custom(1));
  await pass();
  two.outbox.add(update(2, "a", { x: 1 }));
  await pass(COALESCE_WINDOW);
  two.outbox.add(update(3, "a", { x: 2 }, 2));
  await pass(COALESCE_WINDOW);
  // It leaves with them, before the leader has sent them.
  two.outbox.leave();
  await pass();
  expect(two.server.sent).toEqual([[2, 3]]);
  one.server.handler = () => undefined;
  one.outbox.wake();
  await pass();
  expect(one.outbox.rejected).toEqual([]);
  expect(one.outbox.sync).toBe("saved");
  expect(one.told.acks.map(({ op_id }) => op_id)).toEqual([id(2), id(3), id(1)]);
});

test("what was stored while another tab led is not merged by its heir", async () => {
  const { one, two } = await twoTabs();
  one.server.handler = (received) => {
    one.server.commit(received);
    return Promise.reject(new TypeError("the answer is lost"));
  };
  two.outbox.add(update(1, "a", { x: 1 }));
  await pass(COALESCE_WINDOW);
  two.outbox.add(update(2, "a", { x: 2 }, 1));
  await pass(COALESCE_WINDOW);
  await one.outbox.close();
  await pass();
  expect(two.server.sent).toEqual([[1, 2]]);
  expect(two.outbox.rejected).toEqual([]);
});

test("an op that was seen in the log does not come back from the storage", async () => {
  const { one, two } = await twoTabs();
  one.server.handler = () => new Promise(() => {});
  one.outbox.add(create(1, "a"));
  await pass();
  two.outbox.confirmed([{ op_id: id(1), revision: 1 }], EPOCH);
  two.outbox.wake();
  await pass();
  expect(two.outbox.pendingCount).toBe(0);
  expect(two.told.added).toHaveLength(1);
});

test("ops of another tab stand where they are stored", async () => {
  const { platform, one, two } = await twoTabs();
  one.server.handler = offline;
  platform.isTelling = false;
  two.outbox.add(create(1, "a"));
  await pass();
  one.outbox.add(create(2, "b"));
  await pass();
  one.outbox.wake();
  await pass();
  expect(one.outbox.pending.map((op) => op.op_id)).toEqual([id(1), id(2)]);
});

test("lost messages do no harm", async () => {
  const { platform, store, one, two } = await twoTabs();
  platform.isTelling = false;
  one.server.handler = offline;
  two.outbox.add(create(1, "a"));
  one.outbox.add(create(2, "b"));
  await pass();
  await one.outbox.close();
  await pass();
  expect(two.server.logged.sort()).toEqual([1, 2]);
  expect(two.outbox.sync).toBe("saved");
  expect(await store.load(SCOPE)).toEqual([]);
});

test("a message of another version is ignored", async () => {
  const { platform, one } = await twoTabs();
  const channel = new platform.BroadcastChannel(`revcast:${SCOPE}`);
  for (const data of [null, 1, { type: "acknowledged" }, { type: "future" }]) channel.postMessage(data);
  await pass();
  one.outbox.add(create(1, "a"));
  await pass();
  expect(one.server.logged).toEqual([1]);
});

test("an echo in the leader is no removal for the others", async () => {
  const { one, two } = await twoTabs();
  one.server.handler = () => new Promise(() => {});
  one.outbox.add(create(1, "a"));
  await pass();
  one.outbox.confirmed([{ op_id: id(1), revision: 1 }], EPOCH);
  await pass();
  two.outbox.wake();
  await pass();
  expect(two.outbox.pendingCount).toBe(0);
  expect(two.told.removed).toEqual([]);
});

test("a tab whose storage fails sends for itself, after what the leader has of it", async () => {
  const { store, one, two } = await twoTabs();
  one.server.handler = offline;
  two.outbox.add(create(1, "a"));
  await pass();
  const append = store.append;
  store.append = () => Promise.reject(new DOMException("full", "QuotaExceededError"));
  two.outbox.add(update(2, "a", { x: 1 }));
  await pass(COALESCE_WINDOW);
  store.append = append;
  expect(two.told.errors).toEqual(["STORAGE_FAILED"]);
  expect(two.server.requests).toEqual([]);
  one.server.handler = () => undefined;
  one.outbox.wake();
  await pass();
  expect(one.server.sent.at(-1)).toEqual([1]);
  expect(two.server.sent).toEqual([[2]]);
  expect(two.outbox.sync).toBe("saved");
});

test("close gives back the lock and the channel, also while waiting", async () => {
  const { platform, one, two } = await twoTabs();
  await two.outbox.close();
  await one.outbox.close();
  expect(platform.peers(`revcast:${SCOPE}`).size).toBe(0);
  const three = await opened({ platform, store: new SharedStore() });
  await pass();
  three.outbox.add(create(1, "a"));
  await pass();
  expect(three.server.logged).toEqual([1]);
  await three.outbox.close();
  expect(vi.getTimerCount()).toBe(0);
});

test("without locks each tab sends for itself, and merges nothing that another may have sent", async () => {
  const platform = { locks: undefined, BroadcastChannel: undefined };
  const store = new SharedStore();
  const one = await opened({ platform, store });
  one.server.handler = offline;
  one.outbox.add(custom(1));
  await pass();
  one.outbox.add(update(2, "a", { x: 1 }));
  await pass(COALESCE_WINDOW);
  one.outbox.add(update(3, "a", { x: 2 }, 2));
  await pass(COALESCE_WINDOW);
  const two = await opened({ platform, store, server: one.server });
  one.server.handler = () => undefined;
  await pass(1_000);
  expect(two.outbox.sync).toBe("saved");
  expect(one.outbox.sync).toBe("saved");
  expect(one.server.logged).toEqual([1, 2, 3]);
  expect(one.outbox.rejected).toEqual([]);
});

test("a tab that closes tells the others of what it stores last", async () => {
  const { one, two } = await twoTabs();
  two.server.handler = offline;
  two.outbox.add(update(1, "a", { x: 1 }));
  await two.outbox.close();
  await pass();
  expect(one.server.sent).toEqual([[1]]);
});

test("what one tab has seen in the log, the others hear with its revision", async () => {
  const { one, two } = await twoTabs();
  // No answer comes, but the op does, in the tab that sends.
  one.server.handler = () => new Promise<Response>(() => {});
  two.outbox.add(create(1, "a"));
  await pass();
  one.outbox.confirmed([{ op_id: id(1), revision: 7 }], EPOCH);
  await pass();
  // The other may have a snapshot of revision 7 or later, and never see the op itself.
  expect(two.told.acks).toEqual([{ op_id: id(1), revision: 7 }]);
  expect(two.outbox.sync).toBe("saved");
});

test("a tab that was not told of an outcome finds it by itself", async () => {
  const { platform, store, two } = await twoTabs();
  platform.isTelling = false;
  two.outbox.add(create(1, "a"));
  await pass();
  // Another tab has sent it, and was gone before it could tell.
  await store.change(SCOPE, { remove: (await store.load(SCOPE)).map(({ key }) => key) });
  await pass();
  expect(two.outbox.sync).toBe("saving");
  await pass(LOOK_AGAIN);
  expect(two.told.removed).toEqual([id(1)]);
  expect(two.outbox.sync).toBe("saved");
  await two.outbox.close();
});

test.each([
  ["the channel", "BroadcastChannel"],
  ["the locks", "locks"],
])("where %s may not be used, each tab sends for itself", async (_, part) => {
  const refuse = () => {
    throw new DOMException("The operation is insecure.", "SecurityError");
  };
  const platform = Object.assign(new Browser(), {
    [part]:
      part === "locks"
        ? { request: refuse }
        : class extends Object {
            constructor() {
              super();
              refuse();
            }
          },
  });
  const { outbox, server } = await opened({ platform, store: new SharedStore() });
  outbox.add(create(1, "a"));
  await pass();
  expect(server.sent).toEqual([[1]]);
  expect(outbox.sync).toBe("saved");
});
