// The parts that the k6 scripts share: settings, the making of drawings and users, a reader that checks what it gets, a
// writer, the conductor that begins and ends a run, thresholds and the summary.
//
// A run has four parts. `setup` makes users, drawings and one more drawing for signals. Until JOIN, readers open their
// sockets; each says by a presence on the signals that it is subscribed, and if one is missing when writers are to
// begin, the run ends. Then writers write for DURATION. Last, the conductor tells readers in an op on the signals which
// heads they have to come to, and each says what it got when it is there, or when DRAIN is over.
//
// Readers never sleep: in k6 nothing arrives during `sleep`, nor during `http.post`.

import { sleep } from "k6";
import exec from "k6/execution";
import http from "k6/http";
import { Counter, Rate, Trend } from "k6/metrics";
import { clearInterval, clearTimeout, setInterval, setTimeout } from "k6/timers";
import { WebSocket } from "k6/websockets";

/**
 * @typedef {{ token: string }} User
 * @typedef {{ id: string, revision: number }} Drawing
 * @typedef {{ users: User[], drawings: Drawing[], signals: string, epoch: string, canvas_bytes: number }} Run
 * @typedef {{ revision: number, type: string, data?: any, meta?: { sent?: number } }} Op
 * @typedef {{ revision: number, lost: number, missing: Set<number>, from: number }} Position
 * @typedef {{ code?: number, reason?: string }} CloseEvent
 */

// --- Settings -----------------------------------------------------------------------------------

/** @param {string} name @param {string} wanted @returns {never} */
function refuse(name, wanted) {
  throw new Error(`${name} is "${__ENV[name]}"; it has to be ${wanted}`);
}

/** @param {string} name @param {number} otherwise @param {{ min?: number, max?: number, whole?: boolean }} [bounds] */
export function number(name, otherwise, { min = 1, max = 1_000_000, whole = true } = {}) {
  const text = __ENV[name];
  if (text === undefined || text === "") return otherwise;
  const value = Number(text);
  const fits = Number.isFinite(value) && value >= min && value <= max && (!whole || Number.isInteger(value));
  return fits ? value : refuse(name, `a ${whole ? "whole " : ""}number from ${min} to ${max}`);
}

/** Seconds, written as `30`, `30s`, `500ms` or `2m`. @param {string} name @param {number} otherwise */
export function seconds(name, otherwise) {
  const text = __ENV[name];
  if (text === undefined || text === "") return otherwise;
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  if (match === null || Number(match[1]) <= 0) return refuse(name, "a time such as 30s, 500ms or 2m");
  return Number(match[1]) * { ms: 0.001, s: 1, m: 60, h: 3600 }[match[2] ?? "s"];
}

/** @param {string} name @param {string} otherwise */
function address(name, otherwise) {
  const text = __ENV[name] || otherwise;
  if (!/^https?:\/\/[^/\s]+\/?$/.test(text))
    refuse(name, "the address of a server, such as http://127.0.0.1:8080");
  return text.replace(/\/$/, "");
}

export const BASE_URL = address("BASE_URL", "http://127.0.0.1:8080");
/** Where clients come back to that have changed their network. */
export const OTHER_URL = address("OTHER_URL", BASE_URL);
export const DURATION = seconds("DURATION", 30);
/** Within which all readers are subscribed; writers begin after it. */
export const JOIN = seconds("JOIN", 10);
/** The time that readers may take to come to the head, once nothing is written any more. */
export const DRAIN = seconds("DRAIN", 20);
export const DRAWINGS = number("DRAWINGS", 1, { max: 10_000 });
/** Ops of one request. */
export const OPS = number("OPS", 1, { max: 500 });
/** The time that an op may take from its POST to the sockets, at the 99th percentile, in milliseconds. */
export const LATENCY_MS = number("LATENCY_MS", 250);

/** The share of POSTs that may be left out because all writers wait for an answer, in percent. */
const DROP_PERCENT = number("DROP_PERCENT", 1, { min: 0, max: 100, whole: false });

/** @type {string[] | undefined} */
const TOKENS = __ENV.TOKENS ? open(__ENV.TOKENS).split(/\s+/).filter(Boolean) : undefined;
if (TOKENS?.length === 0) refuse("TOKENS", "the path of a file with a token a line");

/** A time as k6 wants it. @param {number} time */
export const span = (time) => `${Math.round(time * 1000)}ms`;

// --- Metrics and thresholds -----------------------------------------------------------------------

const postFailed = new Rate("post_failed");
const commit = new Trend("commit_ms", true);
const opsSent = new Counter("ops_sent");
const postToSocket = new Trend("post_to_socket_ms", true);
const deliveryRatio = new Trend("delivery_ratio");
const readersFinished = new Counter("readers_finished");
const gaps = new Counter("gaps");
const orderViolations = new Counter("order_violations");
const duplicates = new Counter("duplicates");
const resets = new Counter("resets");
const reconnects = new Counter("reconnects");
const resumes = new Counter("resumes");
const opsOverRest = new Counter("ops_over_rest");
const socketErrors = new Counter("socket_errors");
const socketBytes = new Counter("socket_bytes");
const socketMessages = new Counter("socket_messages");
const presenceSent = new Counter("presence_sent");
const limitsMet = new Counter("limits_met");

const USER_LIMIT =
  "one user may not do so much: give each writer a token of its own (TOKENS), or start the server with";
/** The limits that a run may meet: what the server says of each, and what to do about it. */
const LIMITS = {
  user_requests: [/user sends too many requests/, `${USER_LIMIT} --write-requests-per-second 0`],
  user_ops: [/user sends too many ops/, `${USER_LIMIT} --write-ops-per-second 0`],
  drawing_bytes: [
    /more bytes a second/,
    "spread the ops (DRAWINGS), or start the server with --drawing-bytes-per-second 0",
  ],
  drawing_units: [
    /more undo units/,
    "spread the ops (DRAWINGS), or start the server with --drawing-units-per-second 0",
  ],
  address: [/this address/, "all load comes from one address: start the server with --limit-by-address 0"],
  user_connections: [/connections|sockets/, `${USER_LIMIT} --connections-per-user 0`],
  overloaded: [
    /./,
    "the server is at its end, or --handshakes-per-second and the descriptors (ulimit -n) bound it",
  ],
};

/** The name of the limit that a refusal tells of. @param {string} detail */
function limitOf(detail) {
  return Object.keys(LIMITS).find((name) => LIMITS[name][0].test(detail)) ?? "overloaded";
}

/** The text of a problem body. @param {{ body?: any, error?: string, status: number }} answer */
function detailOf(answer) {
  if (answer.status === 0) return answer.error || "no answer";
  try {
    const { code, detail } = JSON.parse(String(answer.body));
    return `${answer.status} ${code}: ${detail}`;
  } catch {
    return `${answer.status}`;
  }
}

const worthless = (/** @type {string} */ threshold) => [{ threshold, abortOnFail: true }];

/** The thresholds that have to hold in every run. @param {number} readers @param {number} rate of POSTs */
function thresholdsFor(readers, rate) {
  const thresholds = {
    delivery_ratio: ["min==1"],
    readers_finished: [`count==${readers}`],
    gaps: worthless("count==0"),
    order_violations: worthless("count==0"),
    duplicates: worthless("count==0"),
    socket_errors: worthless("count==0"),
    post_failed: worthless("rate==0"),
    post_to_socket_ms: [`p(99)<${LATENCY_MS}`],
    dropped_iterations: [`count<=${Math.floor((rate * DURATION * DROP_PERCENT) / 100)}`],
    ops_sent: ["count>0"],
  };
  for (const name in LIMITS) thresholds[`limits_met{limit:${name}}`] = worthless("count==0");
  return thresholds;
}

// --- The making of a run ----------------------------------------------------------------------------

/** @param {string} token */
const headersOf = (token) => ({ "Content-Type": "application/json", Authorization: `Bearer ${token}` });

/** Ends the run from `setup` unless the answer is one. @param {string} what @param {any} answer */
function orAbort(what, answer) {
  if (answer.status >= 200 && answer.status < 300) return answer.body ? answer.json() : undefined;
  const detail = detailOf(answer);
  if (answer.status === 0)
    return exec.test.abort(`no server answers at ${BASE_URL} (${detail}): is it running there?`);
  if (answer.status === 401) return exec.test.abort(`${what}: the server refuses the token (${detail})`);
  if (answer.status === 429)
    return exec.test.abort(`${what}: a limit is met (${detail}): ${LIMITS[limitOf(detail)][1]}`);
  return exec.test.abort(`${what}: ${detail}`);
}

/** @param {string} token @param {string} path @param {unknown} [body] */
const post = (token, path, body) =>
  http.post(`${BASE_URL}${path}`, body === undefined ? null : JSON.stringify(body), {
    headers: headersOf(token),
  });

/** As many users as there are tokens for; guests without any. @param {number} wanted @returns {User[]} */
function makeUsers(wanted) {
  if (__ENV.TOKEN) return [{ token: __ENV.TOKEN }];
  if (TOKENS !== undefined) return TOKENS.slice(0, wanted).map((token) => ({ token }));
  const users = [];
  for (let nth = 0; nth < wanted; nth++) {
    const body = JSON.stringify({ sub: `k6-${uuid()}`, name: `Guest ${nth + 1}` });
    const answer = http.post(`${BASE_URL}/v1/dev/tokens`, body, {
      headers: { "Content-Type": "application/json" },
    });
    if (answer.status === 404) {
      exec.test.abort(`${BASE_URL} hands out no guest tokens: start it with --dev, or give TOKEN or TOKENS`);
    }
    users.push({ token: orAbort("making a guest", answer).token });
  }
  return users;
}

/** Makes users and drawings; all users may draw on all of them. @param {number} users @returns {Run} */
export function makeRun(users) {
  const all = makeUsers(users);
  const owner = all[0].token;
  const ids = [];
  for (let nth = 0; nth <= DRAWINGS; nth++) {
    const { drawing_id } = orAbort("making a drawing", post(owner, "/v1/drawings", { title: `k6 ${nth}` }));
    ids.push(drawing_id);
    if (all.length === 1) continue;
    const link = orAbort(
      "making a link",
      post(owner, `/v1/drawings/${drawing_id}/links`, { role: "editor" }),
    );
    for (const { token } of all.slice(1)) orAbort("joining", post(token, `/v1/links/${link.token}/join`));
  }
  const [signals, ...drawings] = ids;
  const { epoch } = page(owner, signals, 0);
  return {
    users: all,
    drawings: drawings.map((id) => ({ id, revision: 0 })),
    signals,
    epoch,
    canvas_bytes: 0,
  };
}

/** A page of a log. @param {string} token @param {string} drawing @param {number} after */
function page(token, drawing, after) {
  const answer = http.get(`${BASE_URL}/v1/drawings/${drawing}/ops?after=${after}&limit=1`, {
    headers: headersOf(token),
  });
  return orAbort("reading a log", answer);
}

/** Draws on each drawing until its view has so many bytes of JSON. @param {Run} run @param {number} bytes */
export function fill(run, bytes) {
  const { token } = run.users[0];
  const sizes = run.drawings.map((drawing) => {
    for (;;) {
      const snapshot = http.get(`${BASE_URL}/v1/drawings/${drawing.id}/snapshot?view=only`, {
        headers: headersOf(token),
      });
      orAbort("reading a snapshot", snapshot);
      const size = String(snapshot.body).length;
      if (size >= bytes) return size;
      const pen = new Pen();
      const answer = post(token, `/v1/drawings/${drawing.id}/ops`, { ops: pen.next(60) });
      drawing.revision = orAbort("filling a canvas", answer).latest_revision;
    }
  });
  run.canvas_bytes = Math.min(...sizes);
}

// --- Writing ------------------------------------------------------------------------------------------

/** A UUID of version 7. */
export function uuid() {
  const time = Date.now().toString(16).padStart(12, "0");
  const digits = (/** @type {number} */ count) =>
    Array.from({ length: count }, () => Math.floor(Math.random() * 16).toString(16)).join("");
  const variant = "89ab"[Math.floor(Math.random() * 4)];
  return `${time.slice(0, 8)}-${time.slice(8)}-7${digits(3)}-${variant}${digits(3)}-${digits(12)}`;
}

const POINTS_A_POST = 5;
const POSTS_A_STROKE = 10;

/** Draws strokes, an op for every 80 ms in which a pen has made five points. */
export class Pen {
  part = 0;
  points = 0;
  object = "";
  unit = "";
  at = [0, 0];

  /** The next ops. @param {number} count */
  next(count) {
    return Array.from({ length: count }, () => this.op());
  }

  /** @returns {Record<string, any>} */
  op() {
    const op_id = uuid();
    this.part = (this.part % POSTS_A_STROKE) + 1;
    if (this.part === 1) {
      [this.object, this.unit, this.points] = [op_id, op_id, 0];
      this.at = [Math.floor(Math.random() * 4000), Math.floor(Math.random() * 3000)];
    }
    const base = { op_id, unit: this.unit, object_id: this.object };
    if (this.part === POSTS_A_STROKE) return { ...base, type: "stroke.end", count: this.points };
    const points = Array.from({ length: POINTS_A_POST }, () => {
      this.at = this.at.map((value) => value + Math.floor(Math.random() * 21) - 10);
      return this.at;
    });
    const index = this.points;
    this.points += points.length;
    if (this.part === 1)
      return { ...base, type: "stroke.begin", tool: "pen", props: { color: "#06c" }, points };
    return { ...base, type: "stroke.append", index, points };
  }

  /** Begins a new stroke: what was sent of this one may be lost. */
  abandon() {
    this.part = 0;
  }
}

/** @param {Pen} pen */
function opsOf(pen) {
  const ops = pen.next(OPS);
  // The last one tells readers when it was sent. The time that JSON and the network take is in what they measure.
  ops[ops.length - 1].meta = { sent: Date.now() };
  return ops;
}

/** Counts what came of a POST. @param {Pen} pen @param {any} answer @param {number} ops */
function count(pen, answer, ops) {
  const failed = answer.status !== 200;
  postFailed.add(failed);
  if (failed) {
    pen.abandon();
    tellOfLimit(detailOf(answer), answer.status);
    return;
  }
  opsSent.add(ops);
  commit.add(answer.timings.duration);
}

/** @param {string} detail @param {number} status */
function tellOfLimit(detail, status) {
  if (status === 429 || status === 503) limitsMet.add(1, { limit: limitOf(status === 503 ? "" : detail) });
  else console.error(`a request failed: ${detail}`);
}

const pen = new Pen();

/** One iteration of a writer: one POST, to the drawing of its VU. @param {Run} run */
export function write(run) {
  const nth = exec.vu.idInTest - 1;
  const { token } = run.users[nth % run.users.length];
  const ops = opsOf(pen);
  const path = `/v1/drawings/${run.drawings[nth % run.drawings.length].id}/ops`;
  count(pen, post(token, path, { ops }), ops.length);
}

/** The same for a VU with open sockets, which must not stand still. @param {User} user @param {string} drawing @param {Pen} pen */
export function writeMeanwhile(user, drawing, pen, base = BASE_URL) {
  const ops = opsOf(pen);
  const params = { headers: headersOf(user.token) };
  return http
    .asyncRequest("POST", `${base}/v1/drawings/${drawing}/ops`, JSON.stringify({ ops }), params)
    .then((answer) => count(pen, answer, ops.length));
}

/** Draws so many ops at once, and returns how many. @param {Run} run @param {string} drawing @param {number} ops */
export function drawAtOnce(run, drawing, ops) {
  const pen = new Pen();
  for (let left = ops; left > 0; left -= Math.min(left, 100)) {
    orAbort(
      "drawing",
      post(run.users[0].token, `/v1/drawings/${drawing}/ops`, { ops: pen.next(Math.min(left, 100)) }),
    );
  }
  return ops;
}

/** The scenario of writers: so many POSTs a second, however long they take. @param {number} rate */
export function writers(rate) {
  const vus = Math.max(5, Math.ceil(rate / 4));
  return {
    executor: "constant-arrival-rate",
    exec: "write",
    startTime: span(JOIN),
    duration: span(DURATION),
    rate,
    timeUnit: "1s",
    preAllocatedVUs: number("WRITERS", vus),
    maxVUs: Math.max(number("MAX_WRITERS", vus * 4), number("WRITERS", vus)),
    gracefulStop: "15s",
  };
}

// --- Reading ------------------------------------------------------------------------------------------

const PRESENT_TRIES = 8;
const MISSING_KEPT = 10_000;

/** One client: follows drawings by socket, checks each op, and comes back where it was when the socket is gone. */
export class Reader {
  /** @param {Run} run @param {User} user @param {Drawing[]} drawings @param {{ presence?: boolean }} [wishes] */
  constructor(run, user, drawings, { presence = false } = {}) {
    this.run = run;
    this.user = user;
    this.presence = presence;
    this.base = BASE_URL;
    /** @type {Map<string, Position>} */
    this.positions = new Map(
      [...drawings, { id: run.signals, revision: 0 }].map(({ id, revision }) => [
        id,
        { revision, from: revision, lost: 0, missing: new Set() },
      ]),
    );
    /** @type {WebSocket | undefined} */
    this.socket = undefined;
    this.subscribed = new Set();
    /** When the last subscription was made; what was sent before it is no news. */
    this.since = 0;
    this.failures = 0;
    this.hasBeenReady = false;
    /** @type {string | undefined} */
    this.lastError = undefined;
    /** The number of the round for which it says that it is ready. */
    this.round = 0;
    /** True if it is away because it wants to. */
    this.away = false;
    this.isFinished = false;
    /** @type {Record<string, number> | undefined} */
    this.heads = undefined;
    /** The functions that stop the timers that go. @type {Set<() => void>} */
    this.timers = new Set();
    /** Called when all drawings are followed. */
    this.onReady = () => {};
    /** Called with each op of the conductor. @type {(op: Op) => void} */
    this.onSignal = () => {};
    /** Called after each frame. */
    this.onProgress = () => {};
    this.onFinish = () => {};
  }

  open() {
    // Not two at a time.
    this.leave();
    this.away = false;
    const socket = new WebSocket(`${this.base.replace(/^http/, "ws")}/v1/ws`, null, {
      headers: { Authorization: `Bearer ${this.user.token}` },
      tags: { name: "socket" },
    });
    this.socket = socket;
    socket.onopen = () => {
      // One that connects must not be closed before: k6 would wait for ever.
      if (this.socket !== socket) return socket.close();
      for (const id of this.positions.keys()) this.subscribe(id);
    };
    socket.onmessage = (event) => {
      if (this.socket === socket) this.take(String(event.data), event.timestamp || Date.now());
    };
    socket.onerror = (event) => {
      this.lastError = event.error;
    };
    socket.addEventListener("close", (event) => {
      if (this.socket === socket) this.closed(/** @type {CloseEvent} */ (/** @type {unknown} */ (event)));
    });
  }

  /** Closes the socket, to come back or not. */
  leave() {
    const { socket } = this;
    this.away = true;
    this.socket = undefined;
    this.subscribed.clear();
    if (socket?.readyState === 1) socket.close();
  }

  /** @param {CloseEvent} event */
  closed({ code, reason }) {
    this.socket = undefined;
    this.subscribed.clear();
    if (this.isFinished) return;
    if (code === 4003) limitsMet.add(1, { limit: "user_connections" });
    this.failures += 1;
    if (this.failures > PRESENT_TRIES || (code !== undefined && code >= 4200)) {
      socketErrors.add(1);
      const why = [code, reason, this.lastError].filter(Boolean).join(" ");
      const hint = /bad handshake/.test(String(this.lastError)) ? LIMITS.overloaded[1] : "";
      console.error(`a socket cannot be opened, or not for long: ${why}. ${hint}`);
      return this.finish();
    }
    reconnects.add(1);
    this.after(Math.random() * 200 * 2 ** this.failures, () => this.away || this.open());
  }

  /** @param {string} id */
  subscribe(id) {
    const { revision } = this.positions.get(id);
    const presence = this.presence && id !== this.run.signals;
    this.send({ type: "subscribe", drawing_id: id, after: revision, epoch: this.run.epoch, presence });
  }

  /** @param {object} message */
  send(message) {
    if (this.socket?.readyState === 1) this.socket.send(JSON.stringify(message));
  }

  /** @param {string} text @param {number} now */
  take(text, now) {
    socketMessages.add(1);
    socketBytes.add(text.length);
    // Nothing is checked of these, and they are the most by far.
    if (text.startsWith('{"type":"presence"')) return;
    const message = JSON.parse(text);
    const position = this.positions.get(message.drawing_id);
    switch (message.type) {
      case "subscribed":
        this.failures = 0;
        this.subscribed.add(message.drawing_id);
        this.since = now;
        if (this.subscribed.size < this.positions.size) break;
        if (this.hasBeenReady) resumes.add(1);
        this.hasBeenReady = true;
        this.ready();
        break;
      case "ops":
        for (const op of message.ops) this.check(message.drawing_id, position, op, now);
        break;
      case "head":
        // It is told after all ops up to it.
        if (message.revision > position.revision) this.lose(position, message.revision + 1);
        break;
      case "reset":
        resets.add(1, { reason: message.reason });
        this.catchUp(message.drawing_id).then(() => this.subscribe(message.drawing_id));
        break;
      case "error":
        socketErrors.add(1);
        console.error(`the socket says ${message.code}: ${message.detail}`);
        break;
    }
    this.onProgress();
    if (this.heads !== undefined) this.finishIfThere();
  }

  /** Takes an op, which came by socket if there is a time. @param {string} id @param {Position} position @param {Op} op @param {number} [now] */
  check(id, position, op, now) {
    if (op.revision <= position.revision) {
      if (!position.missing.delete(op.revision)) return duplicates.add(1);
      position.lost -= 1;
      return orderViolations.add(1);
    }
    if (op.revision > position.revision + 1) this.lose(position, op.revision);
    position.revision = op.revision;
    if (id === this.run.signals) return this.signal(op);
    if (now !== undefined && op.meta?.sent >= this.since) postToSocket.add(Math.max(0, now - op.meta.sent));
  }

  /** Ops from the position up to `until` have not come. @param {Position} position @param {number} until */
  lose(position, until) {
    gaps.add(1);
    for (let revision = position.revision + 1; revision < until; revision++) {
      position.lost += 1;
      if (position.missing.size < MISSING_KEPT) position.missing.add(revision);
    }
    position.revision = until - 1;
  }

  /** Reads over REST what is missing. @param {string} id */
  async catchUp(id) {
    const position = this.positions.get(id);
    for (let complete = false; !complete; ) {
      const url = `${this.base}/v1/drawings/${id}/ops?after=${position.revision}&epoch=${this.run.epoch}`;
      const answer = await http.asyncRequest("GET", url, null, { headers: headersOf(this.user.token) });
      if (answer.status !== 200) {
        socketErrors.add(1);
        return console.error(`reading over REST: ${detailOf(answer)}`);
      }
      const read = JSON.parse(String(answer.body));
      opsOverRest.add(read.ops.length);
      for (const op of read.ops) this.check(id, position, op);
      complete = read.complete || read.ops.length === 0;
    }
    this.onProgress();
  }

  ready() {
    this.onReady();
    this.send({ type: "presence", drawing_id: this.run.signals, state: { ready: this.round } });
  }

  /** @param {Op} op */
  signal(op) {
    if (op.type === "custom.end") {
      this.heads = op.data.heads;
      this.after(DRAIN * 1000, () => this.finish());
    } else this.onSignal(op);
  }

  finishIfThere() {
    const isThere = ([id, head]) => !this.positions.has(id) || this.positions.get(id).revision >= head;
    if (Object.entries(this.heads).every(isThere)) this.finish();
  }

  /** Says what it got, and ends. */
  finish() {
    if (this.isFinished) return;
    this.isFinished = true;
    if (this.heads !== undefined) readersFinished.add(1);
    for (const [id, { revision, lost, from }] of this.positions) {
      const head = this.heads?.[id];
      if (head === undefined || head === from) continue;
      const missing = lost + Math.max(0, head - revision);
      deliveryRatio.add((head - from - missing) / (head - from));
    }
    for (const stop of this.timers) stop();
    this.timers.clear();
    this.onFinish();
    this.leave();
  }

  /** Does something later, unless the run is over by then. @param {number} ms @param {() => unknown} act */
  after(ms, act) {
    const stop = () => clearTimeout(timer);
    const timer = setTimeout(() => {
      this.timers.delete(stop);
      act();
    }, ms);
    this.timers.add(stop);
  }

  /** Does something time and again, from then on until the run is over. @param {number} ms @param {() => unknown} act */
  every(ms, act) {
    const timer = setInterval(act, ms);
    this.timers.add(() => clearInterval(timer));
  }

  /** Shows a cursor at some other place. @param {string} drawing_id */
  moveCursor(drawing_id) {
    if (!this.subscribed.has(drawing_id)) return;
    const cursor = { x: Math.floor(Math.random() * 4000), y: Math.floor(Math.random() * 3000) };
    this.send({ type: "presence", drawing_id, state: { cursor } });
    presenceSent.add(1);
  }
}

/** The reader of this VU, on one drawing. @param {Run} run @param {{ presence?: boolean }} [wishes] */
export function readerOf(run, wishes) {
  const nth = exec.scenario.iterationInTest;
  const drawing = run.drawings[nth % run.drawings.length];
  return new Reader(run, run.users[nth % run.users.length], [drawing], wishes);
}

/** The scenario of readers, each of which has a VU for the whole run. @param {number} vus */
export function readers(vus, exec = "read", longer = 0) {
  const maxDuration = span(JOIN + DURATION + 2 * DRAIN + 30 + longer);
  return { executor: "per-vu-iterations", exec, vus, iterations: 1, maxDuration };
}

// --- Conducting ---------------------------------------------------------------------------------------

/** The scenario of the conductor. */
export const conductor = (longer = 0) => ({ ...readers(1, "conduct", longer), vus: 1 });

/** Sends a signal to all readers. @param {Run} run @param {string} name @param {object} data */
export function signal(run, name, data) {
  const ops = [{ op_id: uuid(), type: `custom.${name}`, data }];
  orAbort("sending a signal", post(run.users[0].token, `/v1/drawings/${run.signals}/ops`, { ops }));
}

/** Waits until so many readers are ready, and ends the run if they are not in time. @param {Run} run @param {number} wanted */
export function waitForReaders(run, wanted, time = JOIN, round = 0) {
  const deadline = Date.now() + time * 1000;
  for (;;) {
    const url = `${BASE_URL}/v1/drawings/${run.signals}/presence`;
    const roster = orAbort("reading who is there", http.get(url, { headers: headersOf(run.users[0].token) }));
    const all = Object.values(roster.set);
    const ready = all.filter(({ state }) => state.ready === round).length;
    if (ready >= wanted) return;
    if (Date.now() > deadline - 300) {
      exec.test.abort(
        `${ready} of ${wanted} readers were subscribed after ${time} s: raise JOIN, or see why sockets fail`,
      );
    }
    sleep(0.2);
  }
}

/** The heads of all drawings. @param {Run} run @returns {Record<string, number>} */
export function headsOf(run) {
  const { token } = run.users[0];
  return Object.fromEntries(
    run.drawings.map(({ id, revision }) => [id, page(token, id, revision).latest_revision]),
  );
}

/** Waits until nothing is written any more, and tells readers the heads. @param {Run} run */
export function end(run) {
  let heads = headsOf(run);
  for (;;) {
    sleep(0.5);
    const now = headsOf(run);
    if (JSON.stringify(now) === JSON.stringify(heads)) break;
    heads = now;
  }
  signal(run, "end", { heads });
}

/** Conducts a run that only writes and reads. @param {Run} run @param {number} wanted */
export function conductRun(run, wanted) {
  const start = Date.now();
  waitForReaders(run, wanted);
  sleep(Math.max(0, (start - Date.now()) / 1000 + JOIN + DURATION));
  end(run);
}

// --- The summary --------------------------------------------------------------------------------------

/** The value that a threshold is about. @param {any} metric @param {string} source */
function aggregated(metric, source) {
  const key = /^[a-z]+(\([\d.]+\))?/.exec(source.trim())?.[0] ?? "";
  return metric.values[key];
}

/** @param {unknown} value */
const told = (value) => (typeof value === "number" ? String(Number(value.toFixed(3))) : "–");

/** @param {string[][]} rows */
function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows
    .map(
      (row) =>
        `  ${row
          .map((cell, column) => cell.padEnd(widths[column]))
          .join("  ")
          .trimEnd()}`,
    )
    .join("\n");
}

/** The value of a metric, if it has one. @param {any} data @param {string} name @param {string} key */
export const measured = (data, name, key) => data.metrics[name]?.values[key];

/**
 * A table of targets: what, measured, wanted, and whether that is the least or the most.
 * @param {[string, number, number, "at least" | "at most"][]} targets
 */
export function margins(targets) {
  const rows = targets.map(([what, value, target, side]) => {
    const margin = (value / target - 1) * (side === "at least" ? 100 : -100);
    return [what, told(value), `${side} ${target}`, `${margin < 0 ? "" : "+"}${margin.toFixed(1)} %`];
  });
  return `\n${table([["target", "value", "wanted", "margin"], ...rows])}`;
}

/** The return value of `handleSummary`. @param {string} script @param {any} data @param {string} [more] */
export function summary(script, data, more = "") {
  const file = __ENV.SUMMARY || `revcast-${script}.json`;
  if (!data.setup_data)
    return { stdout: "\nThe run has not begun.\n", [file]: JSON.stringify(data, null, 2) };
  const rows = [["metric", "value", "wanted", ""]];
  const limits = [];
  for (const name of Object.keys(data.metrics).sort()) {
    const metric = data.metrics[name];
    const limit = /^limits_met\{limit:(\w+)\}$/.exec(name)?.[1];
    if (limit !== undefined) {
      if (metric.values.count > 0) limits.push(`  A limit was met: ${LIMITS[limit][1]}.`);
      continue;
    }
    for (const source of Object.keys(metric.thresholds ?? {})) {
      const isOk = metric.thresholds[source].ok;
      rows.push([name, told(aggregated(metric, source)), source, isOk ? "ok" : "FAILED"]);
    }
  }
  for (const [name, key] of OTHER_ROWS) {
    const value = measured(data, name, key);
    if (value !== undefined) rows.push([key === "count" ? name : `${name} ${key}`, told(value), "", ""]);
  }
  const text = [`Revcast, k6 ${script}`, table(rows), ...limits, more].filter(Boolean).join("\n");
  return { stdout: `\n${text}\n\n`, [file]: JSON.stringify(data, null, 2) };
}

/** Shown without a threshold. */
const OTHER_ROWS = [
  ["post_to_socket_ms", "med"],
  ["post_to_socket_ms", "p(95)"],
  ["commit_ms", "p(99)"],
  ["delivery_ratio", "avg"],
  ["socket_messages", "count"],
  ["socket_bytes", "count"],
  ["resumes", "count"],
  ["reconnects", "count"],
  ["resets", "count"],
  ["ops_over_rest", "count"],
];

/** The options that every script sets. @param {number} readers @param {number} [rate] of POSTs */
export const commonOptions = (readers, rate = 0) => ({
  setupTimeout: "10m",
  summaryTrendStats: ["min", "avg", "med", "p(95)", "p(99)", "max", "count"],
  thresholds: thresholdsFor(readers, rate),
});
