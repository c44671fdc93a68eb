// The way of an edit: into the outbox of its user, and until it is known who that is, into memory.

import { backoff } from "./backoff.js";
import { asRevcastError, closedError, RevcastError } from "./errors.js";
import type { Http } from "./http.js";
import { MAX_EARLY_OPS, MAX_EARLY_POINTS } from "./limits.js";
import type { MadeOp, PendingOp, Point } from "./ops.js";
import { Adoption } from "./outbox/adoption.js";
import { Outbox } from "./outbox/outbox.js";
import type { RejectedOp } from "./outbox/quarantine.js";
import type { SyncState } from "./outbox/status.js";
import type { OutboxStore } from "./outbox/store.js";
import type { Ack, OutboxEvents } from "./outbox/types.js";
import type { Lineage } from "./protocol.js";
import { formerScopesOf, scopeOf, userOf } from "./scope.js";

export interface WriterEvents extends OutboxEvents {
  /**
   * Who the user is: the `sub` of the first token that could be had. Told once, before any op of the storage. `scope`
   * names what is kept on the device for this drawing.
   */
  user(userId: string, scope: string): void;
}

export interface WriterOptions {
  readonly drawingId: string;
  readonly http: Http;
  readonly store: OutboxStore;
  readonly events: WriterEvents;
}

interface Identity {
  readonly scope: string;
  readonly userId: string;
}

const NOTHING: readonly RejectedOp[] = [];

export class Writer {
  readonly #options: WriterOptions;
  #outbox: Outbox | undefined;
  /** Made before the user was known. */
  #early: PendingOp[] = [];
  /** What the reader has told of the log. */
  #log: Lineage | undefined;
  #flushes: { resolve(): void; reject(error: unknown): void }[] = [];
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The scope and the user, once they are known. */
  #asking: Promise<Identity> | undefined;
  #adoption: Adoption | undefined;
  #isClosed = false;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** Asks who the user is, until there is an answer, and opens the outbox. */
  open(): void {
    if (this.#outbox !== undefined || this.#asking !== undefined || this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#asking = this.#ask();
    this.#asking.then(
      (identity) => this.#opened(identity),
      (error: unknown) => this.#failed(error),
    );
  }

  /** In the order in which they are sent. */
  get pending(): readonly PendingOp[] {
    return this.#outbox?.pending ?? this.#early;
  }

  get sync(): SyncState {
    return this.#outbox?.sync ?? (this.#early.length === 0 ? "saved" : "saving");
  }

  get pendingCount(): number {
    return this.#outbox?.pendingCount ?? this.#early.length;
  }

  get rejected(): readonly RejectedOp[] {
    return this.#outbox?.rejected ?? NOTHING;
  }

  /** Takes in ops made here, all of them or none. */
  add(made: readonly MadeOp[]): void {
    if (this.#outbox !== undefined) {
      this.#outbox.addAll(made);
      return;
    }
    if (this.#early.length + made.length > MAX_EARLY_OPS) {
      throw new RevcastError("outbox_full", "too much is pending, and no token could be had yet");
    }
    const wasEmpty = this.#early.length === 0;
    for (const { op } of made) {
      this.#early.push(op);
      this.#options.events.added(op);
    }
    if (wasEmpty && made.length > 0) this.#options.events.sync("saving");
  }

  extend(objectId: string, points: readonly Point[]): boolean {
    return this.#outbox?.extend(objectId, points) ?? this.#extendEarly(objectId, points);
  }

  confirmed(seen: readonly Ack[], epoch: string): void {
    this.#outbox?.confirmed(seen, epoch);
  }

  /** The log is this one from now on. */
  moved(log: Lineage): void {
    this.#log = log;
    this.#outbox?.moved(log);
  }

  dismissRejected(opIds?: readonly string[]): void {
    this.#outbox?.dismissRejected(opIds);
  }

  resend(opIds: readonly string[]): readonly PendingOp[] {
    return this.#outbox?.resend(opIds) ?? [];
  }

  flush(): Promise<void> {
    if (this.#outbox !== undefined) return this.#outbox.flush();
    if (this.#isClosed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => this.#flushes.push({ resolve, reject }));
  }

  wake(): void {
    if (this.#outbox === undefined) this.open();
    else this.#outbox.wake();
  }

  offline(): void {
    this.#outbox?.offline();
  }

  leave(): void {
    this.#outbox?.leave();
  }

  /** Final. Resolves once what is unsent is stored; for what is early, the user must become known first. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#adoption?.close();
    for (const flush of this.#flushes.splice(0)) flush.reject(closedError());
    if (this.#outbox === undefined && this.#early.length > 0) await this.#storeEarly();
    await this.#outbox?.close();
  }

  async #storeEarly(): Promise<void> {
    try {
      const { scope } = await (this.#asking ?? this.#ask());
      this.#outbox = this.#take(scope);
    } catch {
      // Nobody can tell whose they are.
    }
  }

  #extendEarly(objectId: string, points: readonly Point[]): boolean {
    const last = this.#early.at(-1);
    if (last?.type !== "stroke.append" || last.object_id !== objectId) return false;
    if (last.points.length + points.length > MAX_EARLY_POINTS) return false;
    const extended = { ...last, points: [...last.points, ...points] };
    this.#early[this.#early.length - 1] = extended;
    this.#options.events.amended(extended);
    return true;
  }

  async #ask(): Promise<Identity> {
    const { http, drawingId } = this.#options;
    const userId = await userOf(http);
    return { userId, scope: scopeOf(http, userId, drawingId) };
  }

  #opened({ scope, userId }: Identity): void {
    if (this.#isClosed) return;
    this.#options.events.user(userId, scope);
    // Whoever was told may have closed it.
    if (this.#isClosed) return;
    const outbox = this.#take(scope);
    this.#outbox = outbox;
    void outbox.open(this.#adopt(scope, userId));
    for (const { resolve, reject } of this.#flushes.splice(0)) outbox.flush().then(resolve, reject);
  }

  /** Takes over what was left under former names. Resolves with whether there was anything. */
  #adopt(scope: string, userId: string): Promise<boolean> | undefined {
    const { http, drawingId, store, events } = this.#options;
    const formerScopes = formerScopesOf(http, userId, drawingId);
    if (formerScopes.length === 0) return undefined;
    this.#adoption = new Adoption({
      store,
      scope,
      formerScopes,
      adopted: () => this.#outbox?.refresh(),
      failed: (error) => events.error(error),
    });
    return this.#adoption.begin();
  }

  /** An outbox with what was made before. */
  #take(scope: string): Outbox {
    const { events } = this.#options;
    const outbox = new Outbox({ ...this.#options, scope });
    if (this.#log !== undefined) outbox.moved(this.#log);
    const early = this.#early.splice(0);
    for (const op of early) outbox.add(op);
    const taken = new Set(outbox.pending.map((op) => op.op_id));
    const merged = early.map((op) => op.op_id).filter((opId) => !taken.has(opId));
    if (merged.length > 0) events.removed(merged);
    return outbox;
  }

  #failed(thrown: unknown): void {
    this.#asking = undefined;
    if (this.#isClosed) return;
    this.#failures += 1;
    const error = asRevcastError(thrown);
    // Anything else passes by itself.
    if (error.code === "AUTH_FAILED") this.#options.events.error(error);
    this.#timer = setTimeout(() => this.open(), backoff(this.#failures));
  }
}
