// An outbox against a server, a storage and tabs that live in the test.

import { vi } from "vitest";
import { Http } from "../../src/http.js";
import type { PendingOp } from "../../src/ops.js";
import { Outbox } from "../../src/outbox/outbox.js";
import type { RejectedOp } from "../../src/outbox/quarantine.js";
import { MemoryStore, type OutboxStore } from "../../src/outbox/store.js";
import type { TabsPlatform } from "../../src/outbox/tabs.js";
import type { Ack, OutboxOptions } from "../../src/outbox/types.js";

export const DRAWING = "01980000-0000-7000-8000-000000000001";
export const EPOCH = "01980000-0000-7000-8000-00000000e0e0";
export const SCOPE = `http://test|alice|${DRAWING}`;

/** The id of the n-th op. */
export const id = (n: number): string => `01980000-0000-7000-8000-${n.toString(16).padStart(12, "0")}`;

export const create = (n: number, object_id: string): PendingOp => ({
  op_id: id(n),
  type: "object.create",
  object_id,
  kind: "rect",
  props: {},
});
export const update = (
  n: number,
  object_id: string,
  set: Record<string, number>,
  unit?: number,
): PendingOp => ({
  op_id: id(n),
  type: "object.update",
  object_id,
  set,
  ...(unit === undefined ? {} : { unit: id(unit) }),
});
export const begin = (n: number, object_id: string): PendingOp => ({
  op_id: id(n),
  type: "stroke.begin",
  object_id,
  tool: "pen",
  props: {},
  points: [[0, 0]],
});
export const append = (n: number, object_id: string, index: number, unit: number): PendingOp => ({
  op_id: id(n),
  type: "stroke.append",
  object_id,
  unit: id(unit),
  index,
  points: [[n, n]],
});
export const custom = (n: number): PendingOp => ({ op_id: id(n), type: "custom.note", data: n });
export const undo = (n: number, unit: number): PendingOp => ({ op_id: id(n), type: "undo", unit: id(unit) });

/** A request as the server got it. */
export interface Received {
  readonly ops: readonly { readonly op_id: string; readonly type: string }[];
  /** The log that it is for alone. */
  readonly epoch: string | undefined;
  readonly body: string;
  readonly keepalive: boolean;
  readonly at: number;
}

type Handler = (received: Received) => Response | undefined | Promise<Response | undefined>;

/** Keeps the log as the real server does: each id once, another body under it is a conflict. */
export class Server {
  readonly log = new Map<string, { body: string; revision: number }>();
  readonly requests: Received[] = [];
  epoch = EPOCH;
  /** Answers in place of the log; `undefined`: the log answers. */
  handler: Handler = () => undefined;

  readonly fetch = async (_url: unknown, init: RequestInit = {}): Promise<Response> => {
    const body = String(init.body);
    const { ops, epoch } = JSON.parse(body) as Pick<Received, "ops" | "epoch">;
    const received = { ops, epoch, body, keepalive: init.keepalive ?? false, at: Date.now() };
    this.requests.push(received);
    const aborted = new Promise<never>((_, reject) => {
      init.signal?.addEventListener("abort", () => reject(init.signal?.reason));
    });
    aborted.catch(() => {});
    return Promise.race([this.#answer(received), aborted]);
  };

  async #answer(received: Received): Promise<Response> {
    return (await this.handler(received)) ?? this.commit(received);
  }

  commit({ ops, epoch }: Received): Response {
    if (epoch !== undefined && epoch !== this.epoch) return problem(410, "epoch_changed");
    for (const [index, op] of ops.entries()) {
      const known = this.log.get(op.op_id);
      if (known !== undefined && known.body !== JSON.stringify(op)) {
        return problem(409, "op_id_conflict", `/ops/${index}/op_id`);
      }
    }
    const results = ops.map((op) => {
      const known = this.log.get(op.op_id);
      const revision = known?.revision ?? this.log.size + 1;
      this.log.set(op.op_id, { body: JSON.stringify(op), revision });
      return { op_id: op.op_id, revision, duplicate: known !== undefined };
    });
    return Response.json({ epoch: this.epoch, latest_revision: this.log.size, results });
  }

  /** The ids of the ops of each request, as numbers. */
  get sent(): number[][] {
    return this.requests.map(({ ops }) => ops.map(numberOf));
  }

  get logged(): number[] {
    return [...this.log.keys()].map((op_id) => numberOf({ op_id }));
  }
}

export const numberOf = ({ op_id }: { readonly op_id: string }): number =>
  Number.parseInt(op_id.slice(-12), 16);

export function problem(
  status: number,
  code: string,
  pointers: string | readonly string[] = [],
  headers: Record<string, string> = {},
): Response {
  const errors = [pointers].flat().map((pointer) => ({ pointer, detail: `wrong at ${pointer}` }));
  const retryable = [429, 500, 503].includes(status) && code !== "log_damaged";
  const body = { type: "about:blank", title: "", status, code, detail: `it is ${code}`, retryable, errors };
  return Response.json(body, { status, headers: { "Content-Type": "application/problem+json", ...headers } });
}

/** What a request comes to without a network. */
export const offline = (): Promise<never> => Promise.reject(new TypeError("offline"));

/** A promise to be settled by hand. */
export function deferred<T>(): {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
} {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/** What an outbox has told. */
export class Told {
  readonly added: PendingOp[] = [];
  readonly amended: PendingOp[] = [];
  readonly removed: string[] = [];
  readonly revoked: string[] = [];
  /** How often the log was said to be in another epoch. */
  outrun = 0;
  /** How often a gesture went on in a unit of its own. */
  continued = 0;
  readonly acks: Ack[] = [];
  readonly rejected: RejectedOp[] = [];
  readonly sync: string[] = [];
  readonly errors: string[] = [];
}

export interface Rig {
  readonly outbox: Outbox;
  readonly server: Server;
  readonly store: OutboxStore;
  readonly told: Told;
}

export interface RigOptions extends Partial<Pick<OutboxOptions, "platform" | "store">> {
  readonly server?: Server;
  readonly getToken?: () => string | Promise<string>;
}

export function rig(options: RigOptions = {}): Rig {
  const { server = new Server(), store = new MemoryStore(), platform, getToken = () => "token" } = options;
  const told = new Told();
  const outbox = new Outbox({
    scope: SCOPE,
    drawingId: DRAWING,
    http: new Http({ url: "http://test", getToken, fetch: server.fetch as typeof fetch }),
    store,
    random: () => 1,
    platform: platform ?? { locks: undefined, BroadcastChannel: undefined },
    events: {
      added: (op) => void told.added.push(op),
      amended: (op) => void told.amended.push(op),
      removed: (ids) => void told.removed.push(...ids),
      revoked: (ids) => void told.revoked.push(...ids),
      outrun: () => {
        told.outrun += 1;
      },
      continued: () => {
        told.continued += 1;
      },
      acknowledged: (acks) => void told.acks.push(...acks),
      rejected: (list) => void told.rejected.push(...list),
      sync: (state) => void told.sync.push(state),
      error: (error) => void told.errors.push(error.code),
    },
  });
  return { outbox, server, store, told };
}

export async function opened(options: RigOptions = {}): Promise<Rig> {
  const made = rig(options);
  await made.outbox.open();
  return made;
}

/** Lets everything happen that needs no time, and what is due within `ms`. */
export async function pass(ms = 0): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
  await vi.advanceTimersByTimeAsync(0);
}

/** Locks and channels of one browser. */
export class Browser implements TabsPlatform {
  readonly #queues = new Map<string, Promise<void>>();
  /** Those who hold each lock, or wait for it. */
  readonly #counts = new Map<string, number>();
  readonly #channels = new Map<string, Set<FakeChannel>>();
  /** Whether messages get through. */
  isTelling = true;

  readonly locks = {
    request: async (
      name: string,
      options: LockOptions,
      hold: (lock: object | null) => Promise<void>,
    ): Promise<void> => {
      const count = this.#counts.get(name) ?? 0;
      if (options.ifAvailable && count > 0) return hold(null);
      this.#counts.set(name, count + 1);
      const before = this.#queues.get(name) ?? Promise.resolve();
      const held = before.then(() => {
        if (options.signal?.aborted) throw options.signal.reason;
        return hold({});
      });
      const leave = () => this.#counts.set(name, (this.#counts.get(name) ?? 1) - 1);
      held.then(leave, leave);
      this.#queues.set(
        name,
        held.catch(() => {}),
      );
      return held;
    },
  } as unknown as Pick<LockManager, "request">;

  readonly BroadcastChannel = ((browser: Browser) =>
    class {
      constructor(name: string) {
        // biome-ignore lint/correctness/noConstructorReturn: it stands in for a class of the platform.
        return new FakeChannel(browser, name) as unknown as object;
      }
    })(this) as unknown as typeof BroadcastChannel;

  peers(name: string): Set<FakeChannel> {
    let peers = this.#channels.get(name);
    if (peers === undefined) {
      peers = new Set();
      this.#channels.set(name, peers);
    }
    return peers;
  }
}

class FakeChannel {
  onmessage: ((event: { data: unknown }) => void) | undefined;

  constructor(
    readonly browser: Browser,
    readonly name: string,
  ) {
    browser.peers(name).add(this);
  }

  postMessage(data: unknown): void {
    if (!this.browser.isTelling) return;
    for (const peer of this.browser.peers(this.name)) {
      if (peer !== this) queueMicrotask(() => peer.onmessage?.({ data: structuredClone(data) }));
    }
  }

  close(): void {
    this.browser.peers(this.name).delete(this);
    this.onmessage = undefined;
  }
}

/** A storage that several tabs see. */
export class SharedStore extends MemoryStore {
  override readonly shared = true;
}
