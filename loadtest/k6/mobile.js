// Phones: in the foreground for a while, where they draw; then away without a socket; then back in another network,
// where they read over HTTP what they have missed, and open a socket again.
//
//   k6 run -e BASE_URL=http://127.0.0.1:8080 -e PHONES=100 loadtest/k6/mobile.js
//
//   PHONES       how many (50)
//   FOREGROUND   how long each is there (20s), and BACKGROUND: how long away (60s)
//   OTHER_URL    the address to which they come back every other time, such as another node (BASE_URL)
//   RESUME_MS    what the 99th percentile from waking up to being in step may be (2000)
//   RATE         POSTs a second of writers who are always there (10); phones draw one a second
//   DURATION     for how long (180s), of which the last phones come back after it
//   DRAWINGS     over how many drawings (5)
//   USERS        how many users they are, if guests (PHONES)
//   LATENCY_MS, OPS, TOKEN, TOKENS, JOIN, DRAIN, WRITERS, MAX_WRITERS, DROP_PERCENT, SUMMARY  as in writers.js

import { Trend } from "k6/metrics";
import * as lib from "./lib.js";

const PHONES = lib.number("PHONES", 50, { max: 10_000 });
const FOREGROUND = lib.seconds("FOREGROUND", 20);
const BACKGROUND = lib.seconds("BACKGROUND", 60);
const RESUME_MS = lib.number("RESUME_MS", 2000);
const RATE = lib.number("RATE", 10);
const USERS = lib.number("USERS", PHONES, { max: 100_000 });

const resumed = new Trend("resume_ms", true);

const common = lib.commonOptions(PHONES, RATE);
export const options = {
  ...common,
  thresholds: { ...common.thresholds, resume_ms: [`p(99)<${RESUME_MS}`] },
  scenarios: {
    phones: lib.readers(PHONES, "live", BACKGROUND),
    writers: lib.writers(RATE),
    conductor: lib.conductor(),
  },
};

export const setup = () => lib.makeRun(USERS);

/** @param {lib.Run} run */
export function live(run) {
  const phone = lib.readerOf(run);
  const [drawing] = [...phone.positions.keys()];
  const pen = new lib.Pen();
  const begin = Date.now() + lib.JOIN * 1000;
  let wokenAt = 0;
  let sessions = 0;

  const draw = () => {
    const time = (Date.now() - begin) / 1000;
    const isThere = phone.subscribed.has(drawing) && !phone.away;
    if (isThere && time >= 0 && time < lib.DURATION) lib.writeMeanwhile(phone.user, drawing, pen, phone.base);
  };
  const wake = async () => {
    sessions += 1;
    wokenAt = Date.now();
    phone.base = sessions % 2 === 1 ? lib.OTHER_URL : lib.BASE_URL;
    await phone.catchUp(drawing);
    if (!phone.isFinished) phone.open();
  };
  const sleepLater = () =>
    phone.after(FOREGROUND * 1000, () => {
      if (phone.heads !== undefined) return;
      pen.abandon();
      phone.leave();
      phone.after(BACKGROUND * 1000, wake);
    });
  phone.onReady = () => {
    if (wokenAt > 0) resumed.add(Date.now() - wokenAt);
    wokenAt = 0;
    sleepLater();
  };
  phone.every(1000, draw);
  phone.open();
}

/** @param {lib.Run} run */
export const write = (run) => lib.write(run);

/** @param {lib.Run} run */
export const conduct = (run) => lib.conductRun(run, PHONES);

/** @param {any} data */
export const handleSummary = (data) => lib.summary("mobile", data);
