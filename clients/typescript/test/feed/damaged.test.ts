// A log with a hole: nothing that a client can mend, and so nothing that it asks for again and again.

import { afterEach, beforeEach, expect, test } from "vitest";
import { FeedServer, problem, range } from "../support/feed_server.js";
import { fakeTime, pass, settle, Watched } from "../support/feed_watch.js";

let server: FeedServer;
let watched: Watched;

beforeEach(() => {
  fakeTime();
  server = new FeedServer();
  server.heartbeat = 1_000_000;
  server.log = range(1, 3);
  watched = new Watched(server);
});

afterEach(() => watched.end());

const MINUTES = 10;
/** Every 30 s, a quarter more or less. */
const MOST_ATTEMPTS = (MINUTES * 60) / 22;

const damaged = () => problem(500, "log_damaged", { retryable: false });
const isReading = (path: string) => path.endsWith("/ops") || path.endsWith("/snapshot");

/** From now on neither the ops nor the canvas can be read. */
function damage(): void {
  server.everything = ({ method, path }) => (method === "GET" && isReading(path) ? damaged() : undefined);
}

test("a reader that cannot begin asks every half minute, and begins when the log is mended", async () => {
  damage();
  watched.feed.start();
  await pass(MINUTES * 60_000);
  expect(server.count("GET snapshot")).toBeGreaterThan(2);
  expect(server.count("GET snapshot")).toBeLessThan(MOST_ATTEMPTS);
  expect(server.sockets.all).toHaveLength(0);
  expect(new Set(watched.codes)).toEqual(new Set(["log_damaged"]));
  server.everything = undefined;
  await pass(60_000);
  expect(watched.state).toBe("live");
});

test("a reader that is reset asks every half minute, by whichever transport", async () => {
  await watched.live();
  const [before, reads] = [server.requests.length, server.count("GET ops")];
  damage();
  server.socket.reset("log_damaged", 9);
  await settle();
  expect(server.count("GET ops")).toBe(reads + 1);
  expect(watched.codes).toContain("log_damaged");
  // Those who come again hear the same.
  server.log = range(1, 2000);
  await pass(MINUTES * 60_000);
  expect(server.sockets.all.length).toBeLessThan(MOST_ATTEMPTS);
  expect(server.requests.length - before).toBeLessThan(4 * MOST_ATTEMPTS);
  expect(server.streams.all).toHaveLength(0);
  server.log = range(1, 5);
  server.everything = undefined;
  await pass(60_000);
  expect([watched.state, watched.revisions]).toEqual(["live", [4, 5]]);
});

test("a reader that lives and is behind asks every half minute", async () => {
  await watched.live();
  damage();
  server.socket.head(7);
  await pass(MINUTES * 60_000);
  expect(watched.state).toBe("live");
  expect(server.count("GET ops")).toBeGreaterThan(2);
  expect(server.count("GET ops")).toBeLessThan(MOST_ATTEMPTS);
});

test("long-polls are no exception", async () => {
  server.sockets.mode = "refused";
  server.streams.mode = "refused";
  watched.feed.start();
  await pass(2_000);
  expect(watched.state).toBe("fallback");
  damage();
  server.commit(1);
  const before = server.count("GET ops");
  await pass(MINUTES * 60_000);
  expect(server.count("GET ops") - before).toBeLessThan(2 * MOST_ATTEMPTS);
});

test("a snapshot from beyond the hole spares the reader what is missing", async () => {
  await watched.live();
  server.isTelling = false;
  server.commit(4);
  server.script("GET ops", damaged);
  server.socket.reset("log_damaged");
  await settle();
  expect(watched.snapshots.map(({ revision }) => revision)).toEqual([3, 7]);
  expect([watched.state, watched.codes]).toEqual(["live", []]);
});
