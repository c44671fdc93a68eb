// TypeScript clients under load. All that they send and are told is written down where it passes: around `fetch` and
// around the socket, so that it is the client's own doing, retries and all. docs/history-format.md describes the lines.
//
// Takes commands, one JSON object a line, and answers each with one:
//   {ping}                                   {pong}: the clock of this process, in nanoseconds
//   {begin: {…}}                             {begun}: the clients write and follow
//   {stop}                                   {stopped, complaints}: everything is committed, or was not in time
//   {reach: {heads, deadline_ms}}            {reached, complaints}: they have all of it, and have shown their pictures
//   {replay: {drawing, path, revisions}}     {replayed}: a log was read and drawn from its beginning

import { closeSync, openSync, writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Canvas, createClient } from "../../../clients/typescript/dist/index.js";
import { WebSocket } from "../../../clients/typescript/node_modules/ws/wrapper.mjs";

const REDUCER = "typescript";
/** Milliseconds between two edits of a client, at most. */
const PAUSE_MS = 120;
/** Milliseconds for a client to close. */
const CLOSE_MS = 3_000;
/** Milliseconds between two pictures of a client. */
const PICTURE_MS = 1_500;

const now = () => Number(process.hrtime.bigint());
const lineage = ({ epoch, previous_epoch, base }) => ({
  epoch,
  ...(typeof previous_epoch === "string" && { previous_epoch, base }),
});
const seen = (ops) => ops.map((op) => ({ revision: op.revision, op_id: op.op_id, body: op }));

/** Numbers that follow from a seed. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One client of one drawing, and its history. */
class Person {
  complaints = [];
  #file;
  #isStopped = false;
  #lastId = 0;
  #sockets = 0;
  #node;
  #edits;
  #objects = [];

  constructor({ client, user, drawing, seed, node }, { folder, nodes, issuer, offset, error }) {
    Object.assign(this, { client, user, drawingId: drawing, nodes, issuer });
    this.#node = node;
    this.random = random(seed);
    this.#file = openSync(`${folder}/${client}.ndjson`, "w");
    this.write({ event: "client", client, user, offset, error });
    this.revcast = createClient({
      url: () => this.nodes[this.#node % this.nodes.length],
      deployment: "chaos",
      getToken: () => this.#token(),
      fetch: (input, init) => this.#fetch(input, init),
      WebSocket: this.#recordingSocket(),
      storage: "memory",
    });
    this.drawing = this.revcast.open(drawing);
    this.drawing.onRejected((rejected) => {
      for (const { op, error: why } of rejected)
        this.complaints.push(`${client}: ${op.type} is rejected: ${why.code}`);
    });
    this.drawing.onRole((role) => {
      if (role === null) this.complaints.push(`${client} is told to have no role`);
    });
    this.#edits = this.#edit();
  }

  write(line) {
    // A socket closes later than the client.
    if (this.#file === undefined) return;
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }

  async stop(deadlineMs) {
    this.#isStopped = true;
    await this.#edits;
    const isInTime = await Promise.race([this.drawing.flush().then(() => true), sleep(deadlineMs, false)]);
    if (!isInTime) this.complaints.push(`${this.client}: ${this.drawing.pendingCount} ops have no answer`);
  }

  async reach(heads, deadlineMs) {
    const [epoch, revision] = heads[this.drawingId];
    const deadline = Date.now() + deadlineMs;
    while (!(this.drawing.epoch === epoch && this.drawing.revision >= revision)) {
      if (Date.now() > deadline) {
        const at = `${this.drawing.revision} of ${this.drawing.epoch}, ${this.drawing.connection}`;
        this.complaints.push(`${this.client} has not reached ${revision} of ${epoch}, but ${at}`);
        break;
      }
      await sleep(20);
    }
    this.#picture();
  }

  async close() {
    const isClosed = await Promise.race([this.revcast.close().then(() => true), sleep(CLOSE_MS, false)]);
    if (!isClosed) this.complaints.push(`${this.client} cannot be closed`);
    closeSync(this.#file);
    this.#file = undefined;
  }

  // --- Edits ----------------------------------------------------------------------------------------

  async #edit() {
    let pictureAt = Date.now() + PICTURE_MS;
    while (!this.#isStopped) {
      await sleep(this.random() * PAUSE_MS);
      try {
        this.#act(this.random());
      } catch (error) {
        if (error.code !== "outbox_full") this.complaints.push(`${this.client}: ${error.stack}`);
      }
      if (Date.now() > pictureAt) {
        this.#picture();
        pictureAt = Date.now() + PICTURE_MS;
      }
    }
  }

  #act(chance) {
    const { drawing } = this;
    if (chance < 0.1) drawing.undo("mine");
    else if (chance < 0.15) drawing.redo("mine");
    else if (chance < 0.4) {
      const stroke = drawing.beginStroke({ tool: "pen", props: { color: "#a30" }, points: [[0, 0]] });
      stroke.append([[this.random() * 100, 7.25]]);
      stroke.end();
    } else if (chance < 0.5 && this.#objects.length > 4) drawing.deleteObjects([this.#objects.shift()]);
    else if (chance < 0.7 && this.#objects.length > 0) {
      const object_id = this.#objects[Math.floor(this.random() * this.#objects.length)];
      drawing.edit({ type: "object.update", object_id, set: { x: Math.floor(this.random() * 1_000) } });
    } else {
      const object_id = `${this.client}-${this.#lastId}-${Math.floor(this.random() * 1e9)}`;
      this.#objects.push(object_id);
      drawing.edit({ type: "object.create", object_id, kind: "rect", props: { x: 1 } });
    }
  }

  #picture() {
    const { drawing } = this;
    if (!drawing.loaded || drawing.epoch === undefined) return;
    this.write({
      event: "picture",
      drawing: this.drawingId,
      epoch: drawing.epoch,
      revision: drawing.revision,
      hash: drawing.stateHash(),
      via: "live",
      reducer: REDUCER,
      client: this.client,
      t: now(),
    });
  }

  // --- What passes ----------------------------------------------------------------------------------

  async #token() {
    const answer = await fetch(`${this.issuer}/token/${this.user}`);
    return answer.text();
  }

  async #fetch(input, init) {
    const request = new Request(input, init);
    const asked = await askedOf(request, init);
    if (asked === undefined) {
      try {
        return await fetch(request);
      } catch (error) {
        this.#node += 1;
        throw error;
      }
    }
    const { client } = this;
    const common = () => ({ client, t: now(), drawing: asked.drawing, id });
    const id = ++this.#lastId;
    this.write({ event: "invoke", ...common(), ...asked.line });
    let answer;
    let text;
    try {
      answer = await fetch(request);
      text = await answer.text();
    } catch (error) {
      this.#node += 1;
      this.write({ event: "info", ...common(), reason: String(error.message) });
      throw error;
    }
    const { status, headers } = answer;
    if (status >= 200 && status < 300) {
      this.write({ event: "ok", ...common(), ...answeredOf(asked.line.call, JSON.parse(text)) });
    } else if (status >= 400 && status < 500) {
      this.write({ event: "fail", ...common(), status, code: codeOf(text) });
    } else {
      this.#node += 1;
      this.write({ event: "info", ...common(), reason: `${status} ${codeOf(text)}` });
    }
    return new Response(text, { status, headers });
  }

  #recordingSocket() {
    const person = this;
    return class extends WebSocket {
      #reader;

      constructor(url, protocols) {
        super(url, protocols);
        person.#sockets += 1;
        const { host } = new URL(url);
        const node = person.nodes.findIndex((known) => new URL(known).host === host);
        this.#reader = `${person.#sockets}@${node}`;
        this.on("message", (data) => this.#told(JSON.parse(String(data))));
        this.on("close", () => this.#note({ type: "closed" }));
        this.on("error", () => {
          person.#node += 1;
        });
      }

      send(data) {
        const message = JSON.parse(data);
        if (message.type === "subscribe") {
          const { after, epoch } = message;
          this.#note({ type: "subscribe", after, epoch });
        }
        super.send(data);
      }

      #told(message) {
        const { type, revision, role, reason } = message;
        if (type === "ops") this.#note({ type, revision, ops: seen(message.ops) });
        else if (type === "subscribed" || type === "head")
          this.#note({ type, revision, ...lineage(message) });
        else if (type === "reset") this.#note({ type, revision, reason, ...lineage(message) });
        else if (type === "role") this.#note({ type, ...(role && { role }) });
      }

      #note(line) {
        const { client, drawingId: drawing } = person;
        person.write({ event: "live", client, t: now(), drawing, reader: this.#reader, ...line });
      }
    };
  }
}

/** A request as a history has it; nothing for those that it does not have. */
async function askedOf(request, init) {
  const url = new URL(request.url);
  const [, drawing, what] = url.pathname.match(/^\/v1\/drawings\/([^/]+)\/(\w+)$/) ?? [];
  const number = (name) => (url.searchParams.has(name) ? Number(url.searchParams.get(name)) : undefined);
  const epoch = url.searchParams.get("epoch") ?? undefined;
  if (request.method === "POST" && what === "ops") {
    const { ops, if_revision, epoch: at } = JSON.parse(init?.body ?? (await request.clone().text()));
    const sent = ops.map((op) => ({ op_id: op.op_id, body: op }));
    return { drawing, line: { call: "append", ops: sent, if_revision, epoch: at } };
  }
  if (request.method === "GET" && what === "ops") {
    return { drawing, line: { call: "page", after: number("after"), until: number("until"), epoch } };
  }
  if (request.method === "GET" && what === "snapshot" && !url.searchParams.has("at_time")) {
    return { drawing, line: { call: "snapshot", at: number("at"), epoch } };
  }
  return undefined;
}

function answeredOf(call, body) {
  const { latest_revision, results, from, to, complete, ops, revision, state_hash } = body;
  if (call === "append") return { epoch: body.epoch, latest_revision, results };
  if (call === "page") return { ...lineage(body), latest_revision, from, to, complete, ops: seen(ops) };
  return { ...lineage(body), revision, hash: state_hash };
}

function codeOf(text) {
  try {
    return String(JSON.parse(text).code);
  } catch {
    return "none";
  }
}

/** Draws a log from its beginning, and shows its pictures at some revisions, with all objects. */
async function replay({ drawing, log, path, revisions }) {
  const canvas = new Canvas();
  const wanted = new Set(revisions);
  const file = openSync(path, "w");
  const lines = (await readFile(log, "utf8")).split("\n").filter((line) => line !== "");
  for (const line of lines.map((text) => JSON.parse(text))) {
    if (line.event !== "entry" || line.drawing !== drawing) continue;
    const { revision, actor, epoch, body } = line;
    const taken = canvas.apply({ ...body, revision, actor, ts: 0 });
    if (taken !== "next") throw new Error(`revision ${revision} of the log is ${taken}`);
    if (!wanted.has(revision)) continue;
    const objects = canvas.view().objects.map(({ object_id }) => object_id);
    const hash = canvas.stateHash();
    const picture = {
      event: "picture",
      drawing,
      epoch,
      revision,
      hash,
      via: "replay",
      reducer: REDUCER,
      objects,
    };
    writeSync(file, `${JSON.stringify(picture)}\n`);
  }
  closeSync(file);
}

let people = [];
const complaints = () => people.flatMap((person) => person.complaints.splice(0));

async function obey(command) {
  if ("ping" in command) return { pong: now() };
  if (command.begin) {
    people = command.begin.people.map((person) => new Person(person, command.begin));
    return { begun: people.length };
  }
  if (command.stop) {
    await Promise.all(people.map((person) => person.stop(command.stop.deadline_ms)));
    return { stopped: true, complaints: complaints() };
  }
  if (command.reach) {
    const { heads, deadline_ms } = command.reach;
    await Promise.all(people.map((person) => person.reach(heads, deadline_ms)));
    await Promise.all(people.map((person) => person.close()));
    return { reached: true, complaints: complaints() };
  }
  if (command.replay) {
    await replay(command.replay);
    return { replayed: true };
  }
  throw new Error(`there is no such command: ${JSON.stringify(command)}`);
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = await obey(JSON.parse(line));
  } catch (error) {
    answer = { error: String(error.stack) };
  }
  writeSync(1, `${JSON.stringify(answer)}\n`);
}
process.exit(0);
