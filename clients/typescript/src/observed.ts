// How a drawing stands, and who is told when that changes.

import { Edits } from "./edits.js";
import { Changes, Emitter } from "./emitter.js";
import type { RevcastError } from "./errors.js";
import { type Attempts, type ConnectionState as FeedState, NO_ATTEMPTS } from "./feed/connector.js";
import type { AcknowledgedOp, CommittedOp } from "./ops.js";
import type { RejectedOp } from "./outbox/quarantine.js";
import type { SyncState } from "./outbox/status.js";
import type { Presence } from "./presence.js";
import type { Role } from "./protocol.js";

/** How the drawing is followed: over the socket, over what takes its place, or not at all for now. */
export type ConnectionState = FeedState | "closed";

/** What can be edited and listened to. Each `on…` returns the function that ends it. */
export abstract class Observed extends Edits {
  abstract readonly presence: Presence;
  #connection: ConnectionState = "connecting";
  #attempts: Attempts = NO_ATTEMPTS;
  #role: Role | null | undefined;
  #latency: number | undefined;
  protected readonly changed = new Changes();
  protected readonly committed = new Emitter<readonly CommittedOp[]>();
  protected readonly acknowledged = new Emitter<readonly AcknowledgedOp[]>();
  readonly #connectionChanged = new Emitter<ConnectionState>();
  readonly #attemptsChanged = new Emitter<Attempts>();
  protected readonly syncChanged = new Emitter<SyncState>();
  readonly #roleChanged = new Emitter<Role | null>();
  readonly #latencyChanged = new Emitter<number>();
  protected readonly unitClosed = new Emitter<void>();
  protected readonly refused = new Emitter<readonly RejectedOp[]>();
  protected readonly failed = new Emitter<RevcastError>();

  get connection(): ConnectionState {
    return this.#connection;
  }

  /** What follows the drawing: `socket`, `events` (an event stream) or `poll` (long-polls); `undefined` while nothing does. */
  get transport(): Attempts["transport"] {
    return this.#attempts.transport;
  }

  /** Attempts to connect again since the drawing was followed or, before that, since it was opened; 0 while it is. */
  get reconnectAttempts(): number {
    return this.#attempts.reconnectAttempts;
  }

  /**
   * When the next attempt begins, in milliseconds since 1970; `undefined` while one is under way, and while none is due.
   * `resume()` makes it at once.
   */
  get nextAttemptAt(): number | undefined {
    return this.#attempts.nextAttemptAt;
  }

  /** How the drawing is followed, and how it stands with the attempts: the same object until that changes. */
  get attempts(): Attempts {
    return this.#attempts;
  }

  /** What the user may do here: `null` for no access, `undefined` until it is known. */
  get role(): Role | null | undefined {
    return this.#role;
  }

  /** The last round trip on the socket, in milliseconds. */
  get latency(): number | undefined {
    return this.#latency;
  }

  /**
   * The picture, its revision or its history changed. Told at once of the first change that a task makes, and once of all
   * that follow in the same task, at its end.
   */
  onChange(listener: () => void): () => void {
    return this.changed.on(listener);
  }

  /** Ops of the log as they come in, once each and in order; not those of a snapshot. */
  onOps(listener: (ops: readonly CommittedOp[]) => void): () => void {
    return this.committed.on(listener);
  }

  /**
   * The server has these pending ops, made here or found in the storage, as it has answered; not those that were seen in
   * the log before that. `onOps` tells of them as well, unless a snapshot holds them. An op is told again if the log lost it.
   */
  onAcknowledged(listener: (ops: readonly AcknowledgedOp[]) => void): () => void {
    return this.acknowledged.on(listener);
  }

  onPresence(listener: () => void): () => void {
    return this.presence.onChange(listener);
  }

  onConnection(listener: (state: ConnectionState) => void): () => void {
    return this.#connectionChanged.on(listener);
  }

  /** `transport`, `reconnectAttempts` or `nextAttemptAt` changed. */
  onAttempts(listener: (attempts: Attempts) => void): () => void {
    return this.#attemptsChanged.on(listener);
  }

  onSync(listener: (state: SyncState) => void): () => void {
    return this.syncChanged.on(listener);
  }

  onRole(listener: (role: Role | null) => void): () => void {
    return this.#roleChanged.on(listener);
  }

  onLatency(listener: (milliseconds: number) => void): () => void {
    return this.#latencyChanged.on(listener);
  }

  /** The server refused ops: they are out of the picture. */
  onRejected(listener: (rejected: readonly RejectedOp[]) => void): () => void {
    return this.refused.on(listener);
  }

  /**
   * The server has closed the undo unit of a gesture that was under way: the rest of the gesture is a unit of its own, and
   * an undo takes back that rest alone.
   */
  onUnitClosed(listener: () => void): () => void {
    return this.unitClosed.on(listener);
  }

  /** Something failed. What can be tried again is, without further ado. */
  onError(listener: (error: RevcastError) => void): () => void {
    return this.failed.on(listener);
  }

  protected tellConnection(state: ConnectionState): void {
    this.#connection = state;
    this.#connectionChanged.emit(state);
  }

  protected tellAttempts(attempts: Attempts): void {
    this.#attempts = attempts;
    this.#attemptsChanged.emit(attempts);
  }

  protected tellRole(role: Role | null): void {
    if (role === this.#role) return;
    this.#role = role;
    this.#roleChanged.emit(role);
    // What is seen may be allowed no more, or again.
    this.changed.emit();
  }

  protected tellLatency(milliseconds: number): void {
    this.#latency = milliseconds;
    this.#latencyChanged.emit(milliseconds);
  }

  /** Nobody is told anything any more. */
  protected silence(): void {
    this.changed.clear();
    this.committed.clear();
    this.acknowledged.clear();
    this.#connectionChanged.clear();
    this.#attemptsChanged.clear();
    this.syncChanged.clear();
    this.#roleChanged.clear();
    this.#latencyChanged.clear();
    this.unitClosed.clear();
    this.refused.clear();
    this.failed.clear();
  }
}
