// The way of a new op into the storage: it waits in the window for more of its kind, and is stored with what waits there.

import { MAX_OFFLINE_POINTS, REOPEN_AMONG, STORE_AT_ONCE } from "../limits.js";
import type { PendingOp, Point } from "../ops.js";
import { extendAppend, type PendingUpdate } from "./coalesce.js";
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
  /** Some are stored, or held in memory alone, and may be sent. */
  stored(): void;
}

export class Intake {
  readonly #options: IntakeOptions;
  readonly #window = new Window(() => this.close());
  /** What has left it, and is still to be stored. */
  #waiting: readonly Entry[] = [];
  /** The newest of what was stored the last time. */
  #last: readonly Entry[] = [];
  #isStoring = false;
  /** Whether what waits is to be stored, as soon as that is done. */
  #isDue = false;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  push(entry: Entry): void {
    this.#window.push(entry);
  }

  /** Merges an update into one that waits; false when there is none for it. */
  merge(update: PendingUpdate): boolean {
    return this.#amend(this.#window.merge(update));
  }

  /** Adds points to the newest append of a stroke, if that waits, or may do so once more. */
  extend(objectId: string, points: readonly Point[]): boolean {
    return this.#amend(this.#window.extend(objectId, points)) || this.#reopen(objectId, points);
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
    this.#store(this.#take());
  }

  #storeNext(): void {
    if (!this.#isDue || this.#isStoring) return;
    const entries = this.#take();
    this.#waiting = entries.slice(STORE_AT_ONCE);
    this.#isDue = this.#waiting.length > 0;
    this.#store(entries.slice(0, STORE_AT_ONCE));
  }

  #take(): readonly Entry[] {
    const { queue } = this.#options;
    // What waited may have been settled by another tab meanwhile.
    const entries = [...this.#waiting, ...this.#window.take()].filter((entry) => queue.has(entry));
    this.#waiting = [];
    return entries;
  }

  #store(entries: readonly Entry[]): void {
    const { journal, mayChange, stored } = this.#options;
    if (entries.length === 0) return;
    // Where another tab or session may send an op, this one does not know whether it was sent.
    if (!mayChange()) for (const entry of entries) entry.sent = "maybe";
    this.#last = entries.slice(-REOPEN_AMONG);
    this.#isStoring = true;
    void journal.append(entries).then(() => {
      this.#isStoring = false;
      stored();
      this.#storeNext();
    });
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
