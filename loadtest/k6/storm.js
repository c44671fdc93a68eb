// All come back at once, as after a network was gone or a node restarted: sockets close, something is drawn meanwhile,
// and then all are opened in the same moment, and resume.
//
//   k6 run -e BASE_URL=http://127.0.0.1:8080 -e READERS=1000 loadtest/k6/storm.js
//
//   READERS      sockets (200)
//   BEHIND       ops that each drawing has got meanwhile (100)
//   ROUNDS       how often they go and come back (3)
//   RETURN       within which all have everything again (10s)
//   DRAWINGS     over how many drawings (1)
//   USERS        how many users they are, if guests (READERS / 20)
//   TOKEN, TOKENS, JOIN, DRAIN, SUMMARY  as in writers.js; give JOIN time to open all sockets

import { sleep } from "k6";
import exec from "k6/execution";
import { Counter, Trend } from "k6/metrics";
import * as lib from "./lib.js";

const READERS = lib.number("READERS", 200, { max: 10_000 });
const BEHIND = lib.number("BEHIND", 100, { max: 100_000 });
const ROUNDS = lib.number("ROUNDS", 3, { max: 1000 });
const RETURN = lib.seconds("RETURN", 10);
const USERS = lib.number("USERS", Math.max(2, Math.ceil(READERS / 20)), { max: 100_000 });
/** The time for which they are away, in seconds. */
const AWAY = 3;

const returned = new Trend("return_ms", true);
const returns = new Counter("returns");
const stormOps = new Counter("storm_ops");

const common = lib.commonOptions(READERS);
const { post_to_socket_ms: _, dropped_iterations: __, ops_sent: ___, ...thresholds } = common.thresholds;
const longer = ROUNDS * (AWAY + RETURN + 5);
export const options = {
  ...common,
  thresholds: {
    ...thresholds,
    return_ms: [`max<${RETURN * 1000}`],
    returns: [`count==${READERS * ROUNDS}`],
    reconnects: ["count==0"],
    storm_ops: ["count>0"],
  },
  scenarios: { readers: lib.readers(READERS, "read", longer), conductor: lib.conductor(longer) },
};

export const setup = () => lib.makeRun(USERS);

/** @param {lib.Run} run */
export function read(run) {
  const reader = lib.readerOf(run);
  let backAt = 0;
  /** @type {Record<string, number> | undefined} */
  let heads;
  reader.onSignal = ({ type, data }) => {
    if (type === "custom.back") heads = data.heads;
    if (type !== "custom.leave") return;
    reader.round = -1;
    heads = undefined;
    backAt = data.back_at;
    reader.leave();
    reader.after(backAt - Date.now(), () => reader.open());
    reader.onProgress = () => {
      const isBack = ([id, head]) => !reader.positions.has(id) || reader.positions.get(id).revision >= head;
      if (heads === undefined || !Object.entries(heads).every(isBack)) return;
      returned.add(Date.now() - backAt);
      returns.add(1);
      reader.onProgress = () => {};
      reader.round = data.round;
      reader.ready();
    };
  };
  reader.open();
}

/** @param {lib.Run} run */
export function conduct(run) {
  lib.waitForReaders(run, READERS);
  for (let round = 1; round <= ROUNDS; round++) {
    const back_at = Date.now() + AWAY * 1000;
    lib.signal(run, "leave", { back_at, round });
    // All have gone by then.
    sleep(AWAY / 3);
    for (const drawing of run.drawings) stormOps.add(lib.drawAtOnce(run, drawing.id, BEHIND));
    lib.signal(run, "back", { heads: lib.headsOf(run) });
    if (Date.now() > back_at) {
      exec.test.abort(
        `drawing BEHIND=${BEHIND} ops on ${lib.DRAWINGS} drawings took longer than readers were away`,
      );
    }
    sleep((back_at - Date.now()) / 1000);
    lib.waitForReaders(run, READERS, RETURN, round);
  }
  lib.end(run);
}

/** @param {any} data */
export const handleSummary = (data) => lib.summary("storm", data);
