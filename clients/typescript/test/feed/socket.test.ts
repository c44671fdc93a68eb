// Following over the socket.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FeedServer, json, op, problem, range } from "../support/feed_server.js";
import { fakeTime, pass, settle, Watched } from "../support/feed_watch.js";

let server: FeedServer;
let watched: Watched;

beforeEach(() => {
  fakeTime();
  server = new FeedServer();
  server.log = range(1, 3);
  watched = new Watched(server);
});

afterEach(() => watched.end());

describe("the first load", () => {
  test("takes a snapshot, then the ops after it, then the socket", async () => {
    const release = server.hold("GET snapshot");
    watched.feed.start();
    await settle();
    server.commit(2);
    release();
    await settle();
    expect(watched.snapshots).toEqual([{ epoch: "epoch-1", revision: 3 }]);
    expect(watched.revisions).toEqual([4, 5]);
    expect(server.socket.of("subscribe")).toMatchObject([{ after: 5, epoch: "epoch-1", presence: true }]);
    expect(server.socket.url).toBe("wss://draw.test/v1/ws?ticket=ticket-1");
    expect(server.socket.protocol).toBe("revcast.v1.json");
    expect(watched.states).toEqual(["connecting", "live"]);
    expect(watched.roles).toEqual(["editor"]);
    expect(watched.ids).toEqual(["socket-1"]);
  });

  test("reads page after page until the log is complete", async () => {
    server.pageSize = 2;
    const release = server.hold("GET snapshot");
    watched.feed.start();
    await settle();
    server.commit(5);
    release();
    await settle();
    expect(watched.revisions).toEqual([4, 5, 6, 7, 8]);
    expect(server.of("GET ops").map(({ query }) => query.get("after"))).toEqual(["3", "5", "7"]);
  });

  test("from a known position needs no snapshot", async () => {
    watched.startFrom({ epoch: "epoch-1", revision: 1 });
    await settle();
    expect(server.count("GET snapshot")).toBe(0);
    expect(watched.revisions).toEqual([2, 3]);
  });

  test("without snapshots reads the whole log onto an empty canvas", async () => {
    server.hasSnapshots = false;
    await watched.live();
    expect(watched.snapshots).toEqual([{ epoch: "epoch-1", revision: 0 }]);
    expect(watched.revisions).toEqual([1, 2, 3]);
  });

  test("is tried again with backoff, and offline is told", async () => {
    server.everything = () => Promise.reject(new TypeError("unreachable"));
    watched.feed.start();
    await pass(5_000);
    expect(watched.states).toEqual(["connecting", "offline"]);
    server.everything = undefined;
    await pass(5_000);
    expect(watched.states).toEqual(["connecting", "offline", "live"]);
    expect(watched.errors).toEqual([]);
  });
});

describe("the position", () => {
  test("an op that was told is not told again", async () => {
    await watched.live();
    server.socket.ops(op(2), op(3), op(4));
    server.socket.ops(op(4));
    expect(watched.revisions).toEqual([4]);
  });

  test("ops beyond a gap wait until REST has brought what is missing", async () => {
    await watched.live();
    server.log = range(1, 5);
    server.socket.ops(op(6));
    expect(watched.revisions).toEqual([]);
    await settle();
    expect(watched.revisions).toEqual([4, 5, 6]);
    expect(watched.feed.position).toEqual({ epoch: "epoch-1", revision: 6 });
    expect(server.of("GET ops").at(-1)?.query.toString()).toBe("after=3&epoch=epoch-1");
  });

  test("ops in another order are told in order", async () => {
    await watched.live();
    const release = server.hold("GET ops");
    server.socket.ops(op(6));
    server.socket.ops(op(5));
    server.socket.ops(op(4));
    expect(watched.revisions).toEqual([4, 5, 6]);
    release();
    await settle();
    expect(watched.revisions).toEqual([4, 5, 6]);
  });

  test("what does not fit beyond a gap is read again", async () => {
    await watched.live();
    server.log = range(1, 3_000);
    const release = server.hold("GET ops");
    for (const missed of range(5, 3_000)) server.socket.ops(missed);
    release();
    await pass(1_000);
    expect(watched.revisions).toEqual(range(4, 3_000).map(({ revision }) => revision));
  });

  test("a head ahead of the position is read over REST", async () => {
    await watched.live();
    server.log = range(1, 5);
    server.socket.head(5);
    await settle();
    expect(watched.revisions).toEqual([4, 5]);
  });

  test("a catch-up that fails is tried again until the gap is closed", async () => {
    await watched.live();
    server.log = range(1, 5);
    for (let n = 0; n < 3; n++) server.script("GET ops", () => problem(503, "store_unavailable"));
    server.socket.head(5);
    await settle();
    expect(watched.revisions).toEqual([]);
    await pass(5_000);
    expect(watched.revisions).toEqual([4, 5]);
    expect(watched.errors).toEqual([]);
  });

  test("an op of an unknown type, or without fields, is passed on", async () => {
    await watched.live();
    server.socket.ops({ ...op(4), type: "later.invention" });
    expect(watched.revisions).toEqual([4]);
  });

  test("messages of another drawing, and no messages at all, are ignored", async () => {
    await watched.live();
    server.socket.receive({ type: "ops", drawing_id: "other", revision: 4, ops: [op(4)] });
    server.socket.receive({ type: "later_invention", drawing_id: "other" });
    server.socket.onmessage?.({ data: "{" });
    server.socket.onmessage?.({ data: "null" });
    server.socket.onmessage?.({ data: new ArrayBuffer(3) });
    expect(watched.revisions).toEqual([]);
    expect(watched.state).toBe("live");
  });
});

describe("reset", () => {
  test("lagged: catches up over REST and subscribes again on the same socket", async () => {
    await watched.live();
    server.log = range(1, 9);
    server.socket.reset("lagged");
    await settle();
    expect(watched.revisions).toEqual([4, 5, 6, 7, 8, 9]);
    expect(server.sockets.all).toHaveLength(1);
    expect(server.socket.of("subscribe").map(({ after }) => after)).toEqual([3, 9]);
    expect(watched.states).toEqual(["connecting", "live"]);
  });

  test("far behind: a snapshot rather than thousands of ops", async () => {
    await watched.live();
    server.log = range(1, 6_000);
    server.socket.reset("too_far_behind");
    await settle();
    expect(watched.snapshots.at(-1)).toEqual({ epoch: "epoch-1", revision: 6_000 });
    expect(watched.revisions).toEqual([]);
    expect(server.socket.of("subscribe").at(-1)?.after).toBe(6_000);
  });

  test("far behind without snapshots: the ops after all", async () => {
    await watched.live();
    server.log = range(1, 6_000);
    server.hasSnapshots = false;
    server.socket.reset("too_far_behind");
    await settle();
    expect(watched.revisions.at(-1)).toBe(6_000);
    expect(watched.snapshots).toHaveLength(1);
  });

  test("another epoch: a snapshot of it, even at a lower revision", async () => {
    await watched.live();
    server.epoch = "epoch-2";
    server.log = range(1, 2);
    server.socket.reset("epoch_changed");
    await settle();
    expect(watched.feed.position).toEqual({ epoch: "epoch-2", revision: 2 });
    expect(server.socket.of("subscribe").at(-1)).toMatchObject({ after: 2, epoch: "epoch-2" });
    server.commit(1);
    expect(watched.revisions).toEqual([3]);
  });

  test("ahead of the log: a snapshot, though the revision goes back", async () => {
    await watched.live();
    server.log = range(1, 1);
    server.socket.reset("revision_ahead");
    await settle();
    expect(watched.snapshots.at(-1)).toEqual({ epoch: "epoch-1", revision: 1 });
    expect(watched.feed.position?.revision).toBe(1);
  });

  test("410 over REST: a snapshot, and the socket follows the new log", async () => {
    await watched.live();
    server.epoch = "epoch-2";
    server.log = range(1, 1);
    await watched.feed.catchUp();
    await settle();
    expect(watched.snapshots.at(-1)).toEqual({ epoch: "epoch-2", revision: 1 });
    // What comes under the old subscription belongs to the old log.
    server.commit(1);
    await settle();
    expect(watched.revisions).toEqual([2]);
    expect(server.socket.of("subscribe").at(-1)).toMatchObject({ epoch: "epoch-2", after: 1 });
  });

  test("ops of the old epoch that come during the change are not told", async () => {
    await watched.live();
    const release = server.hold("GET ops");
    void watched.feed.catchUp();
    await settle();
    server.epoch = "epoch-2";
    server.log = range(1, 9);
    const { socket } = server;
    socket.reset("epoch_changed");
    socket.ops(op(4));
    release();
    await settle();
    expect(watched.revisions).toEqual([]);
    expect(watched.feed.position).toEqual({ epoch: "epoch-2", revision: 9 });
    expect(watched.snapshots).toHaveLength(2);
    // Never the new epoch with an old revision, nor the other way round.
    expect(socket.of("subscribe").map(({ epoch, after }) => [epoch, after])).toEqual([
      ["epoch-1", 3],
      ["epoch-2", 9],
    ]);
  });

  test("a snapshot of the old epoch that comes late is not taken", async () => {
    await watched.live();
    server.log = range(1, 6_000);
    const release = server.hold("GET snapshot");
    const reading = watched.feed.catchUp();
    await settle();
    server.epoch = "epoch-2";
    server.log = range(1, 4);
    server.socket.reset("epoch_changed");
    release();
    await reading;
    expect(watched.snapshots.map(({ epoch }) => epoch)).toEqual(["epoch-1", "epoch-2"]);
  });

  test("a catch-up after it may take longer than the socket may be silent", async () => {
    await watched.live();
    const release = server.hold("GET ops");
    server.socket.reset("lagged");
    await pass(9_000);
    release();
    await settle();
    expect(server.sockets.all).toHaveLength(1);
    expect(server.socket.of("subscribe")).toHaveLength(2);
  });

  test("resets without end give the socket up", async () => {
    server.script("GET snapshot", () => json({ epoch: "epoch-1", revision: 3, registers: {} }));
    watched.feed.start();
    await settle();
    const { socket } = server;
    server.sockets.mode = "mute";
    for (let n = 0; n < 4; n++) {
      socket.reset("lagged");
      await settle();
    }
    expect(socket.closedWith).toBe(1000);
    expect(watched.state).toBe("connecting");
  });
});

describe("one socket at a time", () => {
  test("the late words and the late close of a superseded socket change nothing", async () => {
    await watched.live();
    const { socket: old } = server;
    old.drop(4000);
    await pass(1_000);
    expect(server.sockets.all).toHaveLength(2);
    const before = watched.told;
    old.readyState = 1;
    old.ops(op(4));
    old.reset("epoch_changed");
    old.receive({ type: "role", drawing_id: "x", role: null });
    old.drop(4203);
    await pass(1_000);
    expect(watched.told).toBe(before);
    expect(watched.state).toBe("live");
    expect(server.sockets.all).toHaveLength(2);
  });

  test("each attempt has its own ticket", async () => {
    await watched.live();
    server.socket.drop(1006);
    await pass(1_000);
    expect(server.sockets.all.map(({ url }) => url.split("=")[1])).toEqual(["ticket-1", "ticket-2"]);
  });

  test("what was missed while away comes with the subscription", async () => {
    await watched.live();
    server.socket.drop(1006);
    server.commit(2);
    await pass(1_000);
    expect(watched.revisions).toEqual([4, 5]);
    expect(server.count("GET snapshot")).toBe(1);
  });
});

describe("the end of a socket", () => {
  test("goaway: reads on, and comes back at once when it closes", async () => {
    await watched.live();
    server.socket.receive({ type: "goaway", reconnect_in_ms: 500 });
    server.commit(1);
    expect(watched.revisions).toEqual([4]);
    expect(server.sockets.all).toHaveLength(1);
    server.socket.drop(4000);
    await settle();
    expect(server.sockets.all).toHaveLength(2);
    expect(watched.states).toEqual(["connecting", "live", "connecting", "live"]);
  });

  test("4000 without goaway: after a pause", async () => {
    await watched.live();
    server.socket.drop(4000);
    await settle();
    expect(server.sockets.all).toHaveLength(1);
    await pass(500);
    expect(server.sockets.all).toHaveLength(2);
  });

  test("what has delivered comes back within 500 ms, however short it has lived and however often it ends", async () => {
    await watched.live();
    for (let n = 0; n < 20; n++) {
      const sockets = server.sockets.all.length;
      server.commit(1);
      server.socket.receive({ type: "ops", revision: server.head, ops: [op(server.head)] });
      await pass(100);
      server.socket.drop(1006);
      await pass(500);
      expect(server.sockets.all).toHaveLength(sockets + 1);
      expect(watched.state).toBe("live");
    }
    expect(watched.revisions).toEqual(range(4, 23).map(({ revision }) => revision));
  });

  test("what follows and brings nothing comes back later and later", async () => {
    await watched.live();
    const began = performance.now();
    for (let n = 0; n < 8; n++) {
      server.socket.drop(1006);
      await expectLive(server.sockets.all.length + 1);
    }
    expect(performance.now() - began).toBeGreaterThan(10_000);
  });

  test("how it stands with the attempts is told: how many, when the next is, and what follows the drawing", async () => {
    await watched.live();
    expect(watched.attempts).toEqual([
      { transport: "socket", reconnectAttempts: 0, nextAttemptAt: undefined },
    ]);
    server.sockets.mode = "mute";
    server.socket.drop(1006);
    await settle();
    const { nextAttemptAt = 0, ...rest } = watched.attempts.at(-1) ?? {};
    expect(rest).toEqual({ transport: undefined, reconnectAttempts: 0 });
    expect(nextAttemptAt - Date.now()).toBeGreaterThanOrEqual(0);
    expect(nextAttemptAt - Date.now()).toBeLessThanOrEqual(500);
    await pass(500);
    const underWay = { transport: undefined, nextAttemptAt: undefined };
    expect(watched.attempts.at(-1)).toEqual({ ...underWay, reconnectAttempts: 1 });
    await pass(8_000);
    expect(watched.attempts.at(-1)).toMatchObject({ reconnectAttempts: 1 });
    server.sockets.mode = "live";
    watched.feed.wake();
    await settle();
    expect(watched.attempts.at(-2)).toEqual({ ...underWay, reconnectAttempts: 2 });
    expect(watched.attempts.at(-1)).toMatchObject({ transport: "socket", reconnectAttempts: 0 });
  });

  test("4100: a new ticket at once, then with backoff", async () => {
    await watched.live();
    server.socket.drop(4100);
    await settle();
    expect(server.sockets.all).toHaveLength(2);
    server.socket.drop(4100);
    await settle();
    expect(server.sockets.all).toHaveLength(2);
    await pass(2_000);
    expect(server.sockets.all).toHaveLength(3);
  });

  test.each([
    [4200, "AUTH_FAILED"],
    [4201, "INVALID_SESSION"],
    [4202, "MESSAGE_TOO_LARGE"],
    [4203, "RATE_LIMITED"],
    [4299, "INVALID_SESSION"],
  ])("%i: %s is told, and it goes on without sockets for ever", async (code, expected) => {
    await watched.live();
    server.socket.drop(code);
    await settle();
    expect(watched.codes).toEqual([expected]);
    expect(watched.state).toBe("fallback");
    server.stream.send({ type: "ops", revision: 4, ops: [op(4)] });
    await settle();
    expect(watched.revisions).toEqual([4]);
    for (let n = 0; n < 10; n++) {
      server.stream.write(":\n\n");
      await pass(30_000);
    }
    watched.feed.wake();
    await settle();
    expect(server.sockets.all).toHaveLength(1);
  });

  test("the answer to subscribe must come in time", async () => {
    server.sockets.mode = "mute";
    watched.feed.start();
    await pass(7_999);
    expect(server.socket.closedWith).toBeUndefined();
    await pass(1);
    expect(server.socket.closedWith).toBe(1000);
  });

  test("a silent socket is given up after three heartbeats", async () => {
    server.heartbeat = 3_000;
    server.sockets.answersPings = false;
    await watched.live();
    const { socket } = server;
    await pass(8_000);
    socket.head(3);
    await pass(8_999);
    expect(socket.closedWith).toBeUndefined();
    await pass(2);
    expect(socket.closedWith).toBe(1000);
    expect(watched.states.slice(0, 3)).toEqual(["connecting", "live", "connecting"]);
  });

  test("a socket is not given up sooner than after 6 s", async () => {
    server.heartbeat = 10;
    await watched.live();
    await pass(5_999);
    expect(server.socket.closedWith).toBeUndefined();
    await pass(2);
    expect(server.socket.closedWith).toBe(1000);
  });
});

describe("signs of life", () => {
  test("a ping every 10 s tells the latency", async () => {
    server.heartbeat = 20_000;
    await watched.live();
    await pass(10_000);
    expect(server.socket.of("ping")).toHaveLength(1);
    expect(watched.latencies).toEqual([0]);
    server.sockets.answersPings = false;
    await pass(10_000);
    const t = server.socket.of("ping")[1]?.t;
    await pass(40);
    server.socket.receive({ type: "pong", t });
    expect(watched.latencies).toEqual([0, 40]);
  });
});

describe("renewal in place", () => {
  const jwt = (exp: number): string =>
    `x.${btoa(JSON.stringify({ sub: "ä?>", exp }).replace("ä", "\\u00e4"))
      .replaceAll("+", "-")
      .replaceAll("/", "_")
      .replaceAll("=", "")}.y`;
  const seconds = (): number => Math.floor(Date.now() / 1000);

  beforeEach(() => {
    server.heartbeat = 10_000_000;
  });

  test("a fresh ticket goes over the socket before the identity ends", async () => {
    server.token = jwt(seconds() + 100);
    await watched.live();
    await pass(78_000);
    expect(server.socket.of("auth")).toEqual([]);
    server.token = jwt(seconds() + 1_000);
    await pass(3_000);
    expect(server.socket.of("auth")).toEqual([{ type: "auth", ticket: "ticket-2" }]);
    await pass(700_000);
    expect(server.socket.of("auth")).toHaveLength(1);
    await pass(200_000);
    expect(server.socket.of("auth")).toHaveLength(2);
    expect(server.sockets.all).toHaveLength(1);
  });

  test("a renewal that fails is tried again", async () => {
    server.token = jwt(seconds() + 100);
    await watched.live();
    server.script("POST tickets", () => problem(503, "overloaded"));
    server.script("POST tickets", () => problem(401, "unauthenticated"));
    await pass(95_000);
    expect(watched.codes).toEqual(["AUTH_FAILED"]);
    expect(server.socket.of("auth").length).toBeGreaterThan(0);
  });

  test("a token that stays the same is not asked for again and again", async () => {
    server.token = jwt(seconds() + 100);
    await watched.live();
    await pass(200_000);
    expect(server.socket.of("auth")).toHaveLength(2);
  });

  test("an opaque token is not renewed, nor one that ends in the far future", async () => {
    await watched.live();
    const { socket } = server;
    await pass(100_000_000);
    expect(socket.of("auth")).toEqual([]);
    watched.feed.close();

    server.token = jwt(seconds() + 10_000_000);
    watched = new Watched(server);
    await watched.live();
    await pass(1_000_000);
    expect(server.socket.of("auth")).toEqual([]);
  });
});

describe("errors on the socket", () => {
  test.each(["overloaded", "store_unavailable", "draining"])("%s: another attempt", async (code) => {
    server.sockets.mode = "mute";
    watched.feed.start();
    await settle();
    server.socket.receive({ type: "error", code, detail: "" });
    expect(server.socket.closedWith).toBe(1000);
    server.sockets.mode = "live";
    await pass(1_000);
    expect(watched.state).toBe("live");
    expect(watched.errors).toEqual([]);
  });

  test("another error is told, and the socket goes on", async () => {
    await watched.live();
    server.socket.receive({ type: "error", code: "invalid_field", detail: "no" });
    server.socket.receive({ type: "error", code: "not_subscribed", detail: "no" });
    expect(watched.codes).toEqual(["invalid_field"]);
    expect(watched.state).toBe("live");
  });
});

describe("access", () => {
  test("a role that changes is told, each once", async () => {
    await watched.live();
    const change = (role: string | null) =>
      server.socket.receive({ type: "role", drawing_id: "00000000-0000-7000-8000-00000000000D", role });
    change("viewer");
    change("viewer");
    expect(watched.roles).toEqual(["editor", "viewer"]);
  });

  test("a lost role ends delivery; it is tried again slowly, and goes on where it stood", async () => {
    await watched.live();
    const { socket } = server;
    server.sockets.mode = "mute";
    socket.receive({ type: "role", drawing_id: "00000000-0000-7000-8000-00000000000d", role: null });
    expect(socket.closedWith).toBe(1000);
    socket.ops(op(4));
    server.log.push(op(4));
    await pass(29_000);
    expect(watched.revisions).toEqual([]);
    expect(server.sockets.all).toHaveLength(1);
    await pass(1_500);
    expect(server.sockets.all).toHaveLength(2);
    server.socket.receive({ type: "error", code: "not_found", detail: "" });
    server.sockets.mode = "live";
    await pass(31_000);
    expect(watched.roles).toEqual(["editor", null, "editor"]);
    expect(watched.revisions).toEqual([4]);
    expect(watched.ids).toEqual(["socket-1", undefined, "socket-3"]);
  });

  test("a drawing that is not there: no role, one error, slow attempts", async () => {
    for (let n = 0; n < 3; n++) server.script("GET snapshot", () => problem(404, "not_found"));
    watched.feed.start();
    await pass(62_000);
    expect(watched.roles).toEqual([null]);
    expect(watched.codes).toEqual(["not_found"]);
    expect(server.count("GET snapshot")).toBe(3);
    await pass(31_000);
    expect(watched.state).toBe("live");
    expect(watched.roles).toEqual([null, "editor"]);
  });

  test("the 404 page of a proxy is not taken for a lost role", async () => {
    server.script("GET snapshot", () => new Response("<html>", { status: 404 }));
    watched.feed.start();
    await pass(1_000);
    expect(watched.roles).toEqual(["editor"]);
  });

  test("a catch-up that finds no role ends delivery", async () => {
    await watched.live();
    server.log = range(1, 5);
    server.script("GET ops", () => problem(403, "forbidden"));
    server.socket.head(5);
    await settle();
    expect(watched.roles).toEqual(["editor", null]);
    expect(server.socket.closedWith).toBe(1000);
  });

  test("401: AUTH_FAILED is told for each attempt, with a fresh token each", async () => {
    server.everything = () => problem(401, "unauthenticated");
    watched.feed.start();
    await settle();
    server.token = "another";
    await pass(2_000);
    expect(new Set(watched.codes)).toEqual(new Set(["AUTH_FAILED"]));
    expect(watched.codes.length).toBeGreaterThan(1);
    expect(server.requests.at(-1)?.headers.get("Authorization")).toBe("Bearer another");
    expect(watched.state).toBe("connecting");
    server.everything = undefined;
    await pass(5_000);
    expect(watched.state).toBe("live");
  });
});

/** Waits for the pause to end, however long it is. */
async function expectLive(sockets: number): Promise<void> {
  for (let waited = 0; server.sockets.all.length < sockets; waited += 250) {
    expect(waited).toBeLessThan(40_000);
    await pass(250);
  }
  await settle();
  expect(watched.state).toBe("live");
}
