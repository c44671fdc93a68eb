// Which ops go out next, and in what form: merged with others, or in a unit that is still open.
//
// Owns the changes of ops that are stored already. A change is stored before it is sent, and told once it is.

import type { PendingOp } from "../ops.js";
import { type Change, planBatch } from "./batch.js";
import type { Journal } from "./journal.js";
import type { Entry, Queue } from "./queue.js";
import type { Settled } from "./reconcile.js";
import type { OutboxEvents } from "./types.js";
import { ContinuedUnits } from "./units.js";

export interface OutgoingOptions {
  readonly queue: Queue;
  readonly journal: Journal;
  readonly settled: Settled;
  readonly events: OutboxEvents;
  /** Whether this tab is the one that sends what is stored. */
  isLeading(): boolean;
  /** Whether what is stored may be changed: nobody else can be sending it. */
  mayChange(): boolean;
  /** Whether more that was made with it has to be stored before it is sent. */
  isPartial(entry: Entry): boolean;
  isClosed(): boolean;
  /** What is stored is another now. */
  changed(): void;
}

export class Outgoing {
  readonly #options: OutgoingOptions;
  readonly #units = new ContinuedUnits();

  constructor(options: OutgoingOptions) {
    this.#options = options;
  }

  /** A new op, in the unit as which its own goes on. */
  continued(op: PendingOp): PendingOp {
    return this.#units.continued(op);
  }

  /** The next entries to send, at most `maxOps`, durable and frozen. */
  async next(maxOps: number): Promise<readonly Entry[]> {
    const { queue, mayChange, isClosed } = this.#options;
    const plan = planBatch(this.#sendable(), maxOps, mayChange());
    freeze(plan.entries);
    if (plan.merges.length === 0) return plan.entries;
    if (await this.#change(plan.merges)) return plan.entries.filter((entry) => queue.has(entry));
    if (isClosed()) return [];
    // Nobody knows which of them is stored: the same ops once more, each by itself.
    for (const { into, absorbed } of plan.merges) freeze([into, ...absorbed]);
    const { entries } = planBatch(this.#sendable(), maxOps, false);
    freeze(entries);
    return entries;
  }

  /** Moves what the server has refused, because its unit is closed, into a unit of its own. */
  async moveOn(closed: ReadonlySet<Entry>): Promise<void> {
    const { queue, mayChange, isClosed } = this.#options;
    const moves = this.#units.move(queue.entries, closed);
    const changes = moves.map(({ entry, op }) => ({
      into: entry,
      op,
      body: JSON.stringify(op),
      absorbed: [],
    }));
    // Where that fails they go on in memory, as everything does then.
    await this.#change(changes, true);
    if (isClosed()) return;
    for (const entry of closed) entry.sent = mayChange() ? "never" : "maybe";
  }

  /** What may be sent by this tab, in order. */
  *#sendable(): Iterable<Entry> {
    for (const entry of this.#options.queue.entries) {
      if (this.#options.isPartial(entry)) return;
      if (entry.state === "memory") yield entry;
      else if (entry.state !== "stored") return;
      else if (this.#options.isLeading()) yield entry;
      // The leader sends it; what follows may depend on it.
      else if (entry.mine) return;
    }
  }

  /** Stores changes and takes them over, in one go; with `inAnyCase` also where they could not be stored. */
  async #change(changes: readonly Change[], inAnyCase = false): Promise<boolean> {
    const touched = changes.flatMap(({ into, absorbed }) => [into, ...absorbed]);
    for (const entry of touched) entry.changing = true;
    const isStored = await this.#options.journal.rewrite(changes);
    for (const entry of touched) {
      entry.changing = false;
      // What the storage holds of it is not to be gone by any more.
      if (!isStored) entry.state = "memory";
    }
    if (this.#options.isClosed()) return false;
    if (isStored || inAnyCase) this.#take(changes);
    return isStored;
  }

  /** The changes are stored: the queue has them from now on, and whoever listens is told. */
  #take(changes: readonly Change[]): void {
    const { queue, journal, settled, events } = this.#options;
    const gone: Entry[] = changes.flatMap(({ absorbed }) => absorbed);
    const ids = gone.map(({ op }) => op.op_id);
    queue.remove(gone);
    for (const { id } of gone) settled.add(id);
    for (const { into, op, body } of changes) {
      if (!queue.has(into)) {
        // Meanwhile it was seen in the log, and is in the storage once more.
        void journal.remove([into]);
        continue;
      }
      const before = into.op.op_id;
      const isNew = before !== op.op_id;
      if (isNew) {
        settled.add(into.id);
        ids.push(before);
      }
      queue.replace(into, op, body);
      // Before the old one is removed, so that it is never missing in what is seen.
      if (isNew) events.added(op);
      else events.amended(op);
    }
    if (ids.length > 0) events.removed(ids);
    if (changes.length > 0) this.#options.changed();
  }
}

/** They are sent now, if not before. */
function freeze(entries: readonly Entry[]): void {
  for (const entry of entries) if (entry.sent === "never") entry.sent = "now";
}
