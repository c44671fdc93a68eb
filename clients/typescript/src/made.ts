// Ops as they were made here, in the form in which they are seen, stored and sent.

import { asJson } from "./json.js";
import type { MadeOp, PendingOp } from "./ops.js";

/**
 * Copies of ops, and their JSON: what is seen is what is sent, whatever becomes of the objects that they were made of.
 *
 * @throws {TypeError} when one cannot be told as JSON, or is of a shape that this client could not go on with. All else is
 * for the server to judge.
 */
export function madeOf(named: readonly PendingOp[]): readonly MadeOp[] {
  return named.map((each) => {
    const op = asJson(each);
    assertShape(op);
    return { op, body: JSON.stringify(op) };
  });
}

function assertShape(op: Readonly<Record<string, unknown>>): void {
  const { op_id, unit, unset, points, object_ids } = op;
  if (typeof op_id !== "string") throw new TypeError("the op_id of an op is no string");
  if (unit !== undefined && typeof unit !== "string") throw new TypeError("the unit of an op is no string");
  for (const [name, list] of Object.entries({ unset, points, object_ids })) {
    if (list !== undefined && !Array.isArray(list)) throw new TypeError(`${name} of an op is no array`);
  }
}
