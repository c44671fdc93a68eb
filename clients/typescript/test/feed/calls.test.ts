// What the owner of a feed asks of it: wake, offline, expect, presence, close.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { DRAWING, FeedServer, op, problem, range } from "../support/feed_server.js";
import { fakeTime, pass, settle, Watched } from "../support/feed_watch.js";

let server: FeedServer;
let watched: Watched;

beforeEach(() => {
  fakeTime();
  server = new FeedServer();
  // Heartbeats are not sent by themselves here.
  server.heartbeat = 1_000_000;
  server.log = range(1, 3);
  watched = new Watched(server);
});

afterEach(() => watched.end());

describe("catchUp", () => {
  test("calls share one flight", async () => {
    await watched.live();
    const before = server.count("GET ops");
    const first = watched.feed.catchUp();
    expect(watched.feed.catchUp()).toBe(first);
    await first;
    expect(server.count("GET ops")).toBe(before + 1);
  });

  test("rejects when it does not work", async () => {
    await watched.live();
    server.script("GET ops", () => problem(503, "overloaded"));
    await expect(watched.feed.catchUp()).rejects.toMatchObject({ code: "overloaded" });
  });

  test("the late answer of a superseded flight does not move the position back", async () => {
    await watched.live();
    server.commit(1);
    const release = server.hold("GET ops");
    const first = watched.feed.catchUp();
    await pass(2_000);
    server.log = range(1, 7);
    watched.feed.wake();
    await settle();
    await first;
    expect(watched.revisions).toEqual([4, 5, 6, 7]);
    const before = watched.told;
    release();
    await settle();
    expect(watched.feed.position?.revision).toBe(7);
    expect(watched.told).toBe(before);
  });

  test("a superseded flight that ends early does not end the one in its place", async () => {
    await watched.live();
    server.commit(1);
    const releaseFirst = server.hold("GET ops");
    const reading = watched.feed.catchUp();
    await pass(2_000);
    const releaseSecond = server.hold("GET ops");
    watched.feed.wake();
    await settle();
    releaseFirst();
    await settle();
    expect(watched.feed.catchUp()).toBe(reading);
    releaseSecond();
    await reading;
  });

  test("the late failure of a superseded flight changes nothing", async () => {
    await watched.live();
    let fail = (): void => {};
    server.script(
      "GET ops",
      () =>
        new Promise((resolve) => {
          fail = () => resolve(problem(410, "epoch_changed"));
        }),
    );
    const first = watched.feed.catchUp();
    await pass(2_000);
    watched.feed.wake();
    await first;
    fail();
    await settle();
    expect(watched.snapshots).toHaveLength(1);
    expect(watched.feed.position?.epoch).toBe("epoch-1");
  });
});

describe("wake", () => {
  test("reads over HTTP at once, and pings the socket", async () => {
    await watched.live();
    server.log = range(1, 5);
    watched.feed.wake();
    await settle();
    expect(watched.revisions).toEqual([4, 5]);
    expect(server.socket.of("ping")).toHaveLength(1);
    await pass(6_000);
    expect(server.sockets.all).toHaveLength(1);
  });

  test("a socket that does not answer within 5 s is replaced", async () => {
    await watched.live();
    const { socket } = server;
    server.sockets.answersPings = false;
    watched.feed.wake();
    await pass(3_000);
    watched.feed.wake();
    await pass(1_999);
    expect(socket.closedWith).toBeUndefined();
    await pass(1);
    expect(socket.closedWith).toBe(1000);
    await pass(1_000);
    expect(server.sockets.all).toHaveLength(2);
    expect(watched.state).toBe("live");
  });

  test("forgets the backoff", async () => {
    await watched.live();
    server.everything = () => Promise.reject(new TypeError("unreachable"));
    server.socket.drop(1006);
    await pass(200_000);
    server.requests.length = 0;
    watched.feed.wake();
    await pass(1_000);
    expect(server.count("POST tickets")).toBeGreaterThan(1);
    server.everything = undefined;
    watched.feed.wake();
    await settle();
    expect(watched.state).toBe("live");
  });

  test("forgets the backoff of the first load", async () => {
    server.everything = () => Promise.reject(new TypeError("unreachable"));
    watched.feed.start();
    await pass(200_000);
    server.everything = undefined;
    watched.feed.wake();
    await settle();
    expect(watched.state).toBe("live");
    expect(watched.snapshots).toHaveLength(1);
  });

  test("a fallback tries a socket at once", async () => {
    await watched.streaming();
    server.sockets.mode = "live";
    watched.feed.wake();
    await settle();
    expect(watched.state).toBe("live");
  });

  test("a stream of which nothing comes any more gives way to another", async () => {
    await watched.streaming();
    watched.feed.wake();
    await pass(5_000);
    expect(server.streams.all).toHaveLength(2);
    watched.feed.wake();
    server.stream.write(":\n\n");
    await pass(5_000);
    expect(server.streams.all).toHaveLength(2);
  });

  test("asks again at once whether there is access", async () => {
    server.script("GET snapshot", () => problem(404, "not_found"));
    watched.feed.start();
    await settle();
    expect(watched.roles).toEqual([null]);
    watched.feed.wake();
    await settle();
    expect(watched.roles).toEqual([null, "editor"]);
  });
});

describe("offline", () => {
  test("is believed until something comes", async () => {
    await watched.live();
    watched.feed.offline();
    expect(watched.state).toBe("offline");
    server.socket.head(3);
    expect(watched.states).toEqual(["connecting", "live", "offline", "live"]);
  });

  test("an attempt that has other troubles does not end it", async () => {
    await watched.live();
    watched.feed.offline();
    server.everything = () => problem(401, "unauthenticated");
    server.socket.drop(1006);
    await pass(1_000);
    expect(watched.codes).toContain("AUTH_FAILED");
    expect(watched.states).toEqual(["connecting", "live", "offline"]);
  });

  test("ends with wake", async () => {
    await watched.live();
    watched.feed.offline();
    server.socket.drop(1006);
    expect(watched.state).toBe("offline");
    watched.feed.wake();
    await settle();
    expect(watched.states).toEqual(["connecting", "live", "offline", "connecting", "live"]);
  });
});

describe("expect", () => {
  test("what does not come within a second is read", async () => {
    await watched.live();
    server.log = range(1, 5);
    watched.feed.expect({ epoch: "epoch-1", revision: 5 });
    await pass(900);
    expect(watched.revisions).toEqual([]);
    await pass(200);
    expect(watched.revisions).toEqual([4, 5]);
  });

  test("what comes by itself is not read", async () => {
    await watched.live();
    const before = server.count("GET ops");
    watched.feed.expect({ epoch: "epoch-1", revision: 4 });
    watched.feed.expect({ epoch: "epoch-1", revision: 2 });
    server.socket.ops(op(4));
    await pass(5_000);
    expect(server.count("GET ops")).toBe(before);
  });

  test("another epoch brings a snapshot of it", async () => {
    await watched.live();
    server.epoch = "epoch-2";
    server.log = range(1, 2);
    watched.feed.expect({ epoch: "epoch-2", revision: 2 });
    await settle();
    expect(watched.snapshots.at(-1)).toEqual({ epoch: "epoch-2", revision: 2 });
  });

  test("a late answer of an old epoch changes nothing", async () => {
    await watched.live();
    watched.feed.expect({ epoch: "epoch-0", revision: 9 });
    await pass(5_000);
    expect(watched.snapshots).toHaveLength(1);
    expect(watched.feed.position).toEqual({ epoch: "epoch-1", revision: 3 });
  });

  test("a revision that the log does not have is asked for once", async () => {
    await watched.live();
    watched.feed.expect({ epoch: "epoch-1", revision: 99 });
    const before = server.count("GET ops");
    await pass(60_000);
    expect(server.count("GET ops")).toBe(before + 1);
  });
});

describe("presence on a socket", () => {
  test("is shown, dropped while the socket is behind, and shown again on the next one", async () => {
    await watched.live();
    const { socket } = server;
    expect(watched.feed.present({ cursor: [1, 1] })).toBe(true);
    socket.bufferedAmount = 64 * 1024 + 1;
    expect(watched.feed.present({ cursor: [2, 2] })).toBe(false);
    expect(socket.of("presence")).toEqual([
      { type: "presence", drawing_id: DRAWING, state: { cursor: [1, 1] } },
    ]);
    socket.drop(1006);
    expect(watched.feed.present({ cursor: [3, 3] })).toBe(false);
    await pass(1_000);
    expect(server.socket.of("presence").map(({ state }) => state)).toEqual([{ cursor: [3, 3] }]);
    expect(watched.ids).toEqual(["socket-1", undefined, "socket-2"]);
  });

  test("who has left is not shown again", async () => {
    await watched.live();
    watched.feed.present({ cursor: [1, 1] });
    expect(watched.feed.present(null)).toBe(true);
    server.socket.drop(1006);
    await pass(1_000);
    expect(server.socket.of("presence")).toEqual([]);
  });

  test("is shown again after a reset on the same socket", async () => {
    await watched.live();
    watched.feed.present({ cursor: [1, 1] });
    server.socket.reset("lagged");
    expect(watched.feed.present({ cursor: [2, 2] })).toBe(false);
    await settle();
    expect(server.socket.of("presence").at(-1)?.state).toEqual({ cursor: [2, 2] });
  });

  test("rosters and diffs are told", async () => {
    server.roster = { a: { user_id: "alice", name: "Alice", state: {} } };
    await watched.live();
    server.socket.receive({ type: "presence", drawing_id: DRAWING, count: 0, set: {}, gone: ["a"] });
    expect(watched.presence).toEqual([
      { kind: "roster", roster: server.roster },
      { kind: "diff", set: {}, gone: ["a"] },
    ]);
  });
});

describe("presence by posts", () => {
  const posted = () => server.of("POST presence").map(({ body }) => body);

  test("at most one a second, the last state wins, and it is repeated", async () => {
    await watched.streaming();
    for (let n = 1; n <= 5; n++) {
      expect(watched.feed.present({ n })).toBe(true);
      await pass(100);
    }
    expect(posted()).toEqual([{ state: { n: 1 } }]);
    await pass(600);
    expect(posted()).toEqual([{ state: { n: 1 } }, { state: { n: 5 }, connection_id: "posted-1" }]);
    expect(watched.ids).toEqual(["posted-1"]);
    server.stream.write(":\n\n");
    await pass(15_100);
    expect(posted()).toHaveLength(3);
    watched.feed.present(null);
    await pass(1_100);
    expect(posted().at(-1)).toEqual({ state: null, connection_id: "posted-1" });
    await pass(20_000);
    expect(posted()).toHaveLength(4);
    expect(watched.ids).toEqual(["posted-1", undefined]);
  });

  test("another stream does not change the name under which it is shown", async () => {
    await watched.streaming();
    watched.feed.present({ n: 1 });
    await settle();
    server.stream.end();
    await pass(3_000);
    expect(server.streams.all).toHaveLength(2);
    expect(watched.ids).toEqual(["posted-1"]);
  });

  test("a post that fails is made again", async () => {
    await watched.streaming();
    server.script("POST presence", () => problem(429, "rate_limited", {}, { "Retry-After": "3" }));
    watched.feed.present({ n: 1 });
    await pass(2_900);
    expect(posted()).toHaveLength(1);
    await pass(300);
    expect(posted()).toHaveLength(2);
    expect(watched.errors).toEqual([]);
  });

  test("a state that will not do is told once, and not repeated", async () => {
    await watched.streaming();
    server.script("POST presence", () => problem(422, "invalid_field"));
    watched.feed.present({ n: 1 });
    await pass(20_000);
    expect(posted()).toHaveLength(1);
    expect(watched.codes).toEqual(["invalid_field"]);
  });

  test("the socket takes over: the posted state leaves", async () => {
    await watched.streaming();
    watched.feed.present({ n: 1 });
    await pass(1_500);
    server.sockets.mode = "live";
    watched.feed.wake();
    await pass(1_500);
    expect(posted().at(-1)).toEqual({ state: null, connection_id: "posted-1" });
    expect(server.socket.of("presence").map(({ state }) => state)).toEqual([{ n: 1 }]);
    expect(watched.ids).toEqual(["posted-1", "socket-3"]);
    await pass(60_000);
    expect(posted()).toHaveLength(2);
  });

  test("the state shown on a lost socket is posted", async () => {
    await watched.live();
    watched.feed.present({ n: 1 });
    server.socket.drop(4203);
    await pass(100);
    expect(posted()).toEqual([{ state: { n: 1 } }]);
  });
});

describe("close", () => {
  /** Nothing is told any more, whatever comes, and no timer is left. */
  async function expectSilence(): Promise<void> {
    const before = watched.told;
    watched.feed.close();
    expect(vi.getTimerCount()).toBe(0);
    const sockets = server.sockets.all.length;
    const requests = server.requests.filter(({ keepalive }) => !keepalive).length;
    for (const socket of server.sockets.all) {
      socket.readyState = 1;
      socket.onopen?.();
      socket.ops(op(4));
      socket.reset("epoch_changed");
      socket.drop(4100);
    }
    for (const stream of server.streams.all) stream.send({ type: "ops", revision: 4, ops: [op(4)] });
    watched.feed.wake();
    watched.feed.offline();
    watched.feed.start();
    watched.feed.expect({ epoch: "epoch-1", revision: 9 });
    expect(watched.feed.present({ n: 1 })).toBe(false);
    await expect(watched.feed.catchUp()).rejects.toMatchObject({ code: "closed" });
    server.commit(3);
    await pass(100_000);
    expect(watched.told).toBe(before);
    expect(server.sockets.all).toHaveLength(sockets);
    expect(server.requests.filter(({ keepalive }) => !keepalive)).toHaveLength(requests);
    expect(vi.getTimerCount()).toBe(0);
  }

  test("while the first state is read", async () => {
    const release = server.hold("GET snapshot");
    watched.feed.start();
    await settle();
    const { signal } = server.requests[0] ?? {};
    queueMicrotask(release);
    await expectSilence();
    expect(signal?.aborted).toBe(true);
  });

  test("while the socket opens, and while its ticket is asked for", async () => {
    server.sockets.mode = "silent";
    watched.feed.start();
    await settle();
    await expectSilence();
    expect(server.socket.closedWith).toBe(1000);

    watched = new Watched(server);
    const release = server.hold("POST tickets");
    watched.feed.start();
    await settle();
    queueMicrotask(release);
    await expectSilence();
  });

  test("of a live socket: it closes with 1000, and nobody waits", async () => {
    await watched.live();
    const release = server.hold("GET ops");
    const reading = watched.feed.catchUp();
    await settle();
    queueMicrotask(release);
    await expectSilence();
    expect(server.socket.closedWith).toBe(1000);
    await expect(reading).rejects.toMatchObject({ code: "closed" });
  });

  test("while a commit is expected, and while a repair waits", async () => {
    await watched.live();
    watched.feed.expect({ epoch: "epoch-1", revision: 9 });
    server.script("GET ops", () => problem(503, "overloaded"));
    server.socket.head(9);
    await settle();
    await expectSilence();
  });

  test("in the pause before another attempt", async () => {
    await watched.live();
    server.socket.drop(1006);
    await expectSilence();
  });

  test("of an event stream: it ends, and the posted state leaves", async () => {
    await watched.streaming();
    watched.feed.present({ n: 1 });
    await settle();
    await expectSilence();
    expect(server.stream.seen.signal?.aborted).toBe(true);
    const last = server.of("POST presence").at(-1);
    expect(last?.body).toEqual({ state: null, connection_id: "posted-1" });
    expect(last?.keepalive).toBe(true);
  });

  test("of a long-poll", async () => {
    server.streams.mode = "refused";
    server.sockets.mode = "refused";
    watched.feed.start();
    await pass(2_000);
    expect(watched.state).toBe("fallback");
    await expectSilence();
  });

  test("from within what it tells", async () => {
    await watched.live();
    const told: number[] = [];
    const { feed } = watched;
    watched.revisions.push = (...revisions) => {
      told.push(...revisions);
      feed.close();
      return 0;
    };
    server.socket.ops(op(4));
    server.socket.ops(op(5));
    await expectSilence();
    expect(told).toEqual([4]);
  });
});
