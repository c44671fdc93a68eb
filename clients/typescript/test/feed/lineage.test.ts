// A log that goes on in another epoch: who has nothing that it lacks reads on, and everybody else begins anew.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { CommittedOp } from "../../src/index.js";
import { FeedServer, json, op, problem, range } from "../support/feed_server.js";
import { fakeTime, pass, settle, Watched } from "../support/feed_watch.js";

let server: FeedServer;
let watched: Watched;

beforeEach(() => {
  fakeTime();
  server = new FeedServer();
  server.heartbeat = 1_000_000;
  server.log = range(1, 7);
  watched = new Watched(server);
});

afterEach(() => watched.end());

/** What was asked of the server since, but for what every connection asks. */
function reads(): string[] {
  return ["GET snapshot", "GET ops"].flatMap((kind) => server.of(kind).map(() => kind));
}

const next = (revision: number): CommittedOp => ({ ...op(revision), op_id: `next-${revision}` });

describe("over the socket", () => {
  test.each([
    ["level with the base", 0],
    ["behind it", 2],
  ])("a reader %s goes on without reading anew", async (_, missing) => {
    await watched.live();
    if (missing > 0) {
      server.isTelling = false;
      server.commit(missing);
      server.isTelling = true;
    }
    const before = reads();
    server.socket.cursor = 7;
    server.failover(7 + missing);
    // What is missing comes on the socket, before what is new.
    server.socket.ops(...server.log.slice(7));
    await settle();
    server.commit(2);
    await pass(5_000);
    expect(watched.revisions).toEqual(range(8, 9 + missing).map(({ revision }) => revision));
    expect(watched.adopted).toEqual([{ epoch: "epoch-1'", previous_epoch: "epoch-1", base: 7 + missing }]);
    expect(watched.snapshots).toHaveLength(1);
    expect(reads().filter((kind) => kind === "GET snapshot")).toHaveLength(1);
    if (missing === 0) expect(reads()).toEqual(before);
    expect(server.socket.of("subscribe")).toHaveLength(1);
    expect(watched.feed.position).toEqual({ epoch: "epoch-1'", revision: 9 + missing });
  });

  test("a reader that is ahead starts anew, and takes nothing on top of what was lost", async () => {
    await watched.live();
    server.isTelling = false;
    server.commit(1);
    // The socket stands at 7; a GET brings 8.
    await watched.feed.catchUp();
    expect(watched.revisions).toEqual([8]);
    server.isTelling = true;
    const release = server.hold("GET snapshot");
    server.failover(7);
    server.log.push(next(8), next(9));
    server.socket.ops(next(8), next(9));
    await settle();
    expect(watched.revisions).toEqual([8]);
    release();
    await settle();
    expect(watched.snapshots.at(-1)).toEqual({ epoch: "epoch-1'", revision: 9 });
    server.commit(1);
    await pass(2_000);
    expect(watched.revisions).toEqual([8, 10]);
    expect(watched.adopted).toEqual([]);
  });

  test("ops that were held beyond a gap are of the log before", async () => {
    await watched.live();
    const release = server.hold("GET ops");
    server.log.push(op(8), op(9));
    server.socket.ops(op(9));
    server.socket.cursor = 7;
    server.failover(7);
    server.log.push(next(8), next(9));
    server.socket.ops(next(8), next(9));
    release();
    await pass(2_000);
    expect(watched.revisions).toEqual([8, 9]);
    expect(watched.feed.position).toEqual({ epoch: "epoch-1'", revision: 9 });
    expect(watched.snapshots).toHaveLength(1);
  });

  test("a page of the log before that comes late is read again", async () => {
    await watched.live();
    server.isTelling = false;
    server.log.push(op(8), op(9));
    const release = server.hold("GET ops");
    const reading = watched.feed.catchUp();
    await settle();
    server.isTelling = true;
    server.socket.cursor = 7;
    server.failover(7);
    server.log.push(next(8));
    release();
    await reading;
    expect(watched.revisions).toEqual([8]);
    expect(watched.feed.position).toEqual({ epoch: "epoch-1'", revision: 8 });
  });

  test("a page may be the first that tells of the epoch", async () => {
    await watched.live();
    server.lineage = { previous_epoch: "epoch-1", base: 7 };
    server.epoch = "epoch-2";
    server.log.push(next(8));
    await watched.feed.catchUp();
    expect(watched.feed.position).toEqual({ epoch: "epoch-2", revision: 8 });
    // The socket has not told of it yet: what it still brings of the log before adds nothing beyond the base.
    server.socket.ops(op(8), op(9));
    expect(watched.revisions).toEqual([8]);
    server.socket.head(8);
    server.commit(1);
    await settle();
    expect(watched.revisions).toEqual([8, 9]);
    expect(watched.snapshots).toHaveLength(1);
    expect(server.socket.of("subscribe")).toHaveLength(1);
  });

  test("what still comes of the log before is told as of the one that has it, too", async () => {
    await watched.live();
    server.lineage = { previous_epoch: "epoch-1", base: 9 };
    server.epoch = "epoch-2";
    await watched.feed.catchUp();
    expect(watched.feed.position).toEqual({ epoch: "epoch-2", revision: 7 });
    server.socket.ops(op(8));
    expect(watched.revisions).toEqual([8]);
    expect(watched.feed.position).toEqual({ epoch: "epoch-2", revision: 8 });
  });

  test("a reset whose base is not below the reader: it subscribes again from where it stands", async () => {
    await watched.live();
    const before = reads();
    server.socket.isFollowing = false;
    server.failover(7);
    server.socket.reset("epoch_changed");
    await settle();
    expect(server.socket.of("subscribe").at(-1)).toMatchObject({ after: 7, epoch: "epoch-1'" });
    server.commit(1);
    await settle();
    expect(watched.revisions).toEqual([8]);
    expect(reads()).toEqual(before);
  });

  test("a reset whose base is below the reader: a snapshot", async () => {
    await watched.live();
    server.failover(5);
    await settle();
    expect(watched.snapshots.at(-1)).toEqual({ epoch: "epoch-1'", revision: 5 });
    expect(server.socket.of("subscribe").at(-1)).toMatchObject({ after: 5, epoch: "epoch-1'" });
    expect(watched.adopted).toEqual([]);
  });

  test("a line that was cut: a snapshot, also at the same revision", async () => {
    await watched.live();
    server.restore(7);
    await settle();
    expect(watched.snapshots.at(-1)).toEqual({ epoch: "epoch-1*", revision: 7 });
    expect(watched.adopted).toEqual([]);
  });

  test("who was away for one epoch subscribes from the one before", async () => {
    await watched.live();
    const { socket } = server;
    socket.drop(1006);
    server.failover(7);
    server.commit(1);
    await pass(2_000);
    expect(server.socket.of("subscribe")).toMatchObject([{ after: 7, epoch: "epoch-1" }]);
    expect(watched.revisions).toEqual([8]);
    expect(watched.adopted).toHaveLength(1);
    expect(watched.snapshots).toHaveLength(1);
  });

  test("who was away for two epochs starts anew", async () => {
    await watched.live();
    server.socket.drop(1006);
    server.failover(7, "epoch-2");
    server.failover(7, "epoch-3");
    await pass(2_000);
    expect(watched.snapshots.at(-1)).toEqual({ epoch: "epoch-3", revision: 7 });
    expect(watched.adopted).toEqual([]);
  });

  test("two failovers that were both seen are two steps", async () => {
    await watched.live();
    server.failover(7, "epoch-2");
    server.failover(7, "epoch-3");
    server.commit(1);
    await settle();
    expect(watched.adopted.map(({ epoch }) => epoch)).toEqual(["epoch-2", "epoch-3"]);
    expect(watched.revisions).toEqual([8]);
  });

  test("a reader that went ahead between subscribing and the answer starts anew", async () => {
    await watched.live();
    server.socket.drop(1006);
    server.sockets.mode = "mute";
    await pass(2_000);
    server.commit(1);
    await watched.feed.catchUp();
    server.failover(7);
    const { lineage } = server;
    const { drawing_id } = server.socket.of("subscribe").at(-1) ?? {};
    const subscribed = { type: "subscribed", drawing_id, epoch: server.epoch, revision: 7, role: "editor" };
    server.sockets.mode = "live";
    server.socket.receive({ ...subscribed, ...lineage, presence: {} });
    await settle();
    expect(watched.snapshots.at(-1)).toEqual({ epoch: "epoch-1'", revision: 7 });
    server.commit(1);
    await settle();
    expect(watched.revisions).toEqual([8, 8]);
  });

  test("a canvas that was kept in the epoch before is gone on from", async () => {
    server.failover(7);
    server.commit(1);
    watched.startFrom({ epoch: "epoch-1", revision: 6 });
    await settle();
    expect(server.count("GET snapshot")).toBe(0);
    expect(watched.revisions).toEqual([7, 8]);
    expect(watched.feed.position).toEqual({ epoch: "epoch-1'", revision: 8 });
  });
});

describe("over the others", () => {
  test("an event stream goes on", async () => {
    await watched.streaming();
    server.failover(7);
    server.log.push(next(8));
    server.stream.send({ type: "head", epoch: server.epoch, ...server.lineage, revision: 7 });
    server.stream.send({ type: "ops", revision: 8, ops: [next(8)] });
    await settle();
    expect(watched.revisions).toEqual([8]);
    expect(watched.snapshots).toHaveLength(1);
    expect(server.streams.all).toHaveLength(1);
  });

  test("an event stream that is reset goes on from where it stands", async () => {
    await watched.streaming();
    server.failover(7);
    const { epoch, lineage } = server;
    server.stream.send({ type: "reset", reason: "epoch_changed", epoch, ...lineage, revision: 7 });
    server.stream.end();
    await settle();
    expect(server.stream.seen.query.toString()).toBe("after=7&epoch=epoch-1%27");
    expect(server.count("GET snapshot")).toBe(1);
    expect(server.count("GET ops")).toBe(1);
  });

  /** Follows by long-polls. */
  async function polling(): Promise<void> {
    server.sockets.mode = "refused";
    server.streams.mode = "refused";
    watched.feed.start();
    await pass(2_000);
    expect(watched.state).toBe("fallback");
  }

  test("a long-poll goes on with the page that tells of the epoch", async () => {
    await polling();
    server.failover(7);
    server.commit(2);
    await pass(100);
    expect(watched.revisions).toEqual([8, 9]);
    expect(watched.adopted).toHaveLength(1);
    expect(server.of("GET ops").at(-1)?.query.get("epoch")).toBe("epoch-1'");
    expect(server.count("GET snapshot")).toBe(1);
  });

  test("a long-poll begins in the epoch after that of the reader", async () => {
    watched.startFrom({ epoch: "epoch-1", revision: 7 });
    server.sockets.mode = "refused";
    server.streams.mode = "refused";
    server.failover(7);
    await pass(5_000);
    expect(watched.state).toBe("fallback");
    expect(watched.feed.position).toEqual({ epoch: "epoch-1'", revision: 7 });
    expect(server.count("GET snapshot")).toBe(0);
  });

  test("a long-poll of a reader that is ahead starts anew", async () => {
    await polling();
    server.failover(6);
    server.commit(1);
    await pass(5_000);
    expect(watched.snapshots.at(-1)).toEqual({ epoch: "epoch-1'", revision: 7 });
    expect(watched.adopted).toEqual([]);
  });
});

describe("a server that is too new", () => {
  test("a greeting in a newer protocol ends the reading, and says so", async () => {
    server.protocol = 3;
    watched.feed.start();
    await pass(60_000);
    expect(watched.states).toEqual(["connecting", "outdated"]);
    expect(watched.codes).toEqual(["client_outdated"]);
    expect(watched.revisions).toEqual([]);
    expect(server.sockets.all).toHaveLength(1);
    await expect(watched.feed.catchUp()).rejects.toMatchObject({ code: "client_outdated" });
  });

  test("so it does where the server became newer while it was followed", async () => {
    await watched.live();
    server.protocol = 3;
    server.socket.drop(4100);
    await pass(5_000);
    server.commit(1);
    watched.feed.wake();
    await pass(60_000);
    expect(watched.state).toBe("outdated");
    expect(watched.revisions).toEqual([]);
    expect(watched.feed.position).toEqual({ epoch: "epoch-1", revision: 7 });
  });

  test("registers of a newer format are not read", async () => {
    const registers = { format: 3, floor: 0, everything: "else" };
    server.script("GET snapshot", () => json({ epoch: "epoch-1", revision: 7, registers }));
    watched.feed.start();
    await pass(60_000);
    expect(watched.snapshots).toEqual([]);
    expect(watched.states).toEqual(["connecting", "outdated"]);
    expect(watched.codes).toEqual(["client_outdated"]);
    expect(server.count("GET snapshot")).toBe(1);
  });

  test("a protocol of before is understood", async () => {
    server.protocol = 1;
    await watched.live();
    expect(server.socket.protocol).toBe("revcast.v1.json");
  });

  test("a position that is gone is not taken for it", async () => {
    await watched.live();
    server.script("GET ops", () => problem(410, "epoch_changed", { epoch: "epoch-1", latest_revision: 7 }));
    await watched.feed.catchUp();
    expect(watched.state).toBe("live");
  });
});
