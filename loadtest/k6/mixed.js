// A full room: users who draw and move their cursors on a canvas that has something on it. Tells what is left to each
// of five targets: 100 users, 1,000 messages a second, a canvas of 50 KB, 5 MB/s, and 100 ms.
//
//   k6 run -e BASE_URL=http://127.0.0.1:8080 loadtest/k6/mixed.js
//
//   USERS        users with a socket (100)
//   MESSAGES     what they send each second, all together: POSTs and cursors (1000)
//   COMMITS      how many of these are POSTs of ops (MESSAGES / 5); OPS: ops of each (1)
//   CANVAS_KB    what is on each canvas when they begin, as the JSON of its view (50)
//   MB_PER_S     what they receive each second, all together (5)
//   LATENCY_MS   what the 99th percentile from a POST to the sockets may be (100)
//   DURATION     for how long (30s)
//   DRAWINGS     over how many drawings (1)
//   TOKEN, TOKENS, JOIN, DRAIN, WRITERS, MAX_WRITERS, DROP_PERCENT, SUMMARY  as in writers.js

import * as lib from "./lib.js";

const USERS = lib.number("USERS", 100, { max: 10_000 });
const MESSAGES = lib.number("MESSAGES", 1000);
const COMMITS = lib.number("COMMITS", Math.max(1, Math.round(MESSAGES / 5)));
const CANVAS_KB = lib.number("CANVAS_KB", 50, { max: 100_000 });
const MB_PER_S = lib.number("MB_PER_S", 5, { min: 0.001, whole: false });
const LATENCY_MS = lib.number("LATENCY_MS", 100);

const common = lib.commonOptions(USERS, COMMITS);
export const options = {
  ...common,
  thresholds: { ...common.thresholds, post_to_socket_ms: [`p(99)<${LATENCY_MS}`] },
  scenarios: { users: lib.readers(USERS), writers: lib.writers(COMMITS), conductor: lib.conductor() },
};

export function setup() {
  const run = lib.makeRun(USERS);
  lib.fill(run, CANVAS_KB * 1000);
  return run;
}

/** @param {lib.Run} run */
export function read(run) {
  const reader = lib.readerOf(run, { presence: true });
  const [drawing] = [...reader.positions.keys()];
  // Cursors begin when writers do, so that both are measured over the same time.
  const begin = Date.now() + lib.JOIN * 1000;
  const move = () => {
    const time = (Date.now() - begin) / 1000;
    if (time >= 0 && time < lib.DURATION) reader.moveCursor(drawing);
  };
  const cursors = Math.max(0, MESSAGES - COMMITS) / USERS;
  if (cursors > 0) reader.every(1000 / cursors, move);
  reader.open();
}

/** @param {lib.Run} run */
export const write = (run) => lib.write(run);

/** @param {lib.Run} run */
export const conduct = (run) => lib.conductRun(run, USERS);

/** @param {any} data */
export function handleSummary(data) {
  const value = (/** @type {string} */ name, key = "count") => lib.measured(data, name, key) ?? 0;
  const messages = (value("commit_ms") + value("presence_sent")) / lib.DURATION;
  const margins = lib.margins([
    ["users", value("readers_finished"), USERS, "at least"],
    ["messages/s sent", messages, MESSAGES, "at least"],
    ["canvas, KB", (data.setup_data?.canvas_bytes ?? 0) / 1000, CANVAS_KB, "at least"],
    ["MB/s received", value("socket_bytes") / 1e6 / lib.DURATION, MB_PER_S, "at least"],
    ["ms to sockets, p99", value("post_to_socket_ms", "p(99)"), LATENCY_MS, "at most"],
  ]);
  return lib.summary("mixed", data, margins);
}
