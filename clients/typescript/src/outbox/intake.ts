// The way of a new op into the storage: it waits in the window for more of its kind, and is stored with what waits there.

import type { PendingOp, Point } from "../ops.js";
import type { PendingUpdate } from "./coalesce.js";
import type { Journal } from "./journal.js";
import type { Entry, Queue } from "./queue.js";
import { type Amendment, Window } from "./window.js";

export interface IntakeOptions {
  readonly queue: Queue;
  readonly journal: Journal;
  /** Whether an op that is stored may still be changed before it is sent. */
  mayChange(): boolean;
  /** An op that waits has become this. */
  amended(op: PendingOp): void;
  /** Some are stored, or held in memory alone, and may be sent. */
  stored(): void;
}

export class Intake {
  readonly #options: IntakeOptions;
  readonly #window = new Window(() => this.close());
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

  /** Adds points to the newest append of a stroke, if that waits. */
  extend(objectId: string, points: readonly Point[]): boolean {
    return this.#amend(this.#window.extend(objectId, points));
  }

  /**
   * What waits is to be stored: at the end of the task, and one call after the other. So thousands of ops that are made
   * at once are few calls, and none of them waits for long.
   */
  close(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => this.#storeNext());
  }

  /** Begins to store what waits, within the task. It may be sent once that is durable. */
  store(): void {
    this.#isDue = false;
    const { journal, mayChange, stored } = this.#options;
    const entries = this.#window.take();
    if (entries.length === 0) return;
    if (!mayChange()) for (const entry of entries) entry.frozen = true;
    this.#isStoring = true;
    void journal.append(entries).then(() => {
      this.#isStoring = false;
      stored();
      this.#storeNext();
    });
  }

  #storeNext(): void {
    if (this.#isDue && !this.#isStoring) this.store();
  }

  #amend(amendment: Amendment | undefined): boolean {
    if (amendment === undefined) return false;
    const { entry, op, bytes } = amendment;
    const { queue, amended } = this.#options;
    if (bytes === undefined) queue.replace(entry, op);
    else queue.grow(entry, op, bytes);
    amended(op);
    return true;
  }
}
