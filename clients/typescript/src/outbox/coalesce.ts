// Merging: what two ops come to when one of them is all that is sent. Pure functions.

import type { Json, JsonObject } from "../json.js";
import { MAX_MERGED_BYTES, MAX_POINTS } from "../limits.js";
import type { PendingOp, Point } from "../ops.js";

export type PendingUpdate = Extract<PendingOp, { type: "object.update" }>;
export type PendingAppend = Extract<PendingOp, { type: "stroke.append" }>;

/** Updates and appends are all that may wait for more; and those of different objects commute. */
export function mayWait(op: PendingOp): op is PendingUpdate | PendingAppend {
  return op.type === "object.update" || op.type === "stroke.append";
}

/** Whether an op acts on a unit, and is in none itself. */
export function isToggle(op: PendingOp): boolean {
  return op.type === "undo" || op.type === "redo";
}

/** Whether an op brings an object into being. */
export function isCreation(
  op: PendingOp,
): op is Extract<PendingOp, { type: "object.create" | "stroke.begin" }> {
  return op.type === "object.create" || op.type === "stroke.begin";
}

/** The undo unit of an op; for `undo` and `redo` the unit that they act on. */
export function unitOf(op: PendingOp): string {
  return (op.unit ?? op.op_id).toLowerCase();
}

/** Whether two updates are of the same object and unit, and neither has anything of its own to tell. */
export function isMergeable(earlier: PendingUpdate, later: PendingUpdate): boolean {
  if (earlier.object_id !== later.object_id || unitOf(earlier) !== unitOf(later)) return false;
  if (earlier.client_id !== later.client_id) return false;
  return earlier.meta === undefined && later.meta === undefined;
}

/**
 * `later` in `earlier`, under the id of `earlier`: the last value of each property wins. `undefined` where the two are
 * not to be merged: other objects or units, something of their own to tell, or too large together.
 */
export function mergeUpdates(
  earlier: PendingUpdate,
  later: PendingUpdate,
): { readonly op: PendingUpdate; readonly body: string; readonly bytes: number } | undefined {
  if (!isMergeable(earlier, later)) return undefined;
  const unset = new Set(later.unset);
  // A property may not be in both: the server refuses that.
  const set = new Map<string, Json>(Object.entries(earlier.set ?? {}).filter(([name]) => !unset.has(name)));
  for (const [name, value] of Object.entries(later.set ?? {})) set.set(name, value);
  for (const name of earlier.unset ?? []) if (!set.has(name)) unset.add(name);
  const { set: _set, unset: _unset, ...rest } = earlier;
  const op: PendingUpdate = {
    ...rest,
    ...(later.z === undefined ? {} : { z: later.z }),
    ...(set.size === 0 ? {} : { set: Object.fromEntries(set) as JsonObject }),
    ...(unset.size === 0 ? {} : { unset: [...unset] }),
  };
  const body = JSON.stringify(op);
  const bytes = byteLength(body);
  return bytes > MAX_MERGED_BYTES ? undefined : { op, body, bytes };
}

/**
 * `append`, of so many bytes, with further points, or `undefined` when that would be too much for one op. A fast pen adds
 * points hundreds of times a moment, so that those which are there are not looked at again.
 */
export function extendAppend(
  append: PendingAppend,
  bytes: number,
  points: readonly Point[],
): { readonly op: PendingAppend; readonly bytes: number } | undefined {
  if (append.points.length + points.length > MAX_POINTS) return undefined;
  // Without the brackets, and with a comma between what is there and what comes.
  const extended = bytes + JSON.stringify(points).length - (append.points.length > 0 ? 1 : 2);
  if (extended > MAX_MERGED_BYTES) return undefined;
  return { op: { ...append, points: [...append.points, ...points] }, bytes: extended };
}

/** The size of a text as UTF-8. */
export function byteLength(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) continue;
    // Two units of a pair are four bytes; one without the other is sent as a mark of three.
    const isPair = unit >= 0xd800 && unit < 0xdc00 && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00;
    if (isPair) at += 1;
    bytes += unit >= 0x800 ? 2 : 1;
  }
  return bytes;
}
