// The pending ops, in the order in which they are sent.

import type { PendingOp } from "../ops.js";
import { byteLength } from "./coalesce.js";
import type { Place } from "./quarantine.js";

/** A pending op, and how far it has come. */
export interface Entry {
  /** The `op_id` in lower case. */
  id: string;
  op: PendingOp;
  /** The op as JSON, as it is stored and sent. */
  readonly body: string;
  bytes: number;
  /** Its place in the storage, once it is there. */
  key: number | undefined;
  /** `open`: in the window, where it may still change · `writing` · `stored` · `memory`: the storage has failed. */
  state: "open" | "writing" | "stored" | "memory";
  /** `never` · `now`: about to be sent, or in its first request · `maybe`: it may be in the log. */
  sent: "never" | "now" | "maybe";
  /** Whether it may have been sent. Its body never changes under its id from then on. */
  readonly frozen: boolean;
  /** Whether a change of it is being stored. */
  changing: boolean;
  /** Whether it was made here, not in another tab or session. */
  readonly mine: boolean;
  /** Whether it was in a log that is over, and goes before all others. */
  readonly restored: boolean;
}

export class Queue {
  #entries: Entry[] = [];
  readonly #byId = new Map<string, Entry>();
  #bytes = 0;

  get size(): number {
    return this.#entries.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Oldest first. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  get(id: string): Entry | undefined {
    return this.#byId.get(id);
  }

  /** Whether this very entry is still pending. */
  has(entry: Entry): boolean {
    return this.#byId.get(entry.id) === entry;
  }

  /** Takes in an op made here, at the end. */
  push(op: PendingOp, body = JSON.stringify(op)): Entry {
    const entry = new Pending(op, body, undefined);
    this.#entries.push(entry);
    this.#note(entry);
    return entry;
  }

  /** Takes in ops that were sent before, in front of all others, which may depend on them. They are in memory alone. */
  restore(ops: readonly { readonly op: PendingOp; readonly body: string }[]): void {
    const entries = ops.map(({ op, body }) => {
      const entry = new Pending(op, body, undefined, true);
      entry.state = "memory";
      entry.sent = "maybe";
      return entry;
    });
    this.#entries = [...entries, ...this.#entries];
    for (const entry of entries) this.#note(entry);
  }

  /** Takes in an op found in the storage, at its place. It may have been sent by whoever stored it. */
  insert(op: PendingOp, body: string, key: number): Entry {
    const entry = new Pending(op, body, key);
    this.#place(entry, key);
    return entry;
  }

  /** Takes in once more what has left it, at its place, as this op. It may have been sent before. */
  readmit(op: PendingOp, place: Place): Entry {
    const entry = place instanceof Pending ? place : new Pending(op, place.body, place.key);
    entry.sent = "maybe";
    if (entry.key === undefined) {
      this.#entries.push(entry);
      this.#note(entry);
    } else {
      this.#place(entry, entry.key);
    }
    if (entry.id !== op.op_id.toLowerCase() || entry.op !== op) this.replace(entry, op);
    return entry;
  }

  #place(entry: Entry, key: number): void {
    // What has no key yet will get a greater one, unless it was restored.
    const at = this.#entries.findLastIndex(
      (other) => other.restored || (other.key !== undefined && other.key < key),
    );
    this.#entries.splice(at + 1, 0, entry);
    this.#note(entry);
  }

  /** Gives a pending op another body, and maybe another id. */
  replace(entry: Entry, op: PendingOp, body = JSON.stringify(op)): void {
    this.#byId.delete(entry.id);
    entry.id = op.op_id.toLowerCase();
    this.#byId.set(entry.id, entry);
    this.#put(entry, op, byteLength(body), body);
  }

  /**
   * The same under its id, where the size is known. Without a body, that is made when it is asked for: it may change many
   * times before.
   */
  grow(entry: Entry, op: PendingOp, bytes: number, body?: string): void {
    this.#put(entry, op, bytes, body);
  }

  #put(entry: Entry, op: PendingOp, bytes: number, body: string | undefined): void {
    this.#bytes += bytes - entry.bytes;
    (entry as Pending).become(op, bytes, body);
  }

  remove(gone: Iterable<Entry>): void {
    let isAny = false;
    for (const entry of gone) {
      if (!this.has(entry)) continue;
      this.#byId.delete(entry.id);
      this.#bytes -= entry.bytes;
      isAny = true;
    }
    if (isAny) this.#entries = this.#entries.filter((entry) => this.has(entry));
  }

  #note(entry: Entry): void {
    this.#byId.set(entry.id, entry);
    this.#bytes += entry.bytes;
  }
}

class Pending implements Entry {
  id: string;
  readonly mine: boolean;
  bytes: number;
  state: Entry["state"];
  sent: Entry["sent"];
  changing = false;
  #body: string | undefined;

  /** With a key: found in the storage. */
  constructor(
    public op: PendingOp,
    body: string,
    public key: number | undefined,
    readonly restored = false,
  ) {
    const isFound = key !== undefined;
    this.id = op.op_id.toLowerCase();
    this.mine = !isFound;
    this.bytes = byteLength(body);
    this.state = isFound ? "stored" : "open";
    this.sent = isFound ? "maybe" : "never";
    this.#body = body;
  }

  get frozen(): boolean {
    return this.sent !== "never";
  }

  get body(): string {
    this.#body ??= JSON.stringify(this.op);
    return this.#body;
  }

  become(op: PendingOp, bytes: number, body: string | undefined): void {
    this.op = op;
    this.bytes = bytes;
    this.#body = body;
  }
}
