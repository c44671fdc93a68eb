// The outbox of one drawing: every op made here stays in it until the server has it, or has refused it.
//
// Owns the rules: what is merged, when an op is stored, which ops are sent, and what an answer means for them. It knows
// nothing of the canvas, and never changes an op that may have been sent.

import { closedError, RevcastError } from "../errors.js";
import { drawingPath, type Http } from "../http.js";
import { MAX_PENDING_BYTES, MAX_PENDING_OPS } from "../limits.js";
import type { MadeOp, PendingOp, Point } from "../ops.js";
import type { Lineage } from "../protocol.js";
import { Acks } from "./acks.js";
import { byteLength, isToggle, unitOf } from "./coalesce.js";
import { Intake } from "./intake.js";
import { Journal } from "./journal.js";
import { type Leaving, leaveWith } from "./leave.js";
import { Lookout } from "./lookout.js";
import { Outcomes } from "./outcomes.js";
import { Outgoing } from "./outgoing.js";
import { Quarantine, type RejectedOp } from "./quarantine.js";
import { type Entry, Queue } from "./queue.js";
import { Reconciler, Settled } from "./reconcile.js";
import { type CommitAnswer, Sender } from "./sender.js";
import { Status, type SyncState } from "./status.js";
import type { Refusal } from "./store.js";
import { lockName, type TabMessage, Tabs } from "./tabs.js";
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
  readonly #outgoing: Outgoing;
  readonly #outcomes: Outcomes;
  readonly #acks: Acks;
  readonly #status: Status;
  readonly #reconciler: Reconciler;
  readonly #lookout: Lookout;
  readonly #leaving: Leaving = new Set();
  /** Whether this tab has begun to lead, and not yet seen what the one before has left. */
  #isCatchingUp = false;
  /** Whether nothing may be sent, or looked for in the storage, yet. */
  #isHeld = false;
  #closing: Promise<void> | undefined;

  constructor(options: OutboxOptions) {
    const { http, drawingId, events, scope, store, random, platform } = options;
    this.#http = http;
    this.#path = drawingPath(drawingId, "/ops");
    this.#events = events;
    this.#isShared = store.shared;
    this.#status = new Status({
      pendingCount: () => this.#queue.size,
      isLoaded: () => this.#reconciler.isLoaded,
      hasRejected: () => !this.#quarantine.isEmpty,
      isUnstored: () => this.#journal.isBroken,
      sync: events.sync.bind(events),
      error: (error) => this.#report(error),
    });
    this.#journal = new Journal({
      store,
      scope,
      random,
      held: () => this.#held(),
      unstored: () => this.#status.update(),
      failed: (error) => this.#report(error),
      restored: () => {
        this.#tabs.tell({ type: "added" });
        if (this.#isHeld) return;
        void this.#lookout.look("all");
      },
    });
    const parts = { queue: this.#queue, quarantine: this.#quarantine, settled: this.#settled };
    this.#reconciler = new Reconciler(parts, this.#journal, events);
    this.#lookout = new Lookout({
      reconciler: this.#reconciler,
      journal: this.#journal,
      isLeading: () => this.#tabs.isLeading,
      isWaiting: () => !this.#isHeld && this.#isShared && !this.#tabs.isLeading && this.#queue.size > 0,
      looked: () => {
        this.#status.update();
        this.#kick();
      },
    });
    this.#intake = new Intake({
      queue: this.#queue,
      journal: this.#journal,
      mayChange: () => this.#mayChange(),
      isStalled: () => this.#status.isStalled,
      amended: (op) => events.amended(op),
      stored: () => {
        this.#tabs.tell({ type: "added" });
        this.#kick();
        this.#lookout.lookAgain();
      },
    });
    const state = { ...parts, journal: this.#journal, events };
    const changed = () => this.#tabs.tell({ type: "changed" });
    this.#outgoing = new Outgoing({
      ...state,
      isLeading: () => this.#tabs.isLeading && !this.#isCatchingUp,
      mayChange: () => this.#mayChange(),
      isPartial: (entry) => this.#intake.isPartial(entry),
      isClosed: () => this.#closing !== undefined,
      changed,
    });
    this.#outcomes = new Outcomes({
      ...state,
      // After `close` nobody else hears of it.
      mayForget: () => this.#tabs.isLeading || this.#closing !== undefined,
      storeOpen: () => this.#intake.store(),
      changed,
    });
    this.#acks = new Acks({
      ...parts,
      outcomes: this.#outcomes,
      events,
      isLeading: () => this.#tabs.isLeading,
      isClosed: () => this.#closing !== undefined,
      tell: (message) => this.#tabs.tell(message),
    });
    this.#sender = new Sender({
      http,
      path: this.#path,
      random,
      next: (maxOps) => {
        this.#quarantineDependents();
        return this.#outgoing.next(maxOps);
      },
      isPending: (entry) => this.#queue.has(entry),
      epoch: () => this.#acks.epoch,
      isVoid: (answer) => this.#acks.isVoid(answer),
      outrun: () => {
        if (this.#closing === undefined) events.outrun();
      },
      succeeded: (answer) => this.#answered(answer),
      refused: (refused) => this.#refused(refused),
      attempted: (failure) => this.#attempted(failure),
    });
    this.#tabs = new Tabs({
      name: lockName(scope),
      platform: store.shared ? platform : { locks: undefined, BroadcastChannel: undefined },
      lead: () => this.#lead(),
      receive: (message) => this.#receive(message),
    });
  }

  /**
   * Loads what is stored, and joins the tabs. Ops may be added before it resolves. With `adopting`: once what stands before
   * them in the order of sending is in the storage. What is added meanwhile is stored, and sent after that.
   */
  async open(adopting?: Promise<unknown>): Promise<void> {
    if (adopting !== undefined) {
      this.#isHeld = true;
      await adopting;
      this.#isHeld = false;
      if (this.#closing !== undefined) return;
    }
    const looked = this.#lookout.look("all");
    this.#tabs.join();
    if (adopting !== undefined) this.#tabs.tell({ type: "changed" });
    await looked;
  }

  /** There is more in the storage than any tab can know. */
  refresh(): void {
    if (this.#closing !== undefined || this.#isHeld) return;
    this.#tabs.tell({ type: "changed" });
    void this.#lookout.look("all");
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

  /** The same as `addAll`, of one op. */
  add(op: PendingOp): void {
    this.addAll([{ op, body: JSON.stringify(op) }]);
  }

  /**
   * Takes in ops made here, all of them or none. An update may be merged into one that still waits, and is `amended` then.
   *
   * @throws {RevcastError} `outbox_full` when too much is pending, `closed` after `close`.
   */
  addAll(made: readonly MadeOp[]): void {
    this.#assertOpen();
    const isFirst = this.#queue.size === 0;
    const own = made.map((each) => this.#continued(each));
    const taking = this.#intake.unmerged(own.filter(({ op }) => !this.#isPending(op)));
    if (taking.length > 0) this.#assertRoom(taking);
    for (const { op, body } of own) {
      if (this.#isPending(op)) continue;
      if (op.type === "object.update" && this.#intake.merge(op)) continue;
      // It would have been too large with what waits.
      if (made.length === 1 && taking.length === 0) this.#assertRoom(own);
      const entry = this.#queue.push(op, body);
      this.#events.added(op);
      this.#intake.push(entry);
    }
    // Further ones change nothing of how it stands.
    if (isFirst && this.#queue.size > 0) this.#status.update();
  }

  #isPending({ op_id }: PendingOp): boolean {
    return this.#queue.get(op_id.toLowerCase()) !== undefined;
  }

  /** In the unit as which its own goes on. */
  #continued(made: MadeOp): MadeOp {
    const op = this.#outgoing.continued(made.op);
    return op === made.op ? made : { op, body: JSON.stringify(op) };
  }

  /** Adds points to the newest append of a stroke, if that still waits; else a new append with the next index is due. */
  extend(objectId: string, points: readonly Point[]): boolean {
    this.#assertOpen();
    return this.#intake.extend(objectId, points);
  }

  /** These were seen in the log of an epoch, in its order: as good as an answer. */
  confirmed(seen: readonly Ack[], epoch: string): void {
    if (this.#closing !== undefined) return;
    if (this.#acks.seen(seen, epoch)) this.#sender.settledElsewhere();
    this.#kick();
    this.#status.update();
  }

  /**
   * The log is this one from now on. What was acknowledged, and is not known to be in it, is posted again: by the tab that
   * sends. In others it is not seen until that is done.
   */
  moved(log: Lineage): void {
    if (this.#closing !== undefined || log.epoch === this.#acks.epoch) return;
    this.#acks.moved(log);
    this.#status.update();
    if (this.#reconciler.isLoaded) this.#sender.wake();
  }

  /** Resolves when nothing is pending, of the time before either; rejects with `closed` when it is closed before that. */
  flush(): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(closedError());
    const flushed = this.#status.flushed();
    this.#intake.close();
    this.#tryNow(() => this.#sender.wake());
    return flushed;
  }

  /** Forgets the rejected ops: all of them, or these, and what was rejected for them alone. */
  dismissRejected(opIds?: readonly string[]): void {
    if (this.#closing !== undefined || this.#quarantine.isEmpty) return;
    this.#outcomes.dismiss(opIds === undefined ? undefined : idsOf(opIds));
    this.#status.update();
  }

  /**
   * Rejected ops are pending once more: these, and what was rejected for them alone, at the places that they had. What
   * depends on an op that stays rejected stays so, too. Returns those that are pending.
   *
   * @throws {RevcastError} `outbox_full` when too much is pending, `closed` after `close`.
   */
  resend(opIds: readonly string[]): readonly PendingOp[] {
    this.#assertOpen();
    if (this.#quarantine.isEmpty) return [];
    this.#assertRoom();
    const entries = this.#outcomes.release(idsOf(opIds));
    if (entries.length === 0) return [];
    this.#status.update();
    void this.#journal.append(entries).then(() => {
      this.#tabs.tell({ type: "changed" });
      this.#kick();
      this.#lookout.lookAgain();
    });
    return entries.map(({ op }) => op);
  }

  /** The page is looked at again, or the network is back: tries now, whatever the backoff says. */
  wake(): void {
    this.#tryNow(() => this.#sender.restart());
  }

  #tryNow(send: () => void): void {
    if (this.#closing !== undefined) return;
    this.#status.update();
    void this.#journal.restore();
    if (this.#isHeld) return;
    if (this.#reconciler.isLoaded) send();
    if (!this.#tabs.isLeading) this.#tabs.tell({ type: "wake" });
    // A message may have been lost while the page slept.
    if (this.#isShared) void this.#lookout.look("all");
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
    this.#journal.leave(this.#queue.entries.filter(({ mine }) => mine));
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
    this.#lookout.close();
    this.#sender.close();
    this.#journal.close();
    this.#tabs.leave();
    this.#status.close();
    // Whoever sends next is to find all of it.
    await this.#journal.idle();
    this.#tabs.tell({ type: "added" });
    this.#tabs.close();
  }

  // --- Sending ----------------------------------------------------------------------------------

  /** Whether no other tab can be sending what is stored, so that this one knows what was never sent. */
  #mayChange(): boolean {
    return this.#tabs.isLeading && (this.#tabs.isExclusive || !this.#isShared);
  }

  /** What is held in memory alone, and is to be stored. Whoever sends then may be another tab. */
  #held(): readonly Entry[] {
    const held = this.#queue.entries.filter(({ state }) => state === "memory");
    if (!this.#mayChange()) for (const entry of held) entry.sent = "maybe";
    return held;
  }

  #kick(): void {
    if (this.#reconciler.isLoaded && this.#closing === undefined) this.#sender.kick();
  }

  #attempted(failure: RevcastError | undefined): void {
    this.#tabs.tell({ type: "attempted", failed: failure !== undefined });
    this.#status.attempted(failure);
  }

  #beacon(): void {
    if (this.#isHeld) return;
    const candidates = this.#queue.entries.filter((entry) => entry.mine || this.#tabs.isLeading);
    const post = (body: string) => this.#http.beacon<unknown>(this.#path, body);
    const sent = leaveWith(candidates, this.#leaving, this.#acks.epoch, post);
    void sent?.then((answer) => {
      if (answer !== undefined) this.#answered(answer);
    });
  }

  // --- Outcomes ---------------------------------------------------------------------------------

  #answered(answer: CommitAnswer): void {
    this.#acks.answered(answer);
    if (this.#closing === undefined) this.#status.update();
  }

  /** What the server has refused is rejected, unless that is for its unit alone. */
  async #refused(refused: ReadonlyMap<Entry, Refusal>): Promise<void> {
    const closed = new Set<Entry>();
    const others = new Map<Entry, Refusal>();
    for (const [entry, refusal] of refused) {
      if (refusal.code === "unit_closed" && isContinuable(entry)) closed.add(entry);
      else others.set(entry, refusal);
    }
    if (others.size > 0) this.#outcomes.reject(others);
    if (closed.size === 0) return;
    // What still waits may be of that unit too.
    this.#intake.store();
    await this.#outgoing.moveOn(closed);
    if (this.#closing !== undefined) return;
    this.#events.continued();
    this.#tabs.tell({ type: "continued" });
    this.#status.update();
  }

  /** Ops that were added after a refusal, and depend on what was refused. */
  #quarantineDependents(): void {
    if (this.#quarantine.isEmpty) return;
    if (!this.#tabs.isLeading && !this.#journal.hasFailed) return;
    this.#outcomes.reject();
    this.#status.update();
  }

  // --- Other tabs -------------------------------------------------------------------------------

  #lead(): void {
    if (this.#closing !== undefined) return;
    if (!this.#isShared) {
      this.#kick();
      return;
    }
    // The tab that led before may have settled and changed more than it could tell.
    this.#isCatchingUp = true;
    void this.#lookout.look("all").then(() => {
      this.#isCatchingUp = false;
      this.#acks.restore();
      this.#status.update();
      this.#kick();
    });
  }

  #receive(message: TabMessage): void {
    if (this.#closing !== undefined) return;
    switch (message.type) {
      case "added":
        void this.#lookout.look("new");
        break;
      case "changed":
        void this.#lookout.look("all");
        break;
      case "acknowledged":
        this.#acks.told(message.acks, message.head);
        break;
      case "continued":
        this.#events.continued();
        break;
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

  // --- What is told -----------------------------------------------------------------------------

  #report(error: RevcastError): void {
    if (this.#closing === undefined) this.#events.error(error);
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw closedError();
  }

  /** Whether all of these could be taken in, or anything at all. */
  #assertRoom(more: readonly MadeOp[] = []): void {
    // The last one may reach beyond.
    const bytes = more.slice(0, -1).reduce((sum, { body }) => sum + byteLength(body), this.#queue.bytes);
    const size = this.#queue.size + Math.max(1, more.length);
    if (size <= MAX_PENDING_OPS && bytes < MAX_PENDING_BYTES) return;
    throw new RevcastError("outbox_full", "too much is pending: wait until the server has taken some of it");
  }
}

function idsOf(opIds: readonly string[]): ReadonlySet<string> {
  return new Set(opIds.map((opId) => opId.toLowerCase()));
}

/** Whether an op is drawn in a unit that others have begun: only such a one can go on in another unit. */
function isContinuable({ id, op }: Entry): boolean {
  return !isToggle(op) && unitOf(op) !== id;
}
