// What an outbox tells, and what it is given.

import type { RevcastError } from "../errors.js";
import type { Http } from "../http.js";
import type { PendingOp } from "../ops.js";
import type { Position } from "../protocol.js";
import type { RejectedOp } from "./quarantine.js";
import type { SyncState } from "./status.js";
import type { OutboxStore } from "./store.js";
import type { TabsPlatform } from "./tabs.js";

/** Where an op got its place in the log. */
export interface Ack {
  readonly op_id: string;
  readonly revision: number;
}

/** What is told of the queue. Listeners must not throw. */
export interface OutboxEvents {
  /** An op is pending now: made here, in another tab, or found in the storage. */
  added(op: PendingOp): void;
  /** A pending op has become this (merged with others), under the same `op_id`. */
  amended(op: PendingOp): void;
  /** Pending ops are gone from the queue: others have taken up what they say. */
  removed(opIds: readonly string[]): void;
  /** The server has these, at these revisions. They stay in the picture until the confirmed state has them. */
  acknowledged(acks: readonly Ack[], head: Position): void;
  /**
   * These were acknowledged, and are not in the log as it goes on now. Those that are posted again from here are `added`
   * once more right after it.
   */
  revoked(opIds: readonly string[]): void;
  /** The log is in another epoch than was told by `moved`: it is to be read. */
  outrun(): void;
  /** The server has closed the undo unit of a gesture: the rest of it goes on as a unit of its own. */
  continued(): void;
  /** These are gone from the queue without being in the log, and are to be taken out of the picture. */
  rejected(rejected: readonly RejectedOp[]): void;
  sync(state: SyncState): void;
  /** The storage has failed, or sending fails in a way that a person may have to do something about. */
  error(error: RevcastError): void;
}

export interface OutboxOptions {
  /** `server|user|drawing`: who shares the storage, and agrees on who sends. */
  readonly scope: string;
  readonly drawingId: string;
  readonly http: Http;
  readonly events: OutboxEvents;
  readonly store: OutboxStore;
  readonly random?: () => number;
  /** For tests. */
  readonly platform?: TabsPlatform;
}
