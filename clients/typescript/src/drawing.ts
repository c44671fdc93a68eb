// One drawing: what is seen of it, and what its user does to it.
//
// It joins the parts and owns none of their work: the feed reads, the writer writes, the draft is the picture.

import type { CanvasCache } from "./cache/cache.js";
import type { Draft } from "./canvas/draft.js";
import type { Scope } from "./canvas/history.js";
import type { View } from "./canvas/render.js";
import { outdatedError, RevcastError } from "./errors.js";
import { NO_ATTEMPTS } from "./feed/connector.js";
import { Feed } from "./feed/feed.js";
import { drawingPath, type Http } from "./http.js";
import { asJson } from "./json.js";
import { CACHE_WAIT } from "./limits.js";
import { madeOf } from "./made.js";
import { Observed } from "./observed.js";
import type { NewOp, PendingOp, Point } from "./ops.js";
import type { RejectedOp } from "./outbox/quarantine.js";
import type { SyncState } from "./outbox/status.js";
import type { OutboxStore } from "./outbox/store.js";
import { watchPage } from "./page.js";
import { Picture } from "./picture.js";
import { Presence } from "./presence.js";
import { lineageOf } from "./protocol.js";
import { Writer } from "./writer.js";

/** Whose units an undo looks at: the user's own, or everybody's. */
export type UndoScope = "mine" | "all";

export interface DrawingOptions {
  readonly http: Http;
  readonly store: OutboxStore;
  readonly cache: CanvasCache | undefined;
  readonly WebSocket: typeof globalThis.WebSocket | undefined;
  /** Called as it begins to be followed. */
  readonly onStarted: () => void;
  /** Called as it is closed, with what it still has to store. */
  readonly onClosed: (stored: Promise<void>) => void;
}

/** What is seen at a revision of the past. */
export interface Snapshot {
  readonly revision: number;
  readonly view: View;
}

export class Drawing extends Observed {
  readonly presence: Presence;
  readonly #options: DrawingOptions;
  readonly #picture: Picture;
  readonly #feed: Feed;
  readonly #writer: Writer;
  #unwatchPage = (): void => {};
  #isStarted = false;
  /** Until then the feed waits for what was kept. */
  #waiting: ReturnType<typeof setTimeout> | undefined;
  #closing: Promise<void> | undefined;
  /** Whether an op is being made here: others come from other tabs, or from the last time. */
  #isEditing = false;
  /** Whether that has changed anything. */
  #hasEdited = false;
  #isArranging = false;

  #userId: string | undefined;

  /** Does nothing before `start`. */
  constructor(
    readonly id: string,
    options: DrawingOptions,
  ) {
    super();
    this.#options = options;
    this.#picture = new Picture({
      cache: options.cache,
      position: () => this.#feed.position,
      mayKeep: () => this.role !== null,
      failed: (error) => this.failed.emit(error),
    });
    this.#feed = this.#makeFeed();
    this.#writer = this.#makeWriter();
    this.presence = new Presence((state) => this.#feed.present(state));
  }

  /** Begins to follow it, where `open` was told not to; nothing is asked of the server, stored or sent before. */
  start(): void {
    if (this.#isStarted || this.#closing !== undefined) return;
    this.#isStarted = true;
    this.#options.onStarted();
    // Whoever was told may have closed it.
    if (this.#closing !== undefined) return;
    this.#unwatchPage = watchPage({
      wake: () => this.resume(),
      leave: () => this.suspend(),
      offline: () => {
        this.#feed.offline();
        this.#writer.offline();
      },
    });
    this.#writer.open();
    if (this.#options.cache === undefined) this.#feed.start();
    else this.#waiting = setTimeout(() => this.#feed.start(), CACHE_WAIT);
  }

  // What is seen.

  get #draft(): Draft {
    return this.#picture.draft;
  }

  /**
   * What is seen: the confirmed state with what is pending on top. It, and each object in it that did not change, is the
   * same JavaScript object as before.
   */
  view(): View {
    return this.#draft.view();
  }

  /** Whether a state of the server is there: loaded, or kept from the last time. */
  get loaded(): boolean {
    return this.#picture.isLoaded;
  }

  /** The revision of the confirmed state. */
  get revision(): number {
    return this.#draft.confirmed.revision;
  }

  /** The epoch of that revision; `undefined` before the first state. */
  get epoch(): string | undefined {
    return this.#feed.position?.epoch;
  }

  /** The hash of the confirmed state: all readers of a revision have the same. */
  stateHash(): string {
    return this.#draft.confirmed.stateHash();
  }

  /** The `sub` of the token; `undefined` until there was one. */
  get userId(): string | undefined {
    return this.#userId;
  }

  /** What was seen at a revision, or at a time in milliseconds since 1970. */
  async snapshotAt(at: { revision?: number; time?: number }): Promise<Snapshot> {
    const query = new URLSearchParams({ view: "only" });
    if (at.revision !== undefined) query.set("at", String(at.revision));
    if (at.time !== undefined) query.set("at_time", String(at.time));
    if (this.epoch !== undefined) query.set("epoch", this.epoch);
    const path = drawingPath(this.id, `/snapshot?${query}`);
    const { revision, view } = await this.#options.http.json<Snapshot>("GET", path);
    return { revision, view };
  }

  // Edits: seen at once, stored, sent, and never lost.

  /**
   * Makes ops and returns their ids: all of them, or none where it throws. Listeners are told once. The first op of a unit
   * that `newUnit` gave has the id of the unit.
   *
   * @throws {RevcastError} `forbidden` when the role is known not to allow it, `closed` after `close()`,
   * `client_outdated` when the server is too new for this version.
   * `outbox_full` when too much is pending.
   * @throws {TypeError} when one cannot be told as JSON, where `op_id` or `unit` is no string, or a list no array.
   */
  override editAll(ops: readonly NewOp[]): readonly string[] {
    for (const type of new Set(ops.map((op) => op.type))) this.#assertAllowed(type);
    const named = this.name(ops);
    this.#editing(() => {
      try {
        this.#writer.add(madeOf(named));
      } catch (error) {
        // Should some have been taken after all, they have begun their units.
        if (!this.#hasEdited) this.unname(named);
        throw error;
      }
    });
    return named.map(({ op_id }) => op_id);
  }

  /** Hides the unit that began last; false when there is nothing to undo. */
  undo(scope: UndoScope = "mine"): boolean {
    return this.#toggle("undo", this.#historyOf(scope).undoUnit);
  }

  /** Shows the unit again that was undone last; false when there is nothing to redo. */
  redo(scope: UndoScope = "mine"): boolean {
    return this.#toggle("redo", this.#historyOf(scope).redoUnit);
  }

  history(scope: UndoScope = "mine"): { readonly canUndo: boolean; readonly canRedo: boolean } {
    const { undoUnit, redoUnit } = this.#historyOf(scope);
    return { canUndo: undoUnit !== null, canRedo: redoUnit !== null };
  }

  /**
   * The revision up to which nothing can be undone or redone any more, by nobody: the undo units that began there were
   * folded. 0 where nothing was.
   */
  get undoFloor(): number {
    return this.#picture.undoFloor;
  }

  // How it stands.

  get sync(): SyncState {
    return this.#writer.sync;
  }

  /** Ops that the server is not known to have. */
  get pendingCount(): number {
    return this.#writer.pendingCount;
  }

  /** Ops that the server refused, with what depends on them, until they are sent again or discarded. */
  get rejected(): readonly RejectedOp[] {
    return this.#writer.rejected;
  }

  /**
   * Sends rejected ops once more: these, and those that were rejected for them alone (`dependency_rejected`), in the order
   * in which they were made and under their ids. One that was refused as `op_id_conflict` gets another id. What depends on
   * an op that stays rejected stays so, too. Returns the ids of those that are pending now.
   *
   * @throws {RevcastError} `outbox_full` when too much is pending, `closed` after `close()`.
   */
  resend(opIds: readonly string[]): readonly string[] {
    return this.#writer.resend(opIds).map(({ op_id }) => op_id);
  }

  /** Forgets rejected ops: these, and those that were rejected for them alone. */
  discard(opIds: readonly string[]): void {
    this.#writer.dismissRejected(opIds);
    this.changed.emit();
  }

  /** Forgets all rejected ops. */
  dismissRejected(): void {
    this.#writer.dismissRejected();
    this.changed.emit();
  }

  /** Resolves once nothing is pending. */
  flush(): Promise<void> {
    return this.#writer.flush();
  }

  /**
   * The app may be frozen or ended at any time from now on, as when it goes to the background: begins within the task to
   * store what is unsent and to send it, and keeps the canvas. Nothing stops: what is followed stays so for as long as the
   * app runs. Pages do it by themselves when they are hidden.
   */
  suspend(): void {
    if (this.#closing !== undefined) return;
    this.#writer.leave();
    this.#picture.save();
  }

  /**
   * The app runs again, or the network is back: ends all pauses, makes sure that what is followed still is, and sends what
   * is pending. Pages do it by themselves when they are seen again or come online.
   */
  resume(): void {
    if (this.#closing !== undefined || !this.#isStarted) return;
    this.#feed.wake();
    this.#writer.wake();
  }

  /** Final at once. Resolves when what is unsent is stored, to be sent by another tab or the next time. */
  close(): Promise<void> {
    if (this.#closing !== undefined) return this.#closing;
    this.#unwatchPage();
    clearTimeout(this.#waiting);
    this.#closing = this.#writer.close();
    this.#picture.save();
    this.presence.close();
    this.#feed.close();
    this.tellAttempts(NO_ATTEMPTS);
    this.tellConnection("closed");
    this.silence();
    this.#options.onClosed(this.#closing);
    return this.#closing;
  }

  #makeFeed(): Feed {
    return new Feed({
      drawingId: this.id,
      http: this.#options.http,
      WebSocket: this.#options.WebSocket,
      events: {
        snapshot: (snapshot) => {
          this.#picture.reset(snapshot);
          this.#writer.moved(lineageOf(snapshot));
          this.changed.emit();
        },
        adopted: (log) => {
          this.#picture.adopt(log);
          this.#writer.moved(log);
          this.changed.emit();
        },
        ops: (ops, epoch) => {
          this.#picture.confirm(ops);
          this.#writer.confirmed(ops, epoch);
          this.committed.emit(ops);
          this.changed.emit();
        },
        presence: (change) => {
          if (change.kind === "roster") this.presence.roster(change.roster);
          else this.presence.diff(change.set, change.gone);
        },
        role: (role) => {
          if (role === null) this.#picture.forget();
          this.tellRole(role);
        },
        connection: (state) => this.tellConnection(state),
        attempts: (attempts) => this.tellAttempts(attempts),
        connectionId: (id) => this.presence.connected(id),
        latency: (milliseconds) => this.tellLatency(milliseconds),
        error: (error) => this.failed.emit(error),
      },
    });
  }

  #makeWriter(): Writer {
    return new Writer({
      drawingId: this.id,
      http: this.#options.http,
      store: this.#options.store,
      events: {
        user: (userId, scope) => {
          this.#userId = userId;
          this.#draft.identify(userId);
          this.presence.identify(userId);
          this.changed.emit();
          void this.#recall(scope);
        },
        added: (op) => this.#put(op),
        amended: (op) => this.#put(op),
        removed: (opIds) => {
          for (const opId of opIds) this.#draft.remove(opId);
          this.changed.emit();
        },
        acknowledged: (acks, head) => {
          const ops = acks.flatMap(({ op_id, revision }) => {
            const op = this.#draft.find(op_id);
            return op === undefined ? [] : { ...op, revision };
          });
          this.#picture.acknowledge(acks, head.epoch);
          this.#feed.expect(head);
          if (ops.length > 0) this.acknowledged.emit(ops);
          this.changed.emit();
        },
        revoked: (opIds) => {
          this.#picture.revoke(opIds);
          this.#arrange();
        },
        outrun: () => void this.#feed.catchUp(),
        continued: () => this.unitClosed.emit(),
        rejected: (rejected) => {
          for (const { op } of rejected) this.#draft.remove(op.op_id);
          this.changed.emit();
          this.refused.emit(rejected);
        },
        sync: (state) => this.syncChanged.emit(state),
        error: (error) => this.failed.emit(error),
      },
    });
  }

  /**
   * Tells of ops that were not made here just now, once all of them are known: there may be thousands. What other tabs
   * have stored may stand before what was made here.
   */
  #arrange(): void {
    if (this.#isArranging) return;
    this.#isArranging = true;
    queueMicrotask(() => {
      this.#isArranging = false;
      if (this.#closing !== undefined) return;
      this.#draft.arrange(this.#writer.pending);
      this.changed.emit();
    });
  }

  async #recall(scope: string): Promise<void> {
    const kept = await this.#picture.recall(scope);
    clearTimeout(this.#waiting);
    if (this.connection === "closed") return;
    if (kept !== undefined) {
      this.#writer.moved({ epoch: kept.epoch });
      this.changed.emit();
    }
    this.#feed.start(kept);
  }

  protected override extend(objectId: string, points: readonly Point[]): boolean {
    return this.#editing(() => this.#writer.extend(objectId, asJson(points)));
  }

  #editing<T>(edit: () => T): T {
    this.#isEditing = true;
    try {
      return edit();
    } finally {
      this.#isEditing = false;
      if (this.#hasEdited) {
        this.#hasEdited = false;
        this.changed.emit();
      }
    }
  }

  #put(op: PendingOp): void {
    this.#draft.put(op);
    if (this.#isEditing) this.#hasEdited = true;
    else this.#arrange();
  }

  #historyOf(scope: UndoScope) {
    const whose: Scope = scope === "all" ? "all" : { mine: this.#draft.actor };
    return this.#draft.history(whose);
  }

  #toggle(type: "undo" | "redo", unit: string | null): boolean {
    if (unit === null) return false;
    this.edit({ type, unit });
    return true;
  }

  protected override isAllowed(type: string): boolean {
    if (this.connection === "closed" || this.connection === "outdated") return false;
    if (this.role === "viewer" || this.role === null) return false;
    return this.role !== "editor" || !OWNERS_ONLY.has(type);
  }

  #assertAllowed(type: string): void {
    if (this.connection === "closed") throw new RevcastError("closed", "the drawing is closed");
    if (this.connection === "outdated") throw outdatedError("the picture is not that of the log any more");
    if (!this.isAllowed(type))
      throw new RevcastError("forbidden", `${type} is not for the role ${this.role}`);
  }
}

/** Ops that only an owner may make. That fog is theirs alone, too, the server sees to. */
const OWNERS_ONLY: ReadonlySet<string> = new Set(["canvas.set", "canvas.clear"]);
