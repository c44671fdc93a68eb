// The ops that the server has refused, and what cannot go on without them.

import type { PendingOp } from "../ops.js";
import { isCreation, isToggle, unitOf } from "./coalesce.js";
import { excessOf } from "./families.js";
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
  /** Whether the storage has it as rejected. */
  isStored: boolean;
}

/** Where something is stored, as soon as it is, and the op as JSON. */
export interface Place {
  readonly key: number | undefined;
  readonly body: string;
}

/** What was rejected at once; `excess` had to go for it. */
export interface Taken {
  readonly rejected: readonly { readonly entry: Entry; readonly held: Held }[];
  readonly excess: readonly Held[];
}

/** The refusal of what cannot go on without a refused op. */
const DEPENDENCY: Refusal = {
  code: "dependency_rejected",
  detail: "an op that this one depends on was refused",
};

/** What there would be, had no op been refused: units and objects that the server does not have. */
class Missing {
  readonly #units = new Set<string>();
  readonly #objects = new Set<string>();

  /** The op is not in the log. */
  add({ id, op, error }: Held): void {
    // With another body in the log, the unit and the object are there.
    if (error.code === "op_id_conflict") return;
    if (!isToggle(op) && unitOf(op) === id) this.#units.add(id);
    if (isCreation(op)) this.#objects.add(op.object_id);
  }

  delete({ id, op }: Held): void {
    this.#units.delete(id);
    if (isCreation(op)) this.#objects.delete(op.object_id);
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
}

export class Quarantine {
  readonly #held = new Map<string, Held>();
  readonly #missing = new Missing();
  /** Made when it is asked for: thousands may come one by one. */
  #list: readonly RejectedOp[] | undefined;

  /** Oldest first; the same array as before when nothing changed. */
  get list(): readonly RejectedOp[] {
    this.#list ??= this.held;
    return this.#list;
  }

  get(id: string): Held | undefined {
    return this.#held.get(id);
  }

  /** A list of the caller's own. */
  get held(): Held[] {
    return [...this.#held.values()];
  }

  /** Takes in a rejected op. Once all of them are here, `trim` is due. */
  add(held: Held): void {
    this.#held.set(held.id, held);
    this.#missing.add(held);
    this.#list = undefined;
  }

  /** Lets go of what is too much: the result is what had to go. Nothing that stays, or is pending, depends on it. */
  trim(): readonly Held[] {
    return this.dismiss([...excessOf(this.held)]);
  }

  /** Takes in what was refused, and what depends on it. `entries` are all that is pending, in order. */
  take(entries: readonly Entry[], refused: ReadonlyMap<Entry, Refusal>): Taken {
    const rejected: { entry: Entry; held: Held }[] = [];
    for (const entry of entries) {
      const isStopped = !this.isEmpty && this.#missing.stops(entry.op);
      const error = refused.get(entry) ?? (isStopped ? DEPENDENCY : undefined);
      if (error === undefined) continue;
      const held = { id: entry.id, op: entry.op, error, place: entry, isStored: false };
      this.add(held);
      rejected.push({ entry, held });
    }
    // Only now: what is still to come may depend on what is here.
    return { rejected, excess: rejected.length === 0 ? [] : this.trim() };
  }

  /** Whether anything may be stopped at all. */
  get isEmpty(): boolean {
    return this.#held.size === 0;
  }

  /** Forgets some of them, or all; the result is what was forgotten. */
  dismiss(which: readonly Held[] = this.held): readonly Held[] {
    for (const held of which) this.#forget(held);
    if (which.length > 0) this.#list = undefined;
    return which;
  }

  /**
   * Of these and what is here for them alone, what can go on, in the order in which it was made. What depends on an op that
   * stays cannot.
   */
  released(ids: ReadonlySet<string>): readonly Held[] {
    const staying = new Missing();
    return this.#following(ids, (held, isWanted) => {
      const isStopped = staying.stops(held.op);
      if (isWanted && !isStopped) return true;
      staying.add(held);
      return false;
    });
  }

  /** These, and what is here for them alone. */
  discarded(ids: ReadonlySet<string>): readonly Held[] {
    return this.#following(ids, (_, isWanted) => isWanted);
  }

  #following(ids: ReadonlySet<string>, goes: (held: Held, isWanted: boolean) => boolean): readonly Held[] {
    const gone = new Missing();
    return this.held.sort(inOrder).filter((held) => {
      const isFollowing = gone.stops(held.op) && held.error.code === DEPENDENCY.code;
      if (!goes(held, isFollowing || ids.has(held.id))) return false;
      gone.add(held);
      return true;
    });
  }

  #forget(held: Held): void {
    this.#held.delete(held.id);
    this.#missing.delete(held);
  }
}

/** As they are stored. What is not stored has come last. */
function inOrder({ place: a }: Held, { place: b }: Held): number {
  return (a.key ?? Number.MAX_SAFE_INTEGER) - (b.key ?? Number.MAX_SAFE_INTEGER);
}
