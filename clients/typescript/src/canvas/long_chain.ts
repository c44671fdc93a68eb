// The writes of a register that very many open units have written to.
//
// Nothing here but folding looks at all of them: not to write, not to undo, and not to find the one that counts.

import { Bits } from "./bits.js";
import type { Write } from "./chain.js";
import type { Liveness } from "./units.js";

/** One write of each unit, ascending by revision. */
export class LongChain<T> {
  /** The writes, with a gap where a unit has written again. */
  #slots: (Write<T> | undefined)[] = [];
  /** Where the write of a unit is. */
  readonly #slotOf = new Map<number, number>();
  /** The slots whose units are live. */
  #live = new Bits();

  constructor(writes: readonly Write<T>[], liveness: Liveness) {
    for (const write of writes) this.#push(write, liveness.isLive(write.unit));
  }

  /** Adds a write that is newer than all others. */
  write(write: Write<T>, isLive: boolean): void {
    const before = this.#slotOf.get(write.unit);
    if (before !== undefined) {
      this.#slots[before] = undefined;
      this.#live.set(before, false);
      // So that it comes to stand at the end.
      this.#slotOf.delete(write.unit);
    }
    this.#push(write, isLive);
    if (this.#slots.length > 2 * this.#slotOf.size) this.#closeGaps();
  }

  /** The newest write whose unit is live. */
  top(liveness: Liveness): Write<T> | undefined {
    const { toggled } = liveness;
    let top = this.#lastLive(this.#slots.length, toggled);
    // What was toggled on top of the log is not known here.
    for (const unit of toggled) {
      const write = this.of(unit);
      if (write !== undefined && liveness.isLive(unit) && write.revision > (top?.revision ?? 0)) top = write;
    }
    return top;
  }

  /** The write of a unit. */
  of(unit: number): Write<T> | undefined {
    const slot = this.#slotOf.get(unit);
    return slot === undefined ? undefined : this.#slots[slot];
  }

  /** The newest write of which something is true. */
  last(isIt: (write: Write<T>) => boolean): Write<T> | undefined {
    return this.#slots.findLast((write) => write !== undefined && isIt(write));
  }

  /** A unit is live now, or no longer. */
  turn(unit: number, isLive: boolean): void {
    const slot = this.#slotOf.get(unit);
    if (slot !== undefined) this.#live.set(slot, isLive);
  }

  /** All writes, ascending by revision. */
  get writes(): Write<T>[] {
    return this.#slots.filter((write) => write !== undefined);
  }

  /** The first write, unless its unit has written again. */
  get first(): Write<T> | undefined {
    return this.#slots[0];
  }

  get size(): number {
    return this.#slotOf.size;
  }

  #lastLive(end: number, toggled: ReadonlySet<number>): Write<T> | undefined {
    for (let slot = this.#live.last(end); slot >= 0; slot = this.#live.last(slot)) {
      const write = this.#slots[slot];
      if (write !== undefined && !toggled.has(write.unit)) return write;
    }
    return undefined;
  }

  #push(write: Write<T>, isLive: boolean): void {
    const slot = this.#slots.length;
    this.#slots.push(write);
    this.#slotOf.set(write.unit, slot);
    this.#live.set(slot, isLive);
  }

  /** Happens once for as many writes as there are units: none pays for it. */
  #closeGaps(): void {
    const [slots, live] = [this.#slots, this.#live];
    this.#slots = [];
    this.#live = new Bits();
    for (const [slot, write] of slots.entries()) if (write !== undefined) this.#push(write, live.has(slot));
  }
}
