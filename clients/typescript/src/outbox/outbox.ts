// The outbox of one drawing: every op made here stays in it until the server has it, or has refused it.
//
// Owns the rules: what is merged, when an op is stored, which ops are sent, and what an answer means for them. It knows
// nothing of the canvas, and never changes an op that may have been sent.

import { closedError, RevcastError } from "../errors.js";
import { drawingPath, type Http } from "../http.js";
import { LOOK_AGAIN, MAX_PENDING_BYTES, MAX_PENDING_OPS } from "../limits.js";
import type { PendingOp, Point } from "../ops.js";
import { planBatch } from "./batch.js";
import { Intake } from "./intake.js";
import { Journal } from "./journal.js";
import { type Leaving, leaveWith } from "./leave.js";
import { Quarantine, type RejectedOp } from "./quarantine.js";
import { type Entry, Queue } from "./queue.js";
import { Reconciler, Settled } from "./reconcile.js";
import { type CommitAnswer, Sender } from "./sender.js";
import { Status, type SyncState } from "./status.js";
import type { Refusal } from "./store.js";
import { type TabMessage, Tabs } from "./tabs.js";
import type { Ack, OutboxEvents, OutboxOptions } from "./types.js";

export class Outbox {
  readonly #http: Http;
  readonly #path: string;
  readonly #events: OutboxEvents;
  readonly #queue = new Queue();
  readonly #quarantine = new Quarantine();
  readonly #settled = new Settled();
  readonly #journal: Journal;
  readonly #sender: Sender;
  readonly #tabs: Tabs;
  readonly #isShared: boolean;
  readonly #intake: Intake;
  readonly #status: Status;
  readonly #reconciler: Reconciler;
  /** Until this tab looks again, without having been told to. */
  #again: ReturnType<typeof setTimeout> | undefined;
  readonly #leaving: Leaving = new Set();
  #closing: Promise<void> | undefined;

  constructor(options: OutboxOptions) {
    const { http, drawingId, events, scope, store, random, platform } = options;
    this.#http = http;
    this.#path = drawingPath(drawingId, "/ops");
    this.#events = events;
    this.#isShared = store.shared;
    this.#status = new Status({
      pendingCount: () => this.#queue.size,
      hasRejected: () => !this.#quarantine.isEmpty,
      sync: events.sync.bind(events),
      error: (error) => this.#report(error),
    });
    this.#journal = new Journal(store, scope, (error) => this.#report(error));
    const parts = { queue: this.#queue, quarantine: this.#quarantine, settled: this.#settled };
    this.#reconciler = new Reconciler(parts, this.#journal, events);
    this.#intake = new Intake({
      queue: this.#queue,
      journal: this.#journal,
      // Where another tab or session may send an op, this one does not know whether it was sent.
      mayChange: () => this.#mayMerge(),
      amended: (op) => events.amended(op),
      stored: () => {
        this.#tabs.tell({ type: "added" });
        this.#kick();
        this.#lookAgain();
      },
    });
    this.#sender = new Sender({
      http,
      path: this.#path,
      random,
      next: (maxOps) => this.#next(maxOps),
      isPending: (entry) => this.#queue.has(entry),
      succeeded: (answer) => this.#acknowledge(answer),
      refused: (refused) => this.#refuse(refused),
      attempted: (failure) => this.#attempted(failure),
    });
    this.#tabs = new Tabs({
      name: `revcast:${scope}`,
      platform: store.shared ? platform : { locks: undefined, BroadcastChannel: undefined },
      lead: () => this.#lead(),
      receive: (message) => this.#receive(message),
    });
  }

  /** Loads what is stored, and joins the tabs. Ops may be added before it resolves. */
  async open(): Promise<void> {
    const looked = this.#look("all");
    this.#tabs.join();
    await looked;
  }

  get pendingCount(): number {
    return this.#queue.size;
  }

  /** The pending ops in the order in which they are sent. Those of other tabs stand among one's own. */
  get pending(): readonly PendingOp[] {
    return this.#queue.entries.map((entry) => entry.op);
  }

  get sync(): SyncState {
    return this.#status.sync;
  }

  /** Oldest first; the same array as before when nothing changed. */
  get rejected(): readonly RejectedOp[] {
    return this.#quarantine.list;
  }

  /**
   * Takes in an op made here. An update may be merged into one that still waits, and is `amended` then.
   *
   * @throws {RevcastError} `outbox_full` when too much is pending, `closed` after `close`.
   */
  add(op: PendingOp): void {
    this.#assertOpen();
    if (this.#queue.get(op.op_id.toLowerCase()) !== undefined) return;
    if (op.type === "object.update" && this.#intake.merge(op)) return;
    if (this.#queue.size >= MAX_PENDING_OPS || this.#queue.bytes >= MAX_PENDING_BYTES) {
      throw new RevcastError(
        "outbox_full",
        "too much is pending: wait until the server has taken some of it",
      );
    }
    const entry = this.#queue.push(op);
    this.#events.added(op);
    this.#intake.push(entry);
    this.#status.update();
  }

  /** Adds points to the newest append of a stroke, if that still waits; else a new append with the next index is due. */
  extend(objectId: string, points: readonly Point[]): boolean {
    this.#assertOpen();
    return this.#intake.extend(objectId, points);
  }

  /** These were seen in the log of an epoch, in its order: as good as an answer. */
  confirmed(seen: readonly Ack[], epoch: string): void {
    if (this.#closing !== undefined) return;
    const opIds = seen.map(({ op_id }) => op_id);
    // Also those that are not pending here, or not yet: the storage may still hold them.
    for (const opId of opIds) this.#settled.add(opId.toLowerCase());
    this.#takeBack(opIds);
    const gone = this.#settle(opIds);
    if (gone.length > 0) {
      this.#sender.settledElsewhere();
      // They vanish from the storage, and are not to be taken for removed.
      if (this.#tabs.isLeading) {
        const head = { epoch, revision: seen.at(-1)?.revision ?? 0 };
        this.#tabs.tell({ type: "acknowledged", acks: acksOf(gone, seen), head });
      }
    }
    this.#kick();
    this.#status.update();
  }

  /** Resolves when nothing is pending; rejects with `closed` when it is closed before that. */
  flush(): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(closedError());
    const flushed = this.#status.flushed();
    this.#intake.close();
    this.#tryNow(() => this.#sender.wake());
    return flushed;
  }

  /** Forgets the rejected ops. */
  dismissRejected(): void {
    if (this.#closing !== undefined || this.#quarantine.isEmpty) return;
    const dismissed = this.#quarantine.dismiss();
    for (const held of dismissed) this.#settled.add(held.id);
    void this.#journal
      .remove(dismissed.map(({ place }) => place))
      .then(() => this.#tabs.tell({ type: "changed" }));
    this.#status.update();
  }

  /** The page is looked at again, or the network is back: tries now, whatever the backoff says. */
  wake(): void {
    this.#tryNow(() => this.#sender.restart());
  }

  #tryNow(send: () => void): void {
    if (this.#closing !== undefined) return;
    this.#status.update();
    if (this.#reconciler.isLoaded) send();
    if (!this.#tabs.isLeading) this.#tabs.tell({ type: "wake" });
    // A message may have been lost while the page slept.
    if (this.#isShared) void this.#look("all");
  }

  /** The network is said to be gone. */
  offline(): void {
    if (this.#closing === undefined) this.#status.update();
  }

  /**
   * The page may be gone after this task: begins to store what still waits, and sends what is unsent in a request that
   * outlives the page. Should both arrive, nothing is done twice.
   */
  leave(): void {
    if (this.#closing !== undefined) return;
    this.#intake.store();
    this.#beacon();
  }

  /** Final, after a `leave`. What is unsent stays in the storage. */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.leave();
      this.#closing = this.#close();
    }
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#again);
    this.#sender.close();
    this.#tabs.leave();
    this.#status.close();
    // Whoever sends next is to find all of it.
    await this.#journal.idle();
    this.#tabs.tell({ type: "added" });
    this.#tabs.close();
  }

  // --- Sending ----------------------------------------------------------------------------------

  #mayMerge(): boolean {
    return this.#tabs.isLeading && (this.#tabs.isExclusive || !this.#isShared);
  }

  #kick(): void {
    if (this.#reconciler.isLoaded && this.#closing === undefined) this.#sender.kick();
  }

  /** What may be sent by this tab, in order. */
  *#sendable(): Iterable<Entry> {
    for (const entry of this.#queue.entries) {
      if (entry.state === "memory") yield entry;
      else if (entry.state !== "stored") return;
      else if (this.#tabs.isLeading) yield entry;
      // The leader sends it; what follows may depend on it.
      else if (entry.mine) return;
    }
  }

  async #next(maxOps: number): Promise<readonly Entry[]> {
    this.#quarantineDependents();
    const { entries, merges } = planBatch(this.#sendable(), maxOps, this.#mayMerge());
    for (const entry of entries) entry.frozen = true;
    if (merges.length === 0) return entries;
    const touched = merges.flatMap(({ into, absorbed }) => [into, ...absorbed]);
    for (const entry of touched) {
      entry.frozen = true;
      entry.merging = true;
    }
    const isStored = await this.#journal.rewrite(merges);
    for (const entry of touched) entry.merging = false;
    if (this.#closing !== undefined) return [];
    // Now all is frozen: the same ops once more, each by itself.
    if (!isStored) return planBatch(this.#sendable(), maxOps, false).entries;
    this.#queue.remove(merges.flatMap(({ absorbed }) => absorbed));
    for (const { into, op, body, absorbed } of merges) {
      this.#queue.replace(into, op, body);
      for (const { id } of absorbed) this.#settled.add(id);
      this.#events.amended(op);
    }
    this.#events.removed(merges.flatMap(({ absorbed }) => absorbed.map((entry) => entry.op.op_id)));
    this.#tabs.tell({ type: "changed" });
    return entries;
  }

  #attempted(failure: RevcastError | undefined): void {
    this.#tabs.tell({ type: "attempted", failed: failure !== undefined });
    this.#status.attempted(failure);
  }

  #beacon(): void {
    const candidates = this.#queue.entries.filter((entry) => entry.mine || this.#tabs.isLeading);
    const sent = leaveWith(candidates, this.#leaving, (body) => this.#http.beacon<unknown>(this.#path, body));
    void sent?.then((answer) => {
      if (answer !== undefined) this.#acknowledge(answer);
    });
  }

  // --- Outcomes ---------------------------------------------------------------------------------

  #acknowledge(answer: CommitAnswer): void {
    const head = { epoch: answer.epoch, revision: answer.latest_revision };
    const settled = this.#settle(answer.results.map(({ op_id }) => op_id));
    // The page has lived on after `close`: the storage is told, nobody else.
    if (this.#closing !== undefined) return;
    const acks = acksOf(settled, answer.results);
    this.#events.acknowledged(acks, head);
    if (acks.length > 0) this.#tabs.tell({ type: "acknowledged", acks, head });
    this.#status.update();
  }

  /** Takes ops that are in the log out of the queue, and out of the storage. */
  #settle(opIds: readonly string[]): readonly Entry[] {
    const gone: Entry[] = [];
    for (const opId of opIds) {
      const entry = this.#queue.get(opId.toLowerCase());
      if (entry === undefined) continue;
      this.#settled.add(entry.id);
      gone.push(entry);
    }
    if (gone.length === 0) return gone;
    this.#queue.remove(gone);
    // One tab is enough for it; and after `close` nobody else hears of it.
    if (this.#tabs.isLeading || this.#closing !== undefined) void this.#journal.remove(gone);
    return gone;
  }

  #refuse(refused: ReadonlyMap<Entry, Refusal>): void {
    const { rejected, excess } = this.#quarantine.take(this.#queue.entries, refused);
    if (rejected.length === 0) return;
    // What still waits may depend on it too. Rejected ops are stored like others.
    if (rejected.some(({ entry }) => entry.state === "open")) this.#intake.store();
    this.#queue.remove(rejected.map(({ entry }) => entry));
    void this.#journal.reject(rejected, excess).then(() => this.#tabs.tell({ type: "changed" }));
    this.#events.rejected(rejected.map(({ held }) => held));
    this.#status.update();
  }

  /**
   * Whoever lost a role is refused before anything else is looked at: an op of which no answer came may have been
   * committed before that, and so was not refused.
   */
  #takeBack(opIds: readonly string[]): void {
    if (this.#quarantine.isEmpty) return;
    const logged = new Set(opIds.map((opId) => opId.toLowerCase()));
    const held = this.#quarantine.held.filter(
      // In the log under its id is another op.
      ({ id, error }) => logged.has(id) && error.code !== "op_id_conflict",
    );
    if (held.length === 0) return;
    this.#quarantine.dismiss(held);
    if (this.#tabs.isLeading) void this.#journal.remove(held.map(({ place }) => place));
  }

  /** Ops that were added after a refusal, and depend on what was refused. */
  #quarantineDependents(): void {
    if (this.#quarantine.isEmpty) return;
    if (this.#tabs.isLeading || this.#journal.hasFailed) this.#refuse(new Map());
  }

  // --- Other tabs -------------------------------------------------------------------------------

  #lead(): void {
    if (this.#closing !== undefined) return;
    // The tab that led before may have settled more than it could tell.
    if (this.#isShared && this.#reconciler.isLoaded) void this.#look("all");
    else this.#kick();
  }

  #receive(message: TabMessage): void {
    if (this.#closing !== undefined) return;
    switch (message.type) {
      case "added":
        void this.#look("new");
        break;
      case "changed":
        void this.#look("all");
        break;
      case "acknowledged": {
        for (const { op_id } of message.acks) this.#settled.add(op_id.toLowerCase());
        this.#settle(message.acks.map(({ op_id }) => op_id));
        this.#events.acknowledged(message.acks, message.head);
        break;
      }
      case "attempted":
        if (!this.#tabs.isLeading) this.#status.attemptedElsewhere(message.failed);
        break;
      case "wake":
        if (this.#tabs.isLeading) this.#sender.wake();
        break;
    }
    this.#status.update();
    // What is in memory here may have waited for it.
    this.#kick();
  }

  /** Looks into the storage: all of it, or what is new in it. */
  async #look(extent: "all" | "new"): Promise<void> {
    const leftovers = await this.#reconciler.look(extent, () => this.#closing !== undefined);
    if (leftovers === undefined) return;
    if (leftovers.length > 0 && this.#tabs.isLeading) void this.#journal.change({ remove: leftovers });
    this.#status.update();
    this.#kick();
    this.#lookAgain();
  }

  /** What this tab waits for, others do. Whoever has done it may have gone before it could tell. */
  #lookAgain(): void {
    const isWaiting = this.#isShared && !this.#tabs.isLeading && this.#queue.size > 0;
    if (!isWaiting || this.#again !== undefined || this.#closing !== undefined) return;
    this.#again = setTimeout(() => {
      this.#again = undefined;
      void this.#look("all");
    }, LOOK_AGAIN);
  }

  // --- What is told -----------------------------------------------------------------------------

  #report(error: RevcastError): void {
    if (this.#closing === undefined) this.#events.error(error);
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw closedError();
  }
}

/** Where these entries are in the log, by what was told of it. */
function acksOf(entries: readonly Entry[], told: readonly Ack[]): Ack[] {
  const ids = new Set(entries.map(({ id }) => id));
  return told
    .filter(({ op_id }) => ids.has(op_id.toLowerCase()))
    .map(({ op_id, revision }) => ({ op_id, revision }));
}
