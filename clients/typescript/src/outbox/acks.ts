// What follows from an acknowledgement, whoever tells of it: the op leaves the queue. Where the log goes on without it, it
// comes back.

import type { Lineage, Position } from "../protocol.js";
import type { Outcomes } from "./outcomes.js";
import type { Quarantine } from "./quarantine.js";
import type { Entry, Queue } from "./queue.js";
import { Receipts } from "./receipts.js";
import type { Settled } from "./reconcile.js";
import type { CommitAnswer } from "./sender.js";
import type { TabMessage } from "./tabs.js";
import type { Ack, OutboxEvents } from "./types.js";

export interface AcksOptions {
  readonly queue: Queue;
  readonly quarantine: Quarantine;
  readonly settled: Settled;
  readonly outcomes: Outcomes;
  readonly events: OutboxEvents;
  /** Whether this is the tab that sends. */
  isLeading(): boolean;
  isClosed(): boolean;
  /** Tells the other tabs. */
  tell(message: TabMessage): void;
}

export class Acks {
  readonly #options: AcksOptions;
  readonly #receipts = new Receipts();

  constructor(options: AcksOptions) {
    this.#options = options;
  }

  /** The epoch of the log, as far as it is known. */
  get epoch(): string | undefined {
    return this.#receipts.epoch;
  }

  /** Whether an answer is of a log that is over, and so is none. */
  isVoid({ results, epoch }: CommitAnswer): boolean {
    return this.#receipts.areVoid(results, epoch);
  }

  /** The server has answered. */
  answered(answer: CommitAnswer): void {
    const { outcomes, events, tell, isClosed } = this.#options;
    if (this.isVoid(answer)) return;
    const { epoch, results } = answer;
    const settled = outcomes.settle(results.map(({ op_id }) => op_id));
    // The page has lived on after `close`: the storage is told, nobody else.
    if (isClosed()) return;
    this.#receipts.keep(settled, results, epoch);
    const acks = acksOf(settled, results);
    const head = { epoch, revision: answer.latest_revision };
    events.acknowledged(acks, head);
    if (acks.length > 0) tell({ type: "acknowledged", acks, head });
  }

  /** The tab that sends has told of an answer. */
  told(acks: readonly Ack[], head: Position): void {
    const { settled, outcomes, events } = this.#options;
    if (this.#receipts.areVoid(acks, head.epoch)) return;
    for (const { op_id } of acks) settled.add(op_id.toLowerCase());
    this.#receipts.found(acks, head.epoch);
    const gone = outcomes.settle(acks.map(({ op_id }) => op_id));
    this.#receipts.keep(gone, acks, head.epoch);
    events.acknowledged(acks, head);
  }

  /** These were seen in the log of an epoch, in its order. Returns whether any of them was pending. */
  seen(seen: readonly Ack[], epoch: string): boolean {
    const { settled, outcomes, isLeading, tell } = this.#options;
    const opIds = seen.map(({ op_id }) => op_id);
    // Also those that are not pending here, or not yet: the storage may still hold them.
    for (const opId of opIds) settled.add(opId.toLowerCase());
    outcomes.takeBack(opIds);
    this.#receipts.found(seen, epoch);
    const gone = outcomes.settle(opIds);
    if (gone.length === 0) return false;
    this.#receipts.keep(gone, seen, epoch);
    // They vanish from the storage, and are not to be taken for removed.
    if (isLeading()) {
      const head = { epoch, revision: seen.at(-1)?.revision ?? 0 };
      tell({ type: "acknowledged", acks: acksOf(gone, seen), head });
    }
    return true;
  }

  /** The log is this one from now on. What was acknowledged, and is not known to be in it, is pending again. */
  moved(log: Lineage): void {
    const { settled, events, isLeading } = this.#options;
    const revoked = this.#receipts.revoke(log);
    if (revoked.length > 0) {
      for (const { op } of revoked) settled.delete(op.op_id.toLowerCase());
      events.revoked(revoked.map(({ op }) => op.op_id));
    }
    if (isLeading()) this.restore();
  }

  /** What was revoked, and has come back in no other way, is pending again. For the tab that sends alone. */
  restore(): void {
    const { queue, quarantine, settled, events, isClosed } = this.#options;
    if (isClosed()) return;
    // The tab that led before may have stored it, or may have been refused it.
    const lost = this.#receipts.takeRevoked().filter(({ op }) => {
      const id = op.op_id.toLowerCase();
      return queue.get(id) === undefined && quarantine.get(id) === undefined && !settled.has(id);
    });
    if (lost.length === 0) return;
    queue.restore(lost);
    for (const { op } of lost) events.added(op);
  }
}

/** Where these entries are in the log, by what was told of it. */
function acksOf(entries: readonly Entry[], told: readonly Ack[]): Ack[] {
  const ids = new Set(entries.map(({ id }) => id));
  return told
    .filter(({ op_id }) => ids.has(op_id.toLowerCase()))
    .map(({ op_id, revision }) => ({ op_id, revision }));
}
