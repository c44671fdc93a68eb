// Committed ops: what a log consists of. The payloads are those that clients send; the server has added `revision`,
// `actor` and `ts`.

import type { Json, JsonObject } from "./json.js";

/** `[x, y]` or `[x, y, pressure]`. */
export type Point = readonly [x: number, y: number] | readonly [x: number, y: number, pressure: number];

/** What every committed op has. */
export interface CommittedFields {
  /** Its place in the log of its drawing: 1, 2, 3 … */
  readonly revision: number;
  /** Who sent it. */
  readonly actor: string;
  /** When it was committed, in milliseconds since 1970 by the clock of the server. */
  readonly ts: number;
  /** A UUID made by its client. The case of its letters does not matter. */
  readonly op_id: string;
  /** The undo unit it belongs to: the `op_id` of the first op of a gesture. Its own `op_id` by default. */
  readonly unit?: string;
  readonly client_id?: string;
  /** Kept and delivered, without meaning here. */
  readonly meta?: JsonObject;
}

export interface ObjectCreate extends CommittedFields {
  readonly type: "object.create";
  readonly object_id: string;
  readonly kind: string;
  /** Its place on the screen, compared by UTF-16 code units; absent is `""`. */
  readonly z?: string;
  readonly props: JsonObject;
}

export interface ObjectUpdate extends CommittedFields {
  readonly type: "object.update";
  readonly object_id: string;
  readonly z?: string;
  readonly set?: JsonObject;
  readonly unset?: readonly string[];
}

export interface ObjectDelete extends CommittedFields {
  readonly type: "object.delete";
  readonly object_ids: readonly string[];
}

export interface StrokeBegin extends CommittedFields {
  readonly type: "stroke.begin";
  readonly object_id: string;
  readonly z?: string;
  readonly tool: string;
  readonly props: JsonObject;
  readonly points: readonly Point[];
}

export interface StrokeAppend extends CommittedFields {
  readonly type: "stroke.append";
  readonly object_id: string;
  /** Which append it is; the first is 1. */
  readonly index: number;
  readonly points: readonly Point[];
}

export interface StrokeEnd extends CommittedFields {
  readonly type: "stroke.end";
  readonly object_id: string;
  /** How many appends the stroke has. */
  readonly count: number;
}

export interface CanvasSet extends CommittedFields {
  readonly type: "canvas.set";
  readonly set: JsonObject;
}

export interface CanvasClear extends CommittedFields {
  readonly type: "canvas.clear";
}

/** Hides a unit, or shows it again. */
export interface UndoRedo extends CommittedFields {
  readonly type: "undo" | "redo";
  /** The unit to undo or redo. */
  readonly unit: string;
}

/** Closes undo units, so that less has to be kept. Only the server writes it. */
export interface Fold extends CommittedFields {
  readonly type: "fold";
  /** Units that began at or below it are closed: nobody undoes, redoes or joins them any more. */
  readonly floor: number;
}

/** Ordered and delivered like any other op; no effect on the canvas. */
export interface CustomOp extends CommittedFields {
  readonly type: `custom.${string}`;
  readonly data: Json;
}

/** An op that writes to the canvas. */
export type DrawingOp =
  | ObjectCreate
  | ObjectUpdate
  | ObjectDelete
  | StrokeBegin
  | StrokeAppend
  | StrokeEnd
  | CanvasSet
  | CanvasClear;

/** An op of a type that this version knows. Its `type` tells which one. */
export type KnownOp = DrawingOp | UndoRedo | Fold | CustomOp;

/** An op of a type that a later version may bring. It keeps its place in the log and changes nothing else. */
export interface UnknownOp extends CommittedFields {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** One op of a log. */
export type CommittedOp = KnownOp | UnknownOp;

type Uncommitted<T> = T extends unknown ? Omit<T, "revision" | "actor" | "ts"> : never;

/** An op as it is sent: what the server adds is not there yet. */
export type PendingOp = Uncommitted<Exclude<KnownOp, Fold>>;

/** A pending op, and its JSON: what is stored and sent. */
export interface MadeOp {
  readonly op: PendingOp;
  readonly body: string;
}

/** A pending op of which the server has told its place in the log. */
export type AcknowledgedOp = PendingOp & { readonly revision: number };

type Unnamed<T> = T extends unknown ? Omit<T, "op_id"> & { readonly op_id?: string } : never;

/** An op to be made: it gets an `op_id` where it has none. */
export type NewOp = Unnamed<PendingOp>;
