// One register: the writes to one property, and which of them counts.

import { CLOSED, type Liveness } from "./units.js";

/** One write to a register. */
export interface Write<T> {
  /** When it was committed. */
  readonly revision: number;
  /** The unit it belongs to, by the revision of its first op; `CLOSED` for a folded write. */
  readonly unit: number;
  /** `undefined` for a write that has no value: an unset, a clear, an end. */
  readonly value: T;
}

/**
 * The writes to one register that may still count, ascending by revision: at most one folded write, which is the
 * first, and one of each open unit, the last it made. All writes of a unit live and die together, so its earlier
 * ones would never be seen.
 */
export class Chain<T> {
  /** Copies share it: it is replaced, never changed. */
  #writes: readonly Write<T>[];

  /** A chain of these writes, which ascend by revision. */
  constructor(writes: readonly Write<T>[] = []) {
    this.#writes = writes;
  }

  /** Adds a write that is newer than all others. */
  write(write: Write<T>): void {
    const others = this.#writes.filter((other) => other.unit !== write.unit);
    others.push(write);
    this.#writes = others;
  }

  /** The write that counts: the newest whose unit is live. */
  top(liveness: Liveness): Write<T> | undefined {
    return this.#writes.findLast((write) => liveness(write.unit));
  }

  /** The folded write. */
  get base(): Write<T> | undefined {
    const first = this.#writes[0];
    return first?.unit === CLOSED ? first : undefined;
  }

  /** All writes, ascending by revision. */
  get writes(): readonly Write<T>[] {
    return this.#writes;
  }

  get isEmpty(): boolean {
    return this.#writes.length === 0;
  }

  /**
   * Folds the writes of units that began at or below `floor`: the newest live one becomes the base. What lies beneath
   * it will never be seen again, and what is closed and was undone is undone for good.
   */
  fold(floor: number, liveness: Liveness): void {
    const base = this.#writes.findLastIndex((write) => write.unit <= floor && liveness(write.unit));
    this.#writes = this.#writes.flatMap((write, index) => {
      if (index === base) return [{ ...write, unit: CLOSED }];
      return index > base && write.unit > floor ? [write] : [];
    });
  }

  /** A chain of the same writes. */
  copy(): Chain<T> {
    return new Chain(this.#writes);
  }

  /** Drops the folded write. */
  forget(): void {
    this.#writes = this.#writes.filter((write) => write.unit !== CLOSED);
  }
}

/** The chain of a key, to be written to; a new one if there was none. */
export function chainOf<K, T>(chains: Map<K, Chain<T>>, key: K): Chain<T> {
  let chain = chains.get(key);
  if (chain === undefined) {
    chain = new Chain();
    chains.set(key, chain);
  }
  return chain;
}

/** A copy of all chains. */
export function copyOf<K, T>(chains: ReadonlyMap<K, Chain<T>>): Map<K, Chain<T>> {
  return new Map([...chains].map(([key, chain]) => [key, chain.copy()]));
}

/** Drops the chains that have no write left. */
export function dropEmpty<K, T>(chains: Map<K, Chain<T>>): void {
  for (const [key, chain] of chains) {
    if (chain.isEmpty) chains.delete(key);
  }
}
