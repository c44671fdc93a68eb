// The work that Artillery's HTTP engine does not do by itself: makes a drawing before the run, opens a socket for each
// user, makes the ops of its POSTs, and checks what the socket tells.
//
// Artillery has a WebSocket engine, whose scenarios cannot POST. So the scenario is one of HTTP, and sockets are ours.

import { randomUUID } from "node:crypto";
import { WebSocket } from "ws";

const { BASE_URL, TOKEN } = process.env;
/** The time for which a user who leaves waits for what was committed, in milliseconds. */
const DRAIN = 5000;
const OPEN_TIMEOUT = 10_000;
const PARTS = 12;
const POINTS_A_PART = 5;

const LIMITS = [
  [
    /user sends too many requests/,
    "give users tokens of their own, or start the server with --write-requests-per-second 0",
  ],
  [
    /user sends too many ops/,
    "give users tokens of their own, or start the server with --write-ops-per-second 0",
  ],
  [/more bytes a second/, "start the server with --drawing-bytes-per-second 0"],
  [/more undo units/, "start the server with --drawing-units-per-second 0"],
  [/this address/, "all load comes from one address: start the server with --limit-by-address 0"],
  [
    /connections|sockets/,
    "give users tokens of their own, or start the server with --connections-per-user 0",
  ],
];
/** Sentences that this worker has printed: once is enough. */
const said = new Set();

/** @param {string} sentence */
function say(sentence) {
  if (said.has(sentence)) return;
  said.add(sentence);
  console.error(`revcast: ${sentence}`);
}

/** The meaning of a refusal, in a sentence. @param {number} status @param {string} text */
function sentenceOf(status, text) {
  const limit = LIMITS.find(([pattern]) => pattern.test(text));
  if (status === 429) return `a limit was met (${text}): ${limit?.[1] ?? "see docs/load-testing.md"}`;
  if (status === 401) return `the server refuses the token (${text})`;
  return `the server answers ${status}: ${text}`;
}

/** A request with JSON. Fails with a sentence. @param {string} path @param {unknown} body @param {string} [token] */
async function post(path, body, token) {
  const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
  let answer;
  try {
    answer = await fetch(`${BASE_URL}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  } catch (error) {
    const why = error.cause?.code ?? error.message;
    throw new Error(`no server answers at ${BASE_URL} (${why}): is it running there?`);
  }
  const text = await answer.text();
  if (answer.ok) return text === "" ? undefined : JSON.parse(text);
  if (answer.status === 404 && path === "/v1/dev/tokens") {
    throw new Error(`${BASE_URL} hands out no guest tokens: start it with --dev, or give TOKEN`);
  }
  throw new Error(sentenceOf(answer.status, text));
}

const tokenOf = async (/** @type {string} */ name) =>
  TOKEN || (await post("/v1/dev/tokens", { sub: `artillery-${randomUUID()}`, name })).token;

/** Before the run, once: a drawing, and a link with which users join it. */
export async function prepare(context) {
  try {
    const owner = await tokenOf("Owner");
    const { drawing_id } = await post("/v1/drawings", { title: "Artillery" }, owner);
    const link = await post(`/v1/drawings/${drawing_id}/links`, { role: "editor" }, owner);
    Object.assign(context.vars, { drawing: drawing_id, link: link.token });
  } catch (error) {
    // Artillery would go on without a drawing.
    console.error(`revcast: ${error.message}`);
    process.exit(1);
  }
}

/** A user comes: a guest of its own joins, and follows the drawing. */
export async function arrive(context, events) {
  const { vars } = context;
  try {
    vars.token = await tokenOf("Guest");
    await post(`/v1/links/${vars.link}/join`, {}, vars.token);
    context.follower = new Follower(vars.drawing, vars.token, events);
    await context.follower.subscribed;
  } catch (error) {
    say(error.message);
    throw error;
  }
  Object.assign(context, { part: 0, unit: "", points: 0, last: 0 });
}

/** The next part of the stroke, as the body of the POST. */
export async function nextOps(request, context) {
  context.part += 1;
  const op_id = randomUUID();
  if (context.part === 1) context.unit = op_id;
  const base = { op_id, object_id: context.unit, unit: context.unit, meta: { sent: Date.now() } };
  if (context.part === PARTS) {
    request.json = { ops: [{ ...base, type: "stroke.end", count: context.points }] };
    return;
  }
  const points = Array.from({ length: POINTS_A_PART }, () =>
    [1000 * Math.random(), 1000 * Math.random()].map(Math.round),
  );
  const index = context.points;
  context.points += points.length;
  const begins = { type: "stroke.begin", tool: "pen", props: { color: "#06c" }, points };
  const op = index === 0 ? { ...base, ...begins } : { ...base, type: "stroke.append", index, points };
  request.json = { ops: [op] };
}

/** Notes the revision that the server has committed. */
export async function told(_request, response, context) {
  const text = String(response.body);
  if (response.statusCode === 200) context.last = JSON.parse(text).latest_revision;
  else say(sentenceOf(response.statusCode, text));
}

export async function moveCursor(context) {
  const cursor = { x: Math.round(1000 * Math.random()), y: Math.round(1000 * Math.random()) };
  context.follower.send({ type: "presence", drawing_id: context.vars.drawing, state: { cursor } });
}

/** A pen is sent every 60 to 100 ms. */
export const pause = async () => after(60 + 40 * Math.random());

/** A user goes, once it has what it has committed. */
export async function leave(context) {
  await context.follower.finish(context.last);
}

const after = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The socket of a user, which checks each op. */
class Follower {
  #socket;
  #events;
  #drawing;
  /** Where it began, and where it is. */
  #from = 0;
  #revision = 0;
  #lost = 0;
  #missing = new Set();
  #onProgress = () => {};

  constructor(drawing, token, events) {
    this.#events = events;
    this.#drawing = drawing;
    const headers = { Authorization: `Bearer ${token}` };
    this.#socket = new WebSocket(`${BASE_URL.replace(/^http/, "ws")}/v1/ws`, {
      headers,
      perMessageDeflate: false,
    });
    this.#socket.on("open", () => this.send({ type: "subscribe", drawing_id: drawing }));
    // So that they are there when nothing happens, since `ensure` fails on what it does not know.
    for (const name of ["gaps", "out_of_order"]) this.#count(name, 0);
    /** Settles when the drawing is followed. */
    this.subscribed = new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("a socket was not subscribed in time")), OPEN_TIMEOUT);
      const settle = (act) => (value) => {
        clearTimeout(timer);
        act(value);
      };
      this.#socket.on("message", (data) => this.#take(JSON.parse(data.toString()), settle(resolve)));
      this.#socket.on("error", (error) =>
        settle(reject)(new Error(`a socket could not be opened: ${error.message}`)),
      );
      this.#socket.on("close", (code, reason) => {
        const why = code === 4003 ? sentenceOf(429, "too many connections") : `${code} ${reason}`;
        settle(reject)(new Error(`a socket was closed: ${why}`));
        this.#onProgress();
      });
    });
    // It may fail before somebody waits for it.
    this.subscribed.catch(() => {});
  }

  send(message) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #count(name, value) {
    this.#events.emit("counter", `revcast.${name}`, value);
  }

  #take(message, onSubscribed) {
    if (message.type === "subscribed") {
      this.#from = this.#revision = message.revision;
      onSubscribed();
    }
    if (message.type === "ops") for (const op of message.ops) this.#check(op);
    // It is told after all ops up to it.
    if (message.type === "head") this.#skipTo(message.revision);
    if (message.type === "reset") say(`a socket fell behind (${message.reason}): its ops count as lost`);
    this.#onProgress();
  }

  #check({ revision, meta }) {
    if (revision <= this.#revision) {
      if (this.#missing.delete(revision)) this.#lost -= 1;
      return this.#count("out_of_order", 1);
    }
    this.#skipTo(revision - 1);
    this.#revision = revision;
    if (meta?.sent)
      this.#events.emit("histogram", "revcast.post_to_socket_ms", Math.max(0, Date.now() - meta.sent));
  }

  /** Ops up to this one have not come. */
  #skipTo(revision) {
    if (revision <= this.#revision) return;
    this.#count("gaps", 1);
    for (let lost = this.#revision + 1; lost <= revision; lost++) this.#missing.add(lost);
    this.#lost += revision - this.#revision;
    this.#revision = revision;
  }

  /** Waits until it has come to a revision, or nothing more is to be hoped for, and tells what it got. */
  async finish(revision) {
    const hasEnded = () => this.#revision >= revision || this.#socket.readyState !== WebSocket.OPEN;
    const there = new Promise((resolve) => {
      this.#onProgress = () => hasEnded() && resolve();
      this.#onProgress();
    });
    await Promise.race([there, after(DRAIN)]);
    const expected = Math.max(revision, this.#revision) - this.#from;
    this.#count("ops_expected", expected);
    this.#count("ops_delivered", expected - this.#lost - Math.max(0, revision - this.#revision));
    this.send({ type: "presence", drawing_id: this.#drawing, state: null });
    this.#socket.close();
  }
}
