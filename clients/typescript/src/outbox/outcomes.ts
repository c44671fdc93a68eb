// What becomes of pending ops: they leave the queue, because they are in the log or because the server has refused them.

import type { Journal } from "./journal.js";
import type { Quarantine } from "./quarantine.js";
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
    const { queue, quarantine, journal, events, storeOpen, changed } = this.#options;
    const { rejected, excess } = quarantine.take(queue.entries, refused);
    if (rejected.length === 0) return;
    // What still waits may depend on it too. Rejected ops are stored like others.
    if (rejected.some(({ entry }) => entry.state === "open")) storeOpen();
    queue.remove(rejected.map(({ entry }) => entry));
    void journal.reject(rejected, excess).then(changed);
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

  /** Forgets what was rejected. */
  dismiss(): void {
    const { quarantine, settled, journal, changed } = this.#options;
    const dismissed = quarantine.dismiss();
    for (const held of dismissed) settled.add(held.id);
    void journal.remove(dismissed.map(({ place }) => place)).then(changed);
  }
}
