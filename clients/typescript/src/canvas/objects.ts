// The objects of a canvas by their ids, and how a copy of them is made without copying them.

import { ObjectRegisters } from "./object.js";

/** Every object of which something is known, seen or not. */
export class Objects {
  readonly #own = new Map<string, ObjectRegisters>();
  readonly #base: Objects | undefined;

  /** Empty, or a copy of `base` for as long as that does not change: what is written to is copied first. */
  constructor(base?: Objects) {
    this.#base = base;
  }

  get(id: string): ObjectRegisters | undefined {
    return this.#own.get(id) ?? this.#base?.get(id);
  }

  set(id: string, object: ObjectRegisters): void {
    this.#own.set(id, object);
  }

  /** The object, to be written to; a new one if there was none. */
  toWrite(id: string): ObjectRegisters {
    let object = this.#own.get(id);
    if (object === undefined) {
      object = new ObjectRegisters(id, this.#base?.get(id));
      this.#own.set(id, object);
    }
    return object;
  }

  /** Forgets an object. A copy only grows: nothing is folded in it. */
  delete(id: string): void {
    this.#own.delete(id);
  }

  *[Symbol.iterator](): Iterator<[string, ObjectRegisters]> {
    if (this.#base !== undefined) {
      for (const entry of this.#base) if (!this.#own.has(entry[0])) yield entry;
    }
    yield* this.#own;
  }
}
