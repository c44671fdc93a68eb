// What becomes of pending ops: they leave the queue, because they are in the log or because the server has refused them. What
// it has refused may come back.

import { v5 as uuid } from "uuid";
import type { PendingOp } from "../ops.js";
import { isToggle, unitOf } from "./coalesce.js";
import type { Journal } from "./journal.js";
import type { Held, Quarantine } from "./quarantine.js";
import type { Entry, Queue } from "./queue.js";
import type { Settled } from "./reconcile.js";
import type { Refusal } from "./store.js";
import type { OutboxEvents } from "./types.js";

export interface OutcomesOptions {
  readonly queue: Queue;
  readonly quarantine: Quarantine;
  readonly settled: Settled;
  readonly journal: Journal;
  readonly events: OutboxEvents;
  /** Whether it is for this tab to take out of the storage what is settled: one is enough for it. */
  mayForget(): boolean;
  /** Begins to store what still waits. */
  storeOpen(): void;
  /** What is stored is another now. */
  changed(): void;
}

export class Outcomes {
  readonly #options: OutcomesOptions;

  constructor(options: OutcomesOptions) {
    this.#options = options;
  }

  /** These are in the log: takes them out of the queue and out of the storage, and returns those that were pending. */
  settle(opIds: readonly string[]): readonly Entry[] {
    const { queue, settled, journal, mayForget } = this.#options;
    const gone: Entry[] = [];
    for (const opId of opIds) {
      const entry = queue.get(opId.toLowerCase());
      if (entry === undefined) continue;
      settled.add(entry.id);
      gone.push(entry);
    }
    if (gone.length === 0) return gone;
    queue.remove(gone);
    if (mayForget()) void journal.remove(gone);
    return gone;
  }

  /** These were refused, and go aside with what depends on them or on those of before. */
  reject(refused: ReadonlyMap<Entry, Refusal> = new Map()): void {
    const { queue, quarantine, settled, journal, events, storeOpen, changed } = this.#options;
    const { rejected, excess } = quarantine.take(queue.entries, refused);
    if (rejected.length === 0) return;
    // What still waits may depend on it too. Rejected ops are stored like others.
    if (rejected.some(({ entry }) => entry.state === "open")) storeOpen();
    queue.remove(rejected.map(({ entry }) => entry));
    // A late look into the storage does not bring them back.
    for (const { id } of excess) settled.add(id);
    const places = excess.map(({ place }) => place);
    void journal.reject(rejected, places).then(changed);
    events.rejected(rejected.map(({ held }) => held));
  }

  /**
   * These are in the log. Whoever lost a role is refused before anything else is looked at: an op of which no answer came
   * may have been committed before that, and so was not refused.
   */
  takeBack(opIds: readonly string[]): void {
    const { quarantine, journal, mayForget } = this.#options;
    if (quarantine.isEmpty) return;
    const logged = new Set(opIds.map((opId) => opId.toLowerCase()));
    const held = quarantine.held.filter(
      // In the log under its id is another op.
      ({ id, error }) => logged.has(id) && error.code !== "op_id_conflict",
    );
    if (held.length === 0) return;
    quarantine.dismiss(held);
    if (mayForget()) void journal.remove(held.map(({ place }) => place));
  }

  /**
   * What was rejected of these is pending once more, with what is aside for them alone, as far as it depends on nothing that
   * stays there. Returns what is to be stored so.
   */
  release(ids: ReadonlySet<string>): readonly Entry[] {
    const { queue, quarantine, settled, events } = this.#options;
    const released = quarantine.dismiss(quarantine.released(ids));
    const entries = released.map((held) => {
      // A refused op is in no log, so that its id is free; but this one is in it as another op.
      const op = held.error.code === "op_id_conflict" ? renamed(held) : held.op;
      settled.delete(op.op_id.toLowerCase());
      return queue.readmit(op, held.place);
    });
    for (const { op } of entries) events.added(op);
    return entries;
  }

  /** Forgets what was rejected: all of it, or these, and what is aside for them alone. */
  dismiss(ids?: ReadonlySet<string>): void {
    const { quarantine, settled, journal, changed } = this.#options;
    const dismissed = quarantine.dismiss(ids === undefined ? undefined : quarantine.discarded(ids));
    if (dismissed.length === 0) return;
    for (const held of dismissed) settled.add(held.id);
    void journal.remove(dismissed.map(({ place }) => place)).then(changed);
  }
}

/** The namespace of the ids under which ops go again whose own are taken. */
const RENAMED = "0d5a3f62-93d1-4c57-8a6e-5b7a3c0e91f4";

/** The op under another id, the same in every tab, and in the unit that it was in. */
function renamed({ id, op }: Held): PendingOp {
  const op_id = uuid(id, RENAMED);
  return { ...op, op_id, ...(isToggle(op) ? {} : { unit: unitOf(op) }) } as PendingOp;
}
