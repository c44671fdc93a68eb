// A server in the memory of a test: REST, sockets and event streams over one log, each of which can be told to fail.

import { NO_REGISTERS } from "../../src/canvas/registers.js";
import type { CommittedOp } from "../../src/index.js";
import type { ClientMessage, Role, Roster } from "../../src/protocol.js";

export const DRAWING = "00000000-0000-7000-8000-00000000000d";

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
  readonly headers: Headers;
  readonly keepalive: boolean;
  readonly signal: AbortSignal | undefined;
}

type Answer = (seen: Seen) => Response | Promise<Response>;

export function problem(status: number, code: string, more: object = {}, headers = {}): Response {
  const body = {
    title: code,
    status,
    code,
    detail: code,
    retryable: status >= 500 || status === 429,
    ...more,
  };
  return new Response(JSON.stringify(body), {
    status,
    headers: { "Content-Type": "application/problem+json", ...headers },
  });
}

export function json(body: unknown): Response {
  return new Response(JSON.stringify(body), { headers: { "Content-Type": "application/json" } });
}

/** The op at a revision. */
export function op(revision: number, type = "custom.test"): CommittedOp {
  return { type, revision, actor: "alice", ts: revision, op_id: `op-${revision}`, data: revision };
}

export function range(from: number, to: number): CommittedOp[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, n) => op(from + n));
}

/** What the feed's side of a socket sees. `server` decides what happens by itself. */
export class FakeSocket {
  readyState = 0;
  bufferedAmount = 0;
  closedWith: number | undefined;
  readonly sent: ClientMessage[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  isFollowing = false;
  /** The revision that was sent last. */
  cursor = 0;

  constructor(
    readonly server: FeedServer,
    readonly url: string,
    readonly protocol: string,
  ) {
    queueMicrotask(() => {
      if (this.readyState !== 0) return;
      if (server.sockets.mode === "refused") this.drop(1006);
      else if (server.sockets.mode !== "silent") this.open();
    });
  }

  open(): void {
    this.readyState = 1;
    this.onopen?.();
    const { epoch, heartbeat } = this.server;
    const connection_id = `socket-${this.server.sockets.all.indexOf(this) + 1}`;
    const { protocol } = this.server;
    this.receive({ type: "hello", protocol, connection_id, epoch, heartbeat_ms: heartbeat, limits: {} });
  }

  send(text: string): void {
    const message = JSON.parse(text) as ClientMessage;
    this.sent.push(message);
    queueMicrotask(() => this.#answer(message));
  }

  close(code?: number): void {
    if (this.readyState >= 2) return;
    this.closedWith = code;
    this.readyState = 2;
  }

  /** The server says something. */
  receive(message: object): void {
    if (this.readyState === 1 || this.readyState === 2) this.onmessage?.({ data: JSON.stringify(message) });
  }

  ops(...ops: CommittedOp[]): void {
    this.cursor = ops.at(-1)?.revision ?? this.cursor;
    this.receive({ type: "ops", drawing_id: DRAWING, revision: ops.at(-1)?.revision, ops });
  }

  head(revision: number, epoch = this.server.epoch): void {
    const lineage = epoch === this.server.epoch ? this.server.lineage : {};
    this.receive({ type: "head", drawing_id: DRAWING, epoch, revision, ...lineage });
  }

  reset(reason: string, revision = this.server.head): void {
    this.isFollowing = false;
    const { epoch, lineage } = this.server;
    this.receive({ type: "reset", drawing_id: DRAWING, reason, epoch, revision, ...lineage });
  }

  /** The socket closes. */
  drop(code: number): void {
    this.readyState = 3;
    this.isFollowing = false;
    this.onclose?.({ code, reason: "" });
  }

  of<T extends ClientMessage["type"]>(type: T): Extract<ClientMessage, { type: T }>[] {
    return this.sent.filter(
      (message): message is Extract<ClientMessage, { type: T }> => message.type === type,
    );
  }

  #answer(message: ClientMessage): void {
    const { server } = this;
    if (this.readyState !== 1 || server.sockets.mode === "mute") return;
    if (message.type === "ping" && server.sockets.answersPings) this.receive({ type: "pong", t: message.t });
    if (message.type !== "subscribe") return;
    const { after = server.head, epoch } = message;
    if (epoch === undefined || !server.knows(epoch, after)) this.reset("epoch_changed");
    else if (after > server.head) this.reset("revision_ahead");
    else if (server.head - after > 1000) this.reset("too_far_behind");
    else {
      this.isFollowing = true;
      this.cursor = after;
      const { role, roster, lineage } = server;
      this.receive({
        type: "subscribed",
        drawing_id: DRAWING,
        epoch: server.epoch,
        ...lineage,
        revision: after,
        role,
        presence: roster,
      });
      if (server.head > after) this.ops(...server.log.slice(after));
    }
  }
}

/** One event stream. */
export class FakeStream {
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  readonly response: Response;

  constructor(readonly seen: Seen) {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
        seen.signal?.addEventListener("abort", () => this.#end(() => controller.error(new Error("aborted"))));
      },
    });
    this.response = new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  }

  write(text: string): void {
    this.writeBytes(new TextEncoder().encode(text));
  }

  writeBytes(bytes: Uint8Array): void {
    this.#controller?.enqueue(bytes);
  }

  send(message: { type: string; [field: string]: unknown }): void {
    this.write(`event: ${message.type}\ndata: ${JSON.stringify({ drawing_id: DRAWING, ...message })}\n\n`);
  }

  end(): void {
    this.#end(() => this.#controller?.close());
  }

  #end(act: () => void): void {
    try {
      act();
    } catch {
      // It had ended before.
    }
    this.#controller = undefined;
  }
}

export class FeedServer {
  protocol = 2;
  epoch = "epoch-1";
  /** The epoch that the log goes on from, and up to where. */
  lineage: { readonly previous_epoch: string; readonly base: number } | undefined;
  log: CommittedOp[] = [];
  role: Role = "editor";
  roster: Roster = {};
  heartbeat = 2000;
  /** What event streams tell of it; nothing by default, as servers of before. */
  streamHeartbeat: number | undefined;
  pageSize = 1000;
  token = "token";
  hasSnapshots = true;
  /** What a snapshot holds. */
  registers = (): object => ({ ...NO_REGISTERS, canvas: { from: [[this.head, null, this.head]] } });
  /** Whether sockets hear of new ops by themselves. */
  isTelling = true;
  /** `live`: all by itself. `refused`: closed at once. `silent`: never opens. `mute`: opens, says hello, no more. */
  readonly sockets = {
    mode: "live" as "live" | "refused" | "silent" | "mute",
    all: [] as FakeSocket[],
    answersPings: true,
  };
  readonly streams = { mode: "live" as "live" | "refused", all: [] as FakeStream[] };
  readonly requests: Seen[] = [];
  /** Answers in place of the usual ones, by `METHOD last-segment-of-the-path`; the first is used up at each request. */
  readonly scripted = new Map<string, Answer[]>();
  /** Answers every request, while set, but for those to which it gives `undefined`. */
  everything: ((seen: Seen) => ReturnType<Answer> | undefined) | undefined;
  readonly #waiting = new Set<() => void>();

  get head(): number {
    return this.log.length;
  }

  get WebSocket(): typeof WebSocket {
    const server = this;
    return class {
      constructor(url: string, protocol: string) {
        const socket = new FakeSocket(server, url, protocol);
        server.sockets.all.push(socket);
        // biome-ignore lint/correctness/noConstructorReturn: the test wants the one that it knows
        return socket;
      }
    } as unknown as typeof WebSocket;
  }

  get socket(): FakeSocket {
    const socket = this.sockets.all.at(-1);
    if (socket === undefined) throw new Error("there is no socket");
    return socket;
  }

  get stream(): FakeStream {
    const stream = this.streams.all.at(-1);
    if (stream === undefined) throw new Error("there is no stream");
    return stream;
  }

  /** The next request of a kind gets this answer; further calls queue up. */
  script(kind: string, answer: Answer): void {
    this.scripted.set(kind, [...(this.scripted.get(kind) ?? []), answer]);
  }

  /** Holds the next request of a kind until the result is called; then it gets the answer that was due when it came. */
  hold(kind: string): () => void {
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.script(kind, async (seen) => {
      const answer = await this.#usual(seen);
      await released;
      return answer;
    });
    return release;
  }

  /** Commits ops, and lets those who follow know. */
  commit(count: number): void {
    const before = this.head;
    this.log.push(...range(before + 1, before + count));
    this.#tell(before);
  }

  /** Another server takes over: it has the log up to `base`, in a new epoch, and lets those who follow know. */
  failover(base: number, epoch = `${this.epoch}'`): void {
    this.lineage = { previous_epoch: this.epoch, base };
    this.#begin(epoch, base);
    for (const socket of this.sockets.all) {
      if (socket.isFollowing && socket.cursor > base) socket.reset("epoch_changed");
      else if (socket.isFollowing) socket.head(base);
    }
  }

  /** A backup is restored, which has the log up to `base`. Nothing is known of what was there before. */
  restore(base: number, epoch = `${this.epoch}*`): void {
    this.#begin(epoch, base);
    this.lineage = undefined;
    for (const socket of this.sockets.all) if (socket.isFollowing) socket.reset("epoch_changed");
  }

  #begin(epoch: string, base: number): void {
    this.epoch = epoch;
    this.log = this.log.slice(0, base);
  }

  /** Whether a position is one of this log, as far as its epoch goes. */
  knows(epoch: string, revision: number): boolean {
    if (epoch === this.epoch) return true;
    return epoch === this.lineage?.previous_epoch && revision <= this.lineage.base;
  }

  /** Commits what is posted: each op once. */
  post(seen: Seen): Response {
    const { ops, epoch } = seen.body as { ops: readonly CommittedOp[]; epoch?: string };
    if (epoch !== undefined && epoch !== this.epoch) {
      return problem(410, "epoch_changed", { epoch: this.epoch, latest_revision: this.head });
    }
    const before = this.head;
    const logged = new Map(this.log.map(({ op_id, revision }) => [op_id, revision]));
    const results = ops.map((op) => {
      const known = logged.get(op.op_id);
      const revision = known ?? this.head + 1;
      if (known === undefined) this.log.push({ ...op, revision, actor: "alice", ts: revision });
      return { op_id: op.op_id, revision, duplicate: known !== undefined };
    });
    this.#tell(before);
    return json({ epoch: this.epoch, latest_revision: this.head, results });
  }

  #tell(before: number): void {
    const ops = this.log.slice(before);
    if (ops.length === 0) return;
    for (const socket of this.sockets.all) if (socket.isFollowing && this.isTelling) socket.ops(...ops);
    for (const wake of this.#waiting) wake();
  }

  count(kind: string): number {
    return this.requests.filter((seen) => kindOf(seen) === kind).length;
  }

  of(kind: string): Seen[] {
    return this.requests.filter((seen) => kindOf(seen) === kind);
  }

  readonly fetch = async (input: unknown, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(String(input));
    const seen: Seen = {
      method: init.method ?? "GET",
      path: url.pathname,
      query: url.searchParams,
      body: typeof init.body === "string" ? JSON.parse(init.body) : undefined,
      headers: new Headers(init.headers),
      keepalive: init.keepalive ?? false,
      signal: init.signal ?? undefined,
    };
    this.requests.push(seen);
    const first = this.everything?.(seen);
    if (first !== undefined) return first;
    const answer = this.scripted.get(kindOf(seen))?.shift();
    return answer === undefined ? this.#usual(seen) : answer(seen);
  };

  async #usual(seen: Seen): Promise<Response> {
    const { epoch, head, role, lineage } = this;
    switch (kindOf(seen)) {
      case "POST tickets":
        return json({ ticket: `ticket-${this.count("POST tickets")}`, expires_at: 0 });
      case "GET snapshot": {
        if (!this.hasSnapshots) return problem(503, "snapshots_unavailable");
        const registers = this.registers();
        return json({ epoch, ...lineage, revision: head, state_hash: "", view: {}, registers });
      }
      case "GET ops":
        return this.#ops(seen);
      case "POST ops":
        return this.post(seen);
      case "GET events":
        return this.#events(seen);
      case "GET presence":
        return json({ drawing_id: DRAWING, count: 0, set: this.roster });
      case "POST presence": {
        const { connection_id = "posted-1" } = seen.body as { connection_id?: string };
        return json({ connection_id, count: 1, expires_at: 0 });
      }
      case `GET ${DRAWING}`:
        return json({ drawing_id: DRAWING, epoch, ...lineage, latest_revision: head, role });
      default:
        throw new Error(`not served: ${kindOf(seen)}`);
    }
  }

  async #ops(seen: Seen): Promise<Response> {
    const after = Number(seen.query.get("after"));
    const epoch = seen.query.get("epoch");
    const gone = (code: string): Response =>
      problem(410, code, { epoch: this.epoch, latest_revision: this.head });
    if (epoch !== null && !this.knows(epoch, after)) return gone("epoch_changed");
    if (after > this.head) return gone("revision_ahead");
    if (seen.query.has("wait") && after === this.head) await this.#news(seen.signal);
    const ops = this.log.slice(after, after + this.pageSize);
    const to = after + ops.length;
    const latest_revision = this.head;
    return json({
      epoch: this.epoch,
      ...this.lineage,
      from: after + 1,
      to,
      latest_revision,
      complete: to === latest_revision,
      ops,
    });
  }

  #news(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal?.addEventListener("abort", () => {
        this.#waiting.delete(wake);
        reject(signal.reason);
      });
    });
  }

  #events(seen: Seen): Response {
    if (this.streams.mode === "refused") throw new TypeError("refused");
    const stream = new FakeStream(seen);
    this.streams.all.push(stream);
    const after = Number(seen.query.get("after"));
    const { epoch, role, roster, head, lineage } = this;
    if (!this.knows(seen.query.get("epoch") ?? "", after)) {
      stream.send({ type: "reset", reason: "epoch_changed", epoch, ...lineage, revision: head });
      stream.end();
    } else if (head - after > 1000) {
      stream.send({ type: "reset", reason: "too_far_behind", epoch, revision: head });
      stream.end();
    } else {
      stream.send({
        type: "subscribed",
        epoch,
        ...lineage,
        revision: after,
        role,
        presence: roster,
        ...(this.streamHeartbeat === undefined ? {} : { heartbeat_ms: this.streamHeartbeat }),
      });
      if (head > after) stream.send({ type: "ops", revision: head, ops: this.log.slice(after) });
    }
    return stream.response;
  }
}

export function kindOf({ method, path }: Seen): string {
  return `${method} ${path.slice(path.lastIndexOf("/") + 1)}`;
}
