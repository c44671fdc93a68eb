// Event stream and long-poll, and the way down to them and up again.

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

/** Follows by long-polls, since all else is refused. */
async function polling(): Promise<void> {
  server.sockets.mode = "refused";
  server.streams.mode = "refused";
  watched.feed.start();
  await pass(2_000);
  expect(watched.state).toBe("fallback");
}

const polls = () => server.of("GET ops").filter(({ query }) => query.has("wait"));

describe("the ladder", () => {
  test("after two sockets that never followed, the event stream goes on where they stood", async () => {
    await watched.streaming();
    expect(server.sockets.all).toHaveLength(2);
    expect(server.stream.seen.query.toString()).toBe("after=3&epoch=epoch-1");
    expect(server.stream.seen.headers.get("Accept")).toBe("text/event-stream");
    expect(server.stream.seen.headers.get("Authorization")).toBe("Bearer token");
    expect(watched.states).toEqual(["connecting", "fallback"]);
  });

  test("after two streams that never followed, the long-poll", async () => {
    await polling();
    expect(server.sockets.all).toHaveLength(2);
    expect(server.count("GET events")).toBe(2);
    expect(polls()).toHaveLength(1);
    server.commit(2);
    await settle();
    expect(watched.revisions).toEqual([4, 5]);
  });

  test("below the long-poll comes the socket again", async () => {
    await polling();
    server.everything = () => Promise.reject(new TypeError("unreachable"));
    server.commit(1);
    await pass(5_000);
    expect(watched.state).toBe("offline");
    server.everything = undefined;
    server.sockets.mode = "live";
    await pass(60_000);
    expect(watched.state).toBe("live");
    expect(watched.revisions).toEqual([4]);
  });

  test("a socket that has followed, and breaks, is not a transport that does not work", async () => {
    watched.feed.start();
    await settle();
    for (let n = 0; n < 5; n++) {
      server.socket.drop(1006);
      await pass(20_000);
    }
    expect(server.count("GET events")).toBe(0);
    expect(watched.state).toBe("live");
  });

  test("a server out of reach says nothing against sockets", async () => {
    watched.feed.start();
    await settle();
    server.everything = () => Promise.reject(new TypeError("unreachable"));
    server.socket.drop(1006);
    await pass(120_000);
    expect(watched.states).toEqual(["connecting", "live", "connecting", "offline"]);
    expect(server.count("GET events")).toBe(0);
    server.everything = undefined;
    await pass(30_000);
    expect(watched.state).toBe("live");
  });

  test("below the long-poll, a socket that was being tried gives way", async () => {
    await polling();
    server.sockets.mode = "silent";
    await pass(30_000);
    expect(server.sockets.all).toHaveLength(3);
    const { socket: probe } = server;
    expect(probe.closedWith).toBeUndefined();
    server.everything = ({ path }) =>
      path.endsWith("/tickets")
        ? Response.json({ ticket: "t" })
        : Promise.reject(new TypeError("unreachable"));
    server.commit(1);
    await pass(4_000);
    expect(server.socket).not.toBe(probe);
    expect(probe.closedWith).toBe(1000);
  });

  test("without WebSocket the event stream comes first", async () => {
    vi.stubGlobal("WebSocket", undefined);
    watched = new Watched(server, { WebSocket: undefined });
    vi.unstubAllGlobals();
    watched.feed.start();
    await settle();
    expect(watched.states).toEqual(["connecting", "fallback"]);
    expect(server.count("POST tickets")).toBe(0);
  });

  test("a fallback works on until a new socket follows", async () => {
    await watched.streaming();
    const { stream } = server;
    server.sockets.mode = "mute";
    stream.write(":\n\n");
    await pass(30_000);
    expect(server.sockets.all).toHaveLength(3);
    stream.send({ type: "ops", revision: 4, ops: [op(4)] });
    await settle();
    expect(watched.revisions).toEqual([4]);
    server.log.push(op(4));
    stream.write(":\n\n");
    await pass(10_000);
    expect(server.socket.closedWith).toBe(1000);
    expect(watched.states).toEqual(["connecting", "fallback"]);

    server.sockets.mode = "live";
    stream.write(":\n\n");
    await pass(30_000);
    expect(server.sockets.all).toHaveLength(4);
    expect(watched.states).toEqual(["connecting", "fallback", "live"]);
    expect(stream.seen.signal?.aborted).toBe(true);
    expect(server.socket.of("subscribe")[0]?.after).toBe(4);
    server.commit(1);
    expect(watched.revisions).toEqual([4, 5]);
    await pass(100_000);
    expect(server.sockets.all).toHaveLength(4);
  });

  test("a probe that is told to stop is the last one", async () => {
    await watched.streaming();
    server.sockets.mode = "mute";
    server.stream.write(":\n\n");
    await pass(30_000);
    server.socket.drop(4201);
    expect(watched.codes).toEqual(["INVALID_SESSION"]);
    expect(watched.state).toBe("fallback");
    for (let n = 0; n < 5; n++) {
      server.stream.write(":\n\n");
      await pass(30_000);
    }
    expect(server.sockets.all).toHaveLength(3);
  });
});

describe("the event stream", () => {
  test("brings ops, presence, heads and roles, in whatever pieces they come", async () => {
    server.roster = { a: { user_id: "alice", name: null, state: {} } };
    await watched.streaming();
    const { stream } = server;
    const text = `id: x/4\nevent: ops\ndata: ${JSON.stringify({ type: "ops", drawing_id: DRAWING, revision: 4, ops: [op(4)] })}\n\n`;
    for (const letter of text) stream.write(letter);
    stream.send({ type: "presence", count: 0, set: {}, gone: ["a"] });
    stream.send({ type: "role", role: "viewer" });
    server.log = range(1, 6);
    stream.send({ type: "head", epoch: "epoch-1", revision: 6 });
    await settle();
    expect(watched.revisions).toEqual([4, 5, 6]);
    expect(watched.presence).toEqual([
      { kind: "roster", roster: server.roster },
      { kind: "diff", set: {}, gone: ["a"] },
    ]);
    expect(watched.roles).toEqual(["editor", "viewer"]);
  });

  test("a letter of several bytes may come in two pieces", async () => {
    await watched.streaming();
    const who = { user_id: "alice", name: "Ä€", state: {} };
    const message = { type: "presence", drawing_id: DRAWING, count: 1, set: { a: who }, gone: [] };
    for (const byte of new TextEncoder().encode(`data: ${JSON.stringify(message)}\n\n`)) {
      server.stream.writeBytes(Uint8Array.of(byte));
    }
    await settle();
    expect(watched.presence.at(-1)).toEqual({ kind: "diff", set: { a: who }, gone: [] });
  });

  test("reset: catches up, and begins another stream from there", async () => {
    await watched.streaming();
    const { stream } = server;
    server.log = range(1, 9);
    stream.send({ type: "reset", reason: "lagged", epoch: "epoch-1", revision: 9 });
    stream.end();
    await settle();
    expect(watched.revisions.at(-1)).toBe(9);
    expect(server.streams.all).toHaveLength(2);
    expect(server.stream.seen.query.get("after")).toBe("9");
    expect(watched.states).toEqual(["connecting", "fallback"]);
  });

  test("another epoch: a snapshot, and another stream", async () => {
    await watched.streaming();
    server.epoch = "epoch-2";
    server.stream.send({ type: "reset", reason: "epoch_changed", epoch: "epoch-2", revision: 3 });
    server.stream.end();
    await settle();
    expect(watched.feed.position).toEqual({ epoch: "epoch-2", revision: 3 });
    expect(server.stream.seen.query.get("epoch")).toBe("epoch-2");
  });

  test("goaway: comes back when the server wants it", async () => {
    await watched.streaming();
    server.stream.send({ type: "goaway", reconnect_in_ms: 3_000 });
    await pass(2_900);
    expect(server.streams.all).toHaveLength(1);
    await pass(200);
    expect(server.streams.all).toHaveLength(2);
    expect(watched.state).toBe("fallback");
  });

  test("a stream that ends is followed by another", async () => {
    await watched.streaming();
    server.stream.end();
    await pass(1_500);
    expect(server.streams.all).toHaveLength(2);
  });

  test("a lost role ends it", async () => {
    await watched.streaming();
    server.stream.send({ type: "role", role: null });
    await pass(10_000);
    expect(watched.roles).toEqual(["editor", null]);
    expect(server.streams.all).toHaveLength(1);
    await pass(21_000);
    expect(watched.roles).toEqual(["editor", null, "editor"]);
  });

  test("three missed heartbeats end it, where the server tells them; comments are no silence", async () => {
    server.streamHeartbeat = 2_000;
    await watched.streaming();
    for (let n = 0; n < 4; n++) {
      await pass(5_000);
      server.stream.write(":\n\n");
    }
    expect(server.streams.all).toHaveLength(1);
    await pass(5_999);
    expect(watched.state).toBe("fallback");
    await pass(2);
    expect(watched.state).toBe("connecting");
    await pass(500);
    expect(server.streams.all).toHaveLength(2);
  });

  test("silence for more than 40 s ends it; comments are no silence", async () => {
    server.sockets.mode = "refused";
    await watched.streaming();
    const { stream } = server;
    await pass(39_000);
    stream.write(":\n\n");
    await pass(39_000);
    expect(server.streams.all).toHaveLength(1);
    await pass(2_000);
    expect(stream.seen.signal?.aborted).toBe(true);
    expect(server.streams.all).toHaveLength(2);
  });
});

describe("the long-poll", () => {
  test("knows role and roster, and reads the roster every 5 s", async () => {
    server.roster = { a: { user_id: "alice", name: null, state: {} } };
    await polling();
    expect(watched.roles).toEqual(["editor"]);
    expect(watched.presence).toEqual([{ kind: "roster", roster: server.roster }]);
    await pass(10_100);
    expect(server.count("GET presence")).toBe(3);
  });

  test("waits 5 s a time, and asks again from its position", async () => {
    await polling();
    server.commit(1);
    await settle();
    expect(polls().map(({ query }) => query.toString())).toEqual([
      "after=3&epoch=epoch-1&wait=5",
      "after=4&epoch=epoch-1&wait=5",
    ]);
  });

  test("8 s without any answer end it", async () => {
    await polling();
    server.script(
      "GET ops",
      ({ signal }) =>
        new Promise<Response>((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason))),
    );
    server.commit(1);
    await pass(7_900);
    expect(watched.state).toBe("fallback");
    await pass(5_000);
    expect(watched.states.slice(0, 4)).toEqual(["connecting", "offline", "fallback", "offline"]);
    expect(watched.revisions).toEqual([4]);
  });

  test("something that answers empty pages at once is not asked without end", async () => {
    const empty = { epoch: "epoch-1", from: 4, to: 3, latest_revision: 3, complete: true, ops: [] };
    server.sockets.mode = "refused";
    server.streams.mode = "refused";
    for (let n = 0; n < 50; n++) server.script("GET ops", () => Response.json(empty));
    watched.feed.start();
    // The first answer is that of the first load.
    await pass(10_000);
    expect(polls().length).toBeGreaterThan(5);
    expect(polls().length).toBeLessThan(12);
  });

  test("410: a snapshot, and on", async () => {
    await polling();
    server.epoch = "epoch-2";
    server.commit(1);
    await settle();
    server.commit(1);
    await settle();
    expect(watched.feed.position).toEqual({ epoch: "epoch-2", revision: 5 });
    expect(polls().at(-1)?.query.toString()).toBe("after=5&epoch=epoch-2&wait=5");
  });

  test("a lost role is seen", async () => {
    await polling();
    server.script("GET ops", () => problem(404, "not_found"));
    server.commit(1);
    await pass(1_000);
    expect(watched.roles).toEqual(["editor", null]);
  });
});
