// The way of a new op into the storage: it waits in the window for more of its kind, and is stored with what waits there.

import { MAX_OFFLINE_POINTS, REOPEN_AMONG, STORE_AT_ONCE } from "../limits.js";
import type { MadeOp, PendingOp, Point } from "../ops.js";
import { extendAppend, mayWait, type PendingUpdate } from "./coalesce.js";
import type { Journal } from "./journal.js";
import type { Entry, Queue } from "./queue.js";
import { type Amendment, Window } from "./window.js";

export interface IntakeOptions {
  readonly queue: Queue;
  readonly journal: Journal;
  /** Whether an op that is stored may still be changed before it is sent. */
  mayChange(): boolean;
  /** Whether nothing can be sent for now. */
  isStalled(): boolean;
  /** An op that waits has become this. */
  amended(op: PendingOp): void;
  /** Some are stored, or held in memory alone, and may be sent. What was made at once is so at once. */
  stored(): void;
}

export class Intake {
  readonly #options: IntakeOptions;
  readonly #window = new Window(() => this.close());
  /** What has left it, and is still to be stored: after what is being stored now, and before it is sent. */
  #waiting: readonly Entry[] = [];
  /** The newest of what was stored the last time. */
  #last: readonly Entry[] = [];
  /** What is stored, or being stored, of those that are stored in several calls. */
  readonly #partial = new Set<Entry>();
  /** Calls that are being made. */
  #calls = 0;
  /** Whether what is in the window is to be stored, as soon as that is done. */
  #isDue = false;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  push(entry: Entry): void {
    this.#window.push(entry);
  }

  /** Those of what is made at once that take room of their own: nothing waits that they would be merged into. */
  unmerged(made: readonly MadeOp[]): readonly MadeOp[] {
    const end = made.findIndex(({ op }) => !mayWait(op));
    // What waits is not merged with anything that is made after such a one.
    return made.filter(
      ({ op }, at) => op.type !== "object.update" || (end >= 0 && at > end) || !this.#window.hasWaiting(op),
    );
  }

  /** Merges an update into one that waits; false when there is none for it. */
  merge(update: PendingUpdate): boolean {
    return this.#amend(this.#window.merge(update));
  }

  /** Adds points to the newest append of a stroke, if that waits, or may do so once more. */
  extend(objectId: string, points: readonly Point[]): boolean {
    return this.#amend(this.#window.extend(objectId, points)) || this.#reopen(objectId, points);
  }

  /** Whether more that was made with it is still to be stored: a page that is gone in between must not have sent a part. */
  isPartial(entry: Entry): boolean {
    return this.#partial.has(entry);
  }

  /**
   * What waits is to be stored: at the end of the task, and one call after the other. So thousands of ops that are made
   * at once are few calls, and no call holds up the page for long.
   */
  close(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => {
      // Those who have made so many at once have kept the page for long enough.
      if (this.#window.size > STORE_AT_ONCE) setTimeout(() => this.#storeNext());
      else this.#storeNext();
    });
  }

  /** Begins to store all that waits, within the task. It may be sent once that is durable. */
  store(): void {
    this.#isDue = false;
    const entries = this.#pendingOf([...this.#waiting, ...this.#window.take()]);
    this.#waiting = [];
    this.#store(entries);
  }

  #storeNext(): void {
    if (this.#calls > 0) return;
    let next = this.#pendingOf(this.#waiting);
    if (next.length === 0 && this.#isDue) {
      this.#isDue = false;
      next = this.#pendingOf(this.#window.take());
    }
    const portion = next.slice(0, STORE_AT_ONCE);
    this.#waiting = next.slice(STORE_AT_ONCE);
    if (this.#waiting.length > 0) for (const entry of portion) this.#partial.add(entry);
    this.#store(portion);
  }

  #store(entries: readonly Entry[]): void {
    const { journal, mayChange, stored } = this.#options;
    if (entries.length === 0) return;
    // Where another tab or session may send an op, this one does not know whether it was sent.
    if (!mayChange()) for (const entry of entries) entry.sent = "maybe";
    this.#last = entries.slice(-REOPEN_AMONG);
    this.#calls += 1;
    void journal.append(entries).then(() => {
      this.#calls -= 1;
      if (this.#calls === 0 && this.#pendingOf(this.#waiting).length === 0) this.#partial.clear();
      if (this.#partial.size === 0) stored();
      this.#storeNext();
    });
  }

  /** What waited may have been settled by another tab meanwhile. */
  #pendingOf(entries: readonly Entry[]): readonly Entry[] {
    return entries.filter((entry) => this.#options.queue.has(entry));
  }

  /**
   * Lets a stored append wait again. While nothing can be sent, a stroke of minutes is so a few dozen ops instead of
   * thousands.
   */
  #reopen(objectId: string, points: readonly Point[]): boolean {
    const { mayChange, isStalled } = this.#options;
    if (!isStalled() || !mayChange()) return false;
    const entry = this.#last.findLast(({ op }) => "object_id" in op && op.object_id === objectId);
    if (entry?.op.type !== "stroke.append" || entry.frozen || entry.changing) return false;
    if (entry.op.points.length + points.length > MAX_OFFLINE_POINTS) return false;
    const op = extendAppend(entry.op, entry.bytes, points);
    if (op === undefined || !this.#options.queue.has(entry)) return false;
    if (entry.state === "stored" || entry.state === "writing") {
      entry.state = "open";
      this.#window.push(entry);
    } else if (entry.state !== "memory") return false;
    return this.#amend({ entry, ...op });
  }

  #amend(amendment: Amendment | undefined): boolean {
    if (amendment === undefined) return false;
    const { entry, op, bytes, body } = amendment;
    const { queue, amended } = this.#options;
    queue.grow(entry, op, bytes, body);
    amended(op);
    return true;
  }
}
