// The messages of the socket and of event streams, in one place.

import type { JsonObject } from "./json.js";
import type { CommittedOp } from "./ops.js";

/**
 * The version that this client understands; `hello.protocol` bears the server's. A newer one may have rules of the canvas
 * that are not known here, so that no view of it can be computed.
 */
export const PROTOCOL_VERSION = 2;
/** The subprotocol with JSON in text frames. */
export const SUBPROTOCOL = "revcast.v1.json";

/** What a user may do. */
export type Role = "owner" | "editor" | "viewer";

/** Where a reader stands. A revision means nothing without its epoch, so the two are one value. */
export interface Position {
  readonly epoch: string;
  readonly revision: number;
}

/**
 * The epoch of a log, and what it goes on from: up to revision `base`, the log is that of `previous_epoch`. Both are there
 * or neither; without them, nothing of an earlier epoch is known to be in this log.
 */
export interface Lineage {
  readonly epoch: string;
  readonly previous_epoch?: string | null;
  readonly base?: number | null;
}

/** A position that the server tells, which may be the first word of a new epoch. */
export interface LogPosition extends Position, Lineage {}

/** Whether the log of this epoch has a position: one of its own, or one that it goes on from. */
export function isOnLog({ epoch, previous_epoch, base }: Lineage, position: Position): boolean {
  if (position.epoch === epoch) return true;
  return position.epoch === previous_epoch && position.revision <= (base ?? -1);
}

/** The lineage alone, of something that bears one. */
export function lineageOf({ epoch, previous_epoch, base }: Lineage): Lineage {
  const goesOn = typeof previous_epoch === "string" && typeof base === "number";
  return goesOn ? { epoch, previous_epoch, base } : { epoch };
}

/** One connection that is present, and what it shows. */
export interface Present {
  readonly user_id: string;
  readonly name: string | null;
  readonly state: JsonObject;
}

/** Who is present, by connection id. */
export type Roster = Readonly<Record<string, Present>>;

export type ResetReason = "lagged" | "too_far_behind" | "epoch_changed" | "revision_ahead" | "log_damaged";

export interface Hello {
  readonly type: "hello";
  readonly protocol: number;
  readonly connection_id: string;
  readonly epoch: string;
  readonly heartbeat_ms: number;
  readonly limits: JsonObject;
}

export interface Subscribed extends LogPosition {
  readonly type: "subscribed";
  readonly drawing_id: string;
  readonly role: Role;
  /** Only where presence was asked for. */
  readonly presence?: Roster;
  /** Of event streams: how often something comes at least, in milliseconds. Servers of before do not tell it. */
  readonly heartbeat_ms?: number;
}

export interface OpsMessage {
  readonly type: "ops";
  readonly drawing_id: string;
  /** That of the last op. */
  readonly revision: number;
  readonly ops: readonly CommittedOp[];
}

export interface Head extends LogPosition {
  readonly type: "head";
  readonly drawing_id: string;
}

export interface Reset extends LogPosition {
  readonly type: "reset";
  readonly drawing_id: string;
  readonly reason: ResetReason;
}

export interface PresenceDiff {
  readonly type: "presence";
  readonly drawing_id: string;
  readonly count: number;
  readonly set: Roster;
  readonly gone: readonly string[];
}

export interface RoleMessage {
  readonly type: "role";
  readonly drawing_id: string;
  /** `null`: revoked, delivery has stopped. */
  readonly role: Role | null;
}

export interface ErrorMessage {
  readonly type: "error";
  readonly code: string;
  readonly detail: string;
  readonly drawing_id?: string;
}

export interface Pong {
  readonly type: "pong";
  readonly t: number;
}

export interface Goaway {
  readonly type: "goaway";
  readonly reconnect_in_ms: number;
}

/** What the server says. Messages of other types are to be ignored. */
export type ServerMessage =
  | Hello
  | Subscribed
  | OpsMessage
  | Head
  | Reset
  | PresenceDiff
  | RoleMessage
  | ErrorMessage
  | Pong
  | Goaway;

/** What the client says. */
export type ClientMessage =
  | {
      readonly type: "subscribe";
      readonly drawing_id: string;
      readonly after?: number;
      readonly epoch?: string;
      readonly presence?: boolean;
    }
  | { readonly type: "unsubscribe"; readonly drawing_id: string }
  | { readonly type: "presence"; readonly drawing_id: string; readonly state: JsonObject | null }
  | { readonly type: "auth"; readonly ticket: string }
  | { readonly type: "ping"; readonly t: number };

/** What a close code asks of the client: come back, come back with a new ticket, or stay away. */
export type CloseAdvice = "reconnect" | "renew" | "stop";

/** The advice of a close code. Codes outside of 4100 to 4299 mean a broken connection. */
export function adviceOf(code: number): CloseAdvice {
  if (code >= 4100 && code < 4200) return "renew";
  if (code >= 4200 && code < 4300) return "stop";
  return "reconnect";
}
