// Which rejected ops go when there are too many of them: whole families, so that what stays can still be sent again.
//
// Pure functions.

import { MAX_PENDING_BYTES, MAX_PENDING_OPS, MAX_REJECTED_BYTES, MAX_REJECTED_OPS } from "../limits.js";
import type { PendingOp } from "../ops.js";
import { isCreation, unitOf } from "./coalesce.js";
import type { Held } from "./quarantine.js";

/**
 * What has to go, of what is held: the families that have grown last stay. The newest one stays whatever its size, as far
 * as so much may be pending at all: it may be a gesture under way.
 */
export function excessOf(held: readonly Held[]): ReadonlySet<Held> {
  const excess = new Set<Held>();
  let ops = held.length;
  let bytes = sizeOf(held);
  if (ops <= MAX_REJECTED_OPS && bytes <= MAX_REJECTED_BYTES) return excess;
  const families = familiesOf(held);
  for (const family of families) {
    const isNewest = family === families.at(-1);
    const [maxOps, maxBytes] = isNewest
      ? [MAX_PENDING_OPS, MAX_PENDING_BYTES]
      : [MAX_REJECTED_OPS, MAX_REJECTED_BYTES];
    if (ops <= maxOps && bytes <= maxBytes) break;
    for (const one of family) excess.add(one);
    ops -= family.length;
    bytes -= sizeOf(family);
  }
  return excess;
}

/** Characters are near enough. */
function sizeOf(held: readonly Held[]): number {
  return held.reduce((sum, { place }) => sum + place.body.length, 0);
}

/** The ops of a unit are a family, together with the units whose objects they need. That which has grown last is last. */
function familiesOf(held: readonly Held[]): readonly (readonly Held[])[] {
  const parents = new Map<string, string>();
  const rootOf = (key: string): string => {
    let root = key;
    for (let parent = parents.get(root); parent !== undefined; parent = parents.get(root)) root = parent;
    if (root !== key) parents.set(key, root);
    return root;
  };
  const made = new Set(held.flatMap(({ op }) => (isCreation(op) ? [op.object_id] : [])));
  for (const { op } of held) {
    for (const object of objectsOf(op)) {
      if (!made.has(object)) continue;
      const [unit, other] = [rootOf(unitKey(op)), rootOf(`object ${object}`)];
      if (unit !== other) parents.set(other, unit);
    }
  }
  const families = new Map<string, Held[]>();
  for (const one of [...held].reverse()) {
    const root = rootOf(unitKey(one.op));
    const family = families.get(root);
    if (family === undefined) families.set(root, [one]);
    else family.push(one);
  }
  return [...families.values()].reverse();
}

function unitKey(op: PendingOp): string {
  return `unit ${unitOf(op)}`;
}

function objectsOf(op: PendingOp): readonly string[] {
  if (op.type === "object.delete") return op.object_ids;
  return "object_id" in op ? [op.object_id] : [];
}
