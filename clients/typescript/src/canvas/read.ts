// How an op of a log is read: which unit it belongs to, and whether it is one that this version understands.
//
// A log only has ops that a server has checked, so what is checked here is what a later version may change: the type,
// and the fields that the reducer needs. Fields that it does not know are left alone.

import type { CommittedOp, DrawingOp, Fold, UndoRedo, UnknownOp } from "../ops.js";

/** Whether a field has the value it should have; `undefined` stands for a field that is missing. */
type Check = (value: unknown) => boolean;

const OBJECT_ID = /^[A-Za-z0-9_-]{1,64}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

const isObjectId: Check = (value) => typeof value === "string" && OBJECT_ID.test(value);
const isObject: Check = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const isCount: Check = (value) => typeof value === "number" && Number.isInteger(value) && value >= 0;
const isIndex: Check = (value) => isCount(value) && value !== 0;
const isPoint: Check = (value) =>
  Array.isArray(value) && (value.length === 2 || value.length === 3) && value.every(Number.isFinite);

export const isText: Check = (value) => typeof value === "string";
export const isPoints: Check = (value) => isArrayOf(value, isPoint);

function isArrayOf(value: unknown, check: Check): boolean {
  return Array.isArray(value) && value.every((item) => check(item));
}

/** A field that may be absent but not `null`. */
function optional(check: Check): Check {
  return (value) => value === undefined || check(value);
}

/** The fields of each type that draws, besides those that all ops have. */
const PAYLOADS: Readonly<Record<DrawingOp["type"], Readonly<Record<string, Check>>>> = {
  "object.create": { object_id: isObjectId, kind: isText, z: optional(isText), props: isObject },
  "object.update": {
    object_id: isObjectId,
    z: optional(isText),
    set: optional(isObject),
    unset: optional((value) => isArrayOf(value, isText)),
  },
  "object.delete": { object_ids: (value) => isArrayOf(value, isObjectId) },
  "stroke.begin": {
    object_id: isObjectId,
    z: optional(isText),
    tool: isText,
    props: isObject,
    points: isPoints,
  },
  "stroke.append": { object_id: isObjectId, index: isIndex, points: isPoints },
  "stroke.end": { object_id: isObjectId, count: isCount },
  "canvas.set": { set: isObject },
  "canvas.clear": {},
};

/** The same as lists, by type: each op is checked against one of them. */
const CHECKS: ReadonlyMap<string, readonly (readonly [name: string, check: Check])[]> = new Map(
  Object.entries(PAYLOADS).map(([type, payload]) => [type, Object.entries(payload)]),
);

/** Whether an op writes to the canvas, and has all that it needs for that. */
export function isDrawing(op: CommittedOp): op is DrawingOp {
  return readUnit(op) !== undefined && hasPayload(op);
}

/** The same of an op whose ids can be read. */
export function hasPayload(op: CommittedOp): op is DrawingOp {
  const checks = CHECKS.get(op.type);
  if (checks === undefined || (op.unit as unknown) === null) return false;
  const fields = op as UnknownOp;
  for (const [name, check] of checks) if (!check(fields[name])) return false;
  return true;
}

/** Whether an op undoes or redoes a unit. */
export function isToggle(op: CommittedOp): op is UndoRedo {
  return (op.type === "undo" || op.type === "redo") && isUuid(op.op_id) && isUuid(op.unit);
}

/** Whether an op closes units. Whether it is a valid one depends on those before. */
export function isFold(op: CommittedOp): op is Fold {
  return op.type === "fold" && isUuid(op.op_id) && isCount((op as UnknownOp).floor);
}

/** Whether an op is of a type that belongs to no undo unit and begins none. */
export function hasNoUnit({ type }: CommittedOp): boolean {
  return type === "fold" || type === "lesson.start" || type === "score.update" || type.startsWith("step.");
}

/** The undo unit that an op belongs to or acts on, in lower case. */
export function unitOf(op: CommittedOp): string {
  return readUnit(op) ?? NO_UNIT;
}

/** The same; `undefined` where its ids cannot be read. */
export function readUnit(op: CommittedOp): string | undefined {
  const { op_id } = op;
  const unit = op.unit ?? op_id;
  if (!isUuid(op_id)) return undefined;
  if (unit === op_id) return op_id.toLowerCase();
  // Of a gesture there may be thousands.
  if (unit !== last?.unit) {
    if (!isUuid(unit)) return undefined;
    last = { unit, lower: unit.toLowerCase() };
  }
  return last.lower;
}

/** The unit that was read last. */
let last: { readonly unit: string; readonly lower: string } | undefined;

/** What ops belong to whose ids cannot be read. */
export const NO_UNIT = "00000000-0000-0000-0000-000000000000";

function isUuid(value: unknown): value is string {
  return typeof value === "string" && UUID.test(value);
}
