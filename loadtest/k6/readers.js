// Measures how many can follow: sockets check that each op comes, in order and once, and come back where they were when
// they drop their connection.
//
//   k6 run -e BASE_URL=http://127.0.0.1:8080 -e READERS=500 loadtest/k6/readers.js
//
//   READERS        sockets (100)
//   RECONNECT      how often a reader drops its socket and resumes, on average (20s)
//   RATE           POSTs a second that they follow (20); OPS: ops of each (1)
//   DURATION       for how long (30s)
//   DRAWINGS       over how many drawings (1)
//   USERS          how many users they are, if guests (READERS / 20): one user may have 100 sockets
//   LATENCY_MS     what the 99th percentile from a POST to the sockets may be (250)
//   TOKEN, TOKENS, JOIN, DRAIN, WRITERS, MAX_WRITERS, DROP_PERCENT, SUMMARY  as in writers.js

import * as lib from "./lib.js";

const READERS = lib.number("READERS", 100, { max: 10_000 });
const RECONNECT = lib.seconds("RECONNECT", 20);
const RATE = lib.number("RATE", 20);
const USERS = lib.number("USERS", Math.max(2, Math.ceil(READERS / 20)), { max: 100_000 });

export const options = {
  ...lib.commonOptions(READERS, RATE),
  scenarios: { readers: lib.readers(READERS), writers: lib.writers(RATE), conductor: lib.conductor() },
};

export const setup = () => lib.makeRun(USERS);

/** @param {lib.Run} run */
export function read(run) {
  const reader = lib.readerOf(run);
  const dropLater = () =>
    reader.after((0.5 + Math.random()) * RECONNECT * 1000, () => {
      reader.leave();
      reader.after(Math.random() * 500, () => {
        reader.open();
        dropLater();
      });
    });
  reader.onReady = () => {
    reader.onReady = () => {};
    dropLater();
  };
  reader.open();
}

/** @param {lib.Run} run */
export const write = (run) => lib.write(run);

/** @param {lib.Run} run */
export const conduct = (run) => lib.conductRun(run, READERS);

/** @param {any} data */
export const handleSummary = (data) => lib.summary("readers", data);
