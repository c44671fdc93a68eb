// Registers by their keys, such as those of the properties of an object, and how a copy of them is made without copying them.

import { type Address, Chain } from "./chain.js";

export class Chains<K extends string | number, T> {
  /** Made with the first register: most objects have no points. */
  #own: Map<K, Chain<T>> | undefined;
  readonly #base: Chains<K, T> | undefined;

  /** Empty, or a copy of `base` for as long as that does not change: what is written to is copied first. */
  constructor(base?: Chains<K, T>) {
    this.#base = base;
  }

  /** These registers, which are this one's own from now on. */
  static of<K extends string | number, T>(chains: Map<K, Chain<T>>): Chains<K, T> {
    const made = new Chains<K, T>();
    if (chains.size > 0) made.#own = chains;
    return made;
  }

  get size(): number {
    return this.#base === undefined ? (this.#own?.size ?? 0) : this.entries().size;
  }

  get(key: K): Chain<T> | undefined {
    return this.#own?.get(key) ?? this.#base?.get(key);
  }

  /** The register of `key`, to be written to; a new one at `address` if there was none. */
  toWrite(key: K, { part, object }: Address): Chain<T> {
    let chain = this.#own?.get(key);
    if (chain === undefined) {
      chain = this.#base?.get(key)?.copy() ?? new Chain<T>({ part, object, key });
      this.#own ??= new Map();
      this.#own.set(key, chain);
    }
    return chain;
  }

  /** All of them, by key. */
  entries(): ReadonlyMap<K, Chain<T>> {
    if (this.#base === undefined) return this.#own ?? new Map();
    const all = new Map(this.#base.entries());
    if (this.#own !== undefined) for (const [key, chain] of this.#own) all.set(key, chain);
    return all;
  }

  values(): Iterable<Chain<T>> {
    return this.entries().values();
  }

  get isEmpty(): boolean {
    for (const chain of this.values()) if (!chain.isEmpty) return false;
    return true;
  }

  /** Forgets a register. A copy only grows. */
  delete(key: K): void {
    this.#own?.delete(key);
  }

  /** Drops the registers that have no write left. */
  dropEmpty(): void {
    if (this.#own === undefined) return;
    for (const [key, chain] of this.#own) if (chain.isEmpty) this.#own.delete(key);
  }
}
