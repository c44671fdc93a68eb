// What becomes of a unit that the server has closed before all of its ops were sent: the rest goes on as a unit of its own.
//
// The server folds old history when there is too much of it, and a gesture may pause for so long that its unit is folded,
// or reach the server late. That keeps it from being undone as one, and is no reason to lose any of it. Pure but for the
// ids of new ops.

import { v5 as uuid } from "uuid";
import { MAX_CONTINUED_UNITS } from "../limits.js";
import type { PendingOp } from "../ops.js";
import { unitOf } from "./coalesce.js";
import type { Entry } from "./queue.js";

/** An op that is to take the place of another one. */
export interface Move {
  readonly entry: Entry;
  readonly op: PendingOp;
}

/** The namespace of the ids of ops that have moved. */
const CONTINUED = "6f4d4a3e-6f0c-4f0e-9b57-0f3f2d1c8a11";

export class ContinuedUnits {
  /** The unit as which a closed one goes on. */
  readonly #next = new Map<string, string>();

  /** The op in the unit as which its own goes on. What undoes or redoes a unit means that very one. */
  continued(op: PendingOp): PendingOp {
    if (this.#next.size === 0) return op;
    const unit = this.#current(unitOf(op));
    return unit === unitOf(op) ? op : { ...op, unit };
  }

  /**
   * What becomes of the pending `entries`, where the server has refused those in `closed` for their units. These get new
   * ids: the server may look at the old ones again. Whatever else of their units was never sent moves with them.
   */
  move(entries: readonly Entry[], closed: ReadonlySet<Entry>): Move[] {
    const moves: Move[] = [];
    const places = new Map(entries.map(({ id }, at) => [id, at]));
    for (const [at, entry] of entries.entries()) {
      const unit = unitOf(entry.op);
      /** Whether it has yet to begin, so that it cannot be joined here. */
      const isAhead = (other: string) => (places.get(other) ?? -1) > at;
      if (closed.has(entry)) {
        const { unit: _, ...rest } = entry.op;
        // The same for every tab and session that may have to move it: the server takes it once.
        const op_id = uuid(entry.id, CONTINUED);
        const next = this.#current(unit);
        const current = isAhead(next) ? unit : next;
        if (current === unit) this.#continue(unit, op_id);
        moves.push({
          entry,
          op: { ...rest, op_id, ...(current === unit ? {} : { unit: current }) } as PendingOp,
        });
      } else if (entry.sent === "never" && !entry.changing) {
        const op = this.continued(entry.op);
        if (op !== entry.op && !isAhead(unitOf(op))) moves.push({ entry, op });
      }
    }
    return moves;
  }

  #continue(unit: string, next: string): void {
    this.#next.set(unit, next);
    for (const oldest of this.#next.keys()) {
      if (this.#next.size <= MAX_CONTINUED_UNITS) break;
      this.#next.delete(oldest);
    }
  }

  #current(unit: string): string {
    let current = unit;
    for (let next = this.#next.get(unit); next !== undefined; next = this.#next.get(next)) current = next;
    return current;
  }
}
