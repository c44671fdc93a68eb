// The ops that the server has refused, and what cannot go on without them.

import { MAX_REJECTED_OPS } from "../limits.js";
import type { PendingOp } from "../ops.js";
import { isToggle, unitOf } from "./coalesce.js";
import type { Entry } from "./queue.js";
import type { Refusal } from "./store.js";

/** An op that the server has refused, or that depends on such a one. It is not in the log. */
export interface RejectedOp {
  readonly op: PendingOp;
  readonly error: Refusal;
}

/** A rejected op, and its place in the storage. */
export interface Held extends RejectedOp {
  readonly id: string;
  readonly place: Place;
}

/** Where something is stored, as soon as it is. */
export interface Place {
  readonly key: number | undefined;
}

/** What was rejected at once; `excess` had to go for it. */
export interface Taken {
  readonly rejected: readonly { readonly entry: Entry; readonly held: Held }[];
  readonly excess: readonly Place[];
}

/** The refusal of what cannot go on without a refused op. */
const DEPENDENCY: Refusal = {
  code: "dependency_rejected",
  detail: "an op that this one depends on was refused",
};

export class Quarantine {
  readonly #held = new Map<string, Held>();
  /** Units whose first op was refused: to the server they do not exist. */
  readonly #units = new Set<string>();
  /** Objects whose creation was refused. */
  readonly #objects = new Set<string>();
  #list: readonly RejectedOp[] = [];

  /** Oldest first; the same array as before when nothing changed. */
  get list(): readonly RejectedOp[] {
    return this.#list;
  }

  has(id: string): boolean {
    return this.#held.has(id);
  }

  get held(): readonly Held[] {
    return [...this.#held.values()];
  }

  /** Takes in a rejected op; the result is what had to go for it. */
  add(held: Held): readonly Held[] {
    const { op, error } = held;
    this.#held.set(held.id, held);
    // With another body in the log, the unit and the object are there.
    if (error.code !== "op_id_conflict") {
      if (!isToggle(op) && unitOf(op) === held.id) this.#units.add(held.id);
      if (op.type === "object.create" || op.type === "stroke.begin") this.#objects.add(op.object_id);
    }
    const excess: Held[] = [];
    for (const oldest of this.#held.values()) {
      if (this.#held.size <= MAX_REJECTED_OPS) break;
      this.#forget(oldest);
      excess.push(oldest);
    }
    this.#list = this.held;
    return excess;
  }

  /** Takes in what was refused, and what depends on it. `entries` are all that is pending, in order. */
  take(entries: readonly Entry[], refused: ReadonlyMap<Entry, Refusal>): Taken {
    const rejected: { entry: Entry; held: Held }[] = [];
    const excess: Place[] = [];
    for (const entry of entries) {
      const isStopped = !this.isEmpty && this.stops(entry.op);
      const error = refused.get(entry) ?? (isStopped ? DEPENDENCY : undefined);
      if (error === undefined) continue;
      const held = { id: entry.id, op: entry.op, error, place: entry };
      excess.push(...this.add(held).map(({ place }) => place));
      rejected.push({ entry, held });
    }
    return { rejected, excess };
  }

  /** Whether an op cannot go on. Ops are to be asked about in their order: a new creation ends the dependence. */
  stops(op: PendingOp): boolean {
    if (this.#units.has(unitOf(op))) return true;
    switch (op.type) {
      case "object.create":
      case "stroke.begin":
        this.#objects.delete(op.object_id);
        return false;
      case "object.update":
      case "stroke.append":
      case "stroke.end":
        return this.#objects.has(op.object_id);
      case "object.delete":
        return op.object_ids.length > 0 && op.object_ids.every((id) => this.#objects.has(id));
      default:
        return false;
    }
  }

  /** Whether anything may be stopped at all. */
  get isEmpty(): boolean {
    return this.#held.size === 0;
  }

  /** Forgets some of them, or all; the result is what was forgotten. */
  dismiss(which: readonly Held[] = this.held): readonly Held[] {
    for (const held of which) this.#forget(held);
    if (which.length > 0) this.#list = this.held;
    return which;
  }

  #forget(held: Held): void {
    this.#held.delete(held.id);
    this.#units.delete(held.id);
    if (held.op.type === "object.create" || held.op.type === "stroke.begin") {
      this.#objects.delete(held.op.object_id);
    }
  }
}
