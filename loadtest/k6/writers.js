// Measures how much can be written: so many POSTs a second, whether or not the ones before have been answered.
//
//   k6 run -e BASE_URL=http://127.0.0.1:8080 -e RATE=200 loadtest/k6/writers.js
//
//   RATE         POSTs a second, of all writers together (50)
//   OPS          ops of one POST (1)
//   DURATION     for how long (30s)
//   DRAWINGS     over how many drawings (1)
//   USERS        how many users write, if they are guests (10)
//   READERS      readers who check what arrives (2 a drawing, 50 at most)
//   WRITERS      VUs that write (RATE / 4); MAX_WRITERS: as many as it may take (four times WRITERS)
//   DROP_PERCENT how many POSTs may be left out, because all of these wait for an answer (1)
//   LATENCY_MS   what the 99th percentile from a POST to the sockets may be (250)
//   TOKEN        a token, for all users; TOKENS: a file with a token a line; without either, guests (--dev)
//   JOIN, DRAIN  time for readers to subscribe (10s), and to get what is left (20s)
//   SUMMARY      where the summary is written as JSON (revcast-writers.json)

import * as lib from "./lib.js";

const RATE = lib.number("RATE", 50);
const USERS = lib.number("USERS", 10, { max: 100_000 });
const READERS = lib.number("READERS", Math.min(50, 2 * lib.DRAWINGS), { max: 10_000 });

export const options = {
  ...lib.commonOptions(READERS, RATE),
  scenarios: { readers: lib.readers(READERS), writers: lib.writers(RATE), conductor: lib.conductor() },
};

export const setup = () => lib.makeRun(USERS);

/** @param {lib.Run} run */
export const read = (run) => lib.readerOf(run).open();

/** @param {lib.Run} run */
export const write = (run) => lib.write(run);

/** @param {lib.Run} run */
export const conduct = (run) => lib.conductRun(run, READERS);

/** @param {any} data */
export function handleSummary(data) {
  const sent = lib.measured(data, "ops_sent", "count") ?? 0;
  return lib.summary("writers", data, `  ${(sent / lib.DURATION).toFixed(1)} ops/s were committed.`);
}
