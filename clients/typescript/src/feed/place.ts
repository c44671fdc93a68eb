// Where a reader stands in a log, and what it holds beyond a gap.
//
// Invariant: within an epoch the position only grows, by one op at a time or to a snapshot ahead of it. It goes on in
// the next epoch only if the two logs are the same up to it. Only `invalidate` and the snapshot after it may move it
// elsewhere. No I/O.

import { HELD_OPS } from "../limits.js";
import type { CommittedOp } from "../ops.js";
import { isOnLog, type Lineage, type LogPosition, type Position } from "../protocol.js";

/**
 * What a word about the log means for the position. `same`: it is of the same epoch. `adopted`: the log goes on in another
 * epoch, and the position with it. `lost`: the log goes on from before the position, which is invalid now. `foreign`: the
 * two epochs have nothing to do with each other as far as is known, or there is no position.
 */
export type Meeting = "same" | "adopted" | "lost" | "foreign";

/** The epoch that the log goes on from, and the last revision that the two have in common. */
interface Before {
  readonly epoch: string;
  readonly base: number;
}

export class Place {
  #position: Position | undefined;
  #before: Before | undefined;
  #isValid = false;
  #known = 0;
  #generation = 0;
  /** Ops of the epoch of the position that do not follow on it yet, by revision. */
  readonly #held = new Map<number, CommittedOp>();

  get position(): Position | undefined {
    return this.#position;
  }

  /** Where to go on; `undefined` when only a snapshot can tell. */
  get valid(): Position | undefined {
    return this.#isValid ? this.#position : undefined;
  }

  /** The highest revision that is known to be in the log. */
  get known(): number {
    return this.#known;
  }

  /** Whether something is known to be missing. */
  get isBehind(): boolean {
    return this.#isValid && this.#known > (this.#position?.revision ?? 0);
  }

  /** Counts the invalidations and adoptions: what was asked for before one is no answer after it. */
  get generation(): number {
    return this.#generation;
  }

  /** The position is not one of the log any more. Nothing is taken until a snapshot comes. */
  invalidate(): void {
    this.#isValid = false;
    this.#generation += 1;
    this.#held.clear();
  }

  /** Takes in what is told of the epoch of the log, and goes on in that epoch if the position is one of its log. */
  meet(log: Lineage): Meeting {
    const at = this.valid;
    if (at === undefined) return "foreign";
    if (log.epoch === at.epoch) {
      this.#before ??= beforeOf(log);
      return "same";
    }
    if (log.previous_epoch !== at.epoch) return "foreign";
    if (!isOnLog(log, at)) {
      this.invalidate();
      return "lost";
    }
    this.#before = beforeOf(log);
    const base = this.#before?.base ?? at.revision;
    this.#position = { epoch: log.epoch, revision: at.revision };
    this.#known = Math.max(at.revision, Math.min(this.#known, base));
    for (const revision of this.#held.keys()) if (revision > base) this.#held.delete(revision);
    this.#generation += 1;
    return "adopted";
  }

  /** Goes to the position of a snapshot; false when the reader is there already, or further. */
  jump(to: LogPosition): boolean {
    const at = this.valid;
    if (at?.epoch === to.epoch && to.revision <= at.revision) return false;
    if (at?.epoch !== to.epoch) {
      this.#held.clear();
      this.#known = 0;
      this.#before = beforeOf(to);
    }
    this.#position = { epoch: to.epoch, revision: to.revision };
    this.#isValid = true;
    this.hear(to);
    return true;
  }

  /** The log has come to this position at least. */
  hear({ epoch, revision }: Position): void {
    if (this.valid?.epoch === epoch) this.#known = Math.max(this.#known, revision);
  }

  /** The whole log was read when `known` was known: if nothing was heard since, there is nothing more. */
  settle(known: number): void {
    if (this.#known === known && this.#held.size === 0) this.#known = this.#position?.revision ?? 0;
  }

  /**
   * Moves on over the ops that follow, those held included, and returns them. Of the epoch before, those are taken that
   * the log has, too.
   */
  take(ops: readonly CommittedOp[], epoch: string): readonly CommittedOp[] {
    const at = this.valid;
    const before = this.#before?.epoch === epoch ? this.#before : undefined;
    if (at === undefined || (at.epoch !== epoch && before === undefined)) return [];
    const last = at.epoch === epoch ? Number.POSITIVE_INFINITY : (before?.base ?? 0);
    const next: CommittedOp[] = [];
    let { revision } = at;
    for (const op of ops) {
      if (op.revision > last) break;
      if (op.revision === revision + 1) {
        next.push(op);
        revision += 1;
      } else if (op.revision > revision + 1) {
        this.hear({ epoch: at.epoch, revision: op.revision });
        if (this.#held.size < HELD_OPS) this.#held.set(op.revision, op);
      }
    }
    for (let op = this.#held.get(revision + 1); op !== undefined; op = this.#held.get(revision + 1)) {
      next.push(op);
      revision += 1;
    }
    for (const held of this.#held.keys()) if (held <= revision) this.#held.delete(held);
    this.#position = { epoch: at.epoch, revision };
    this.hear(this.#position);
    return next;
  }
}

function beforeOf({ previous_epoch, base }: Lineage): Before | undefined {
  if (typeof previous_epoch !== "string" || typeof base !== "number") return undefined;
  return { epoch: previous_epoch, base };
}
