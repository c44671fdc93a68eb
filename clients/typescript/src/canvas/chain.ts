// One register: the writes to one property, and which of them counts.

import { LongChain } from "./long_chain.js";
import type { ObjectRegisters } from "./object.js";
import type { Liveness } from "./units.js";

/** One write to a register. */
export interface Write<T> {
  /** When it was committed. */
  readonly revision: number;
  /** The unit it belongs to, by the revision of its first op. It is closed if that is not above the floor of the canvas. */
  readonly unit: number;
  /** `undefined` for a write that has no value: an unset, a clear, an end. */
  readonly value: T;
}

/** Tells which write of a register counts. */
export type Top = <T>(chain: Chain<T>) => Write<T> | undefined;

/** The registers that an object has once, those that it has by key, and those of the canvas itself. */
export type Part = "exists" | "kind" | "z" | "tool" | "props" | "points" | "ends" | "settings" | "clear";

/** Where a register is. */
export interface Address {
  readonly part: Part;
  /** `undefined` for a register of the canvas itself. */
  readonly object?: ObjectRegisters | undefined;
  readonly key?: string | number | undefined;
}

/** Writes that are looked through one by one. Most registers have one or two. */
const FEW = 8;

/**
 * The writes to one register that may still count, ascending by revision: at most one of a closed unit, the base, which
 * is the first, and one of each open unit, the last it made. All writes of a unit live and die together, so its earlier
 * ones would never be seen.
 */
export class Chain<T> implements Address {
  readonly part: Part;
  /** `undefined` for a register of the canvas itself. */
  readonly object: ObjectRegisters | undefined;
  readonly key: string | number | undefined;
  /** Copies share it: it is replaced, never changed. */
  #few: readonly Write<T>[] = NONE;
  /** All writes, once there are more than a few. */
  #many: LongChain<T> | undefined;
  /** Of a copy: the chain whose writes lie beneath those here, which takes in none meanwhile. */
  #below: Chain<T> | undefined;

  constructor({ part, object, key }: Address) {
    this.part = part;
    this.object = object;
    this.key = key;
  }

  /** A chain of these writes, which ascend by revision. */
  static of<T>(address: Address, writes: readonly Write<T>[], liveness: Liveness): Chain<T> {
    const chain = new Chain<T>(address);
    chain.#replace(writes, liveness);
    return chain;
  }

  /** Adds a write that is newer than all others. Returns whether it is the only one of its unit. */
  write(write: Write<T>, liveness: Liveness): boolean {
    const { unit } = write;
    if (this.#many !== undefined) {
      const isFirst = this.of(unit) === undefined;
      this.#many.write(write, liveness.isLive(unit));
      return isFirst;
    }
    const writes: Write<T>[] = [];
    for (const other of this.#few) if (other.unit !== unit) writes.push(other);
    const isOnly = writes.length === this.#few.length;
    writes.push(write);
    this.#replace(writes, liveness);
    return isOnly && this.#below?.of(unit) === undefined;
  }

  /** The write that counts: the newest whose unit is live. */
  top(liveness: Liveness): Write<T> | undefined {
    if (this.#many !== undefined) {
      const own = this.#many.top(liveness);
      if (own !== undefined) return own;
    } else {
      for (let at = this.#few.length - 1; at >= 0; at -= 1) {
        const write = this.#few[at];
        if (write !== undefined && liveness.isLive(write.unit)) return write;
      }
    }
    // A unit that has written here and beneath is not live if nothing was found here.
    return this.#below?.top(liveness);
  }

  /** The write of a unit. */
  of(unit: number): Write<T> | undefined {
    return this.#own(unit) ?? this.#below?.of(unit);
  }

  /** The newest write of a unit of which something is true. */
  last(isIt: (unit: number) => boolean): Write<T> | undefined {
    const isOfIt = (write: Write<T>) => isIt(write.unit);
    const own = this.#many === undefined ? this.#few.findLast(isOfIt) : this.#many.last(isOfIt);
    return own ?? this.#below?.last(isIt);
  }

  /** The write of a closed unit, of those that began at or below `floor`, which has to be folded. */
  base(floor: number): Write<T> | undefined {
    const first = this.#below?.base(floor) ?? this.#many?.first ?? this.#few[0];
    return first !== undefined && first.unit <= floor ? first : undefined;
  }

  /** All writes, ascending by revision. */
  get writes(): readonly Write<T>[] {
    const own = this.#many?.writes ?? this.#few;
    if (this.#below === undefined) return own;
    return [...this.#below.writes.filter((write) => this.#own(write.unit) === undefined), ...own];
  }

  /** How many writes there are. */
  get size(): number {
    return this.#below === undefined ? (this.#many?.size ?? this.#few.length) : this.writes.length;
  }

  /** Whether there are so many that they are better not looked through. */
  get isLong(): boolean {
    return this.#many !== undefined || this.#below !== undefined;
  }

  get isEmpty(): boolean {
    return this.size === 0;
  }

  /** A unit is live now, or no longer. */
  turn(unit: number, isLive: boolean): void {
    this.#many?.turn(unit, isLive);
  }

  /**
   * Folds the writes of units that began at or below `floor`: the newest live one becomes the base. What lies beneath
   * it will never be seen again, and what is closed and was undone is undone for good.
   */
  fold(floor: number, liveness: Liveness): void {
    const { writes } = this;
    let [base, closed] = [-1, 0];
    for (const [at, { unit }] of writes.entries()) {
      if (unit > floor) continue;
      closed += 1;
      if (liveness.isLive(unit)) base = at;
    }
    // Nearly always the only one is the first, and becomes the base as it is.
    if (closed === 0 || (closed === 1 && base === 0)) return;
    const kept: Write<T>[] = [];
    for (let at = Math.max(0, base); at < writes.length; at += 1) {
      const write = writes[at];
      if (write !== undefined && (at === base || write.unit > floor)) kept.push(write);
    }
    this.#replace(kept, liveness);
  }

  /** Drops the base. */
  forget(floor: number, liveness: Liveness): void {
    if (this.base(floor) !== undefined) this.#replace(this.writes.slice(1), liveness);
  }

  /** A chain of the same writes, for as long as this one does not change. */
  copy(): Chain<T> {
    const copy = new Chain<T>(this);
    if (this.#many === undefined && this.#below === undefined) copy.#few = this.#few;
    else copy.#below = this;
    return copy;
  }

  #own(unit: number): Write<T> | undefined {
    if (this.#many !== undefined) return this.#many.of(unit);
    return this.#few.find((write) => write.unit === unit);
  }

  #replace(writes: readonly Write<T>[], liveness: Liveness): void {
    const isLong = writes.length > FEW;
    this.#few = isLong ? NONE : writes;
    this.#many = isLong ? new LongChain(writes, liveness) : undefined;
  }
}

const NONE: readonly never[] = [];
