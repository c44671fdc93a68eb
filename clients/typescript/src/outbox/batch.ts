// What the next request holds, and which updates are merged for it. Pure functions.

import { MAX_BATCH_BYTES } from "../limits.js";
import type { PendingOp } from "../ops.js";
import { byteLength, mayWait, mergeUpdates } from "./coalesce.js";
import type { Entry } from "./queue.js";

/** An op that takes the place of another one that is stored, and maybe of further ones. */
export interface Change {
  readonly into: Entry;
  readonly op: PendingOp;
  readonly body: string;
  /** They vanish: all they say is in `op`. */
  readonly absorbed: readonly Entry[];
}

export interface Plan {
  readonly entries: readonly Entry[];
  /** Updates that become one. */
  readonly merges: readonly Change[];
}

/** A place in the batch, and what is merged for it. */
interface Slot extends Change {
  op: PendingOp;
  body: string;
  readonly absorbed: Entry[];
}

/** The first entries that fit in one request. With `mayMerge`, updates that were never sent are merged. */
export function planBatch(entries: Iterable<Entry>, maxOps: number, mayMerge: boolean): Plan {
  const slots: Slot[] = [];
  let bytes = 0;
  // The newest update of each object, since the last op that an update may not be moved across.
  const newest = new Map<string, Slot>();
  for (const entry of entries) {
    const { op } = entry;
    if (!mayWait(op)) newest.clear();
    if (op.type === "object.update" && mayMerge && !entry.frozen) {
      const grown = absorb(newest.get(op.object_id), entry);
      if (grown !== undefined) {
        bytes += grown;
        continue;
      }
    }
    if (slots.length >= maxOps || (slots.length > 0 && bytes + entry.bytes + 1 > MAX_BATCH_BYTES)) break;
    const slot: Slot = { into: entry, op, body: entry.body, absorbed: [] };
    if (op.type === "object.update") newest.set(op.object_id, slot);
    slots.push(slot);
    bytes += entry.bytes + 1;
  }
  return {
    entries: slots.map((slot) => slot.into),
    merges: slots.filter((slot) => slot.absorbed.length > 0),
  };
}

/** The bytes by which the slot has grown, or `undefined` when the two are not to be merged. */
function absorb(slot: Slot | undefined, entry: Entry): number | undefined {
  if (slot === undefined || slot.into.frozen) return undefined;
  if (slot.op.type !== "object.update" || entry.op.type !== "object.update") return undefined;
  const merged = mergeUpdates(slot.op, entry.op);
  if (merged === undefined) return undefined;
  const before = byteLength(slot.body);
  slot.op = merged.op;
  slot.body = merged.body;
  slot.absorbed.push(entry);
  return merged.bytes - before;
}

/** The body of a request. Each op goes out exactly as it is stored. With an `epoch` it is for the log of that one alone. */
export function requestBody(entries: readonly Entry[], epoch?: string): string {
  const guard = epoch === undefined ? "" : `"epoch":${JSON.stringify(epoch)},`;
  return `{${guard}"ops":[${entries.map((entry) => entry.body).join(",")}]}`;
}
