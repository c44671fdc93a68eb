// Which things are where: a uniform grid over the plane. Pure; knows nothing of what the things are.

import { type Box, overlaps } from "./geometry.js";

/** The side of a cell, in world units. */
const CELL = 512;
/** What covers more cells than this is looked at in every query instead. */
const MAX_CELLS = 64;

export interface Placed {
  readonly box: Box;
}

export class Grid<T extends Placed> {
  readonly #cells = new Map<string, Set<T>>();
  readonly #large = new Set<T>();
  readonly #keys = new Map<T, readonly string[]>();

  get size(): number {
    return this.#keys.size;
  }

  add(thing: T): void {
    this.remove(thing);
    const keys = cellsOf(thing.box, MAX_CELLS);
    this.#keys.set(thing, keys ?? []);
    if (keys === undefined) {
      this.#large.add(thing);
      return;
    }
    for (const key of keys) {
      const cell = this.#cells.get(key);
      if (cell === undefined) this.#cells.set(key, new Set([thing]));
      else cell.add(thing);
    }
  }

  remove(thing: T): void {
    const keys = this.#keys.get(thing);
    if (keys === undefined) return;
    this.#keys.delete(thing);
    this.#large.delete(thing);
    for (const key of keys) {
      const cell = this.#cells.get(key);
      cell?.delete(thing);
      if (cell?.size === 0) this.#cells.delete(key);
    }
  }

  clear(): void {
    this.#cells.clear();
    this.#large.clear();
    this.#keys.clear();
  }

  /** All things whose box touches `box`, each once, in no order. */
  query(box: Box): T[] {
    const found: T[] = [];
    const touches = ({ box: own }: T) => overlaps(own, box);
    const keys = cellsOf(box, this.#cells.size);
    if (keys === undefined) {
      for (const thing of this.#keys.keys()) if (touches(thing)) found.push(thing);
      return found;
    }
    const seen = new Set<T>();
    for (const key of keys) {
      for (const thing of this.#cells.get(key) ?? []) {
        if (seen.has(thing)) continue;
        seen.add(thing);
        if (touches(thing)) found.push(thing);
      }
    }
    for (const thing of this.#large) if (touches(thing)) found.push(thing);
    return found;
  }

  /** Whether the box of anything touches `box`. */
  some(box: Box): boolean {
    for (const thing of this.#large) if (overlaps(thing.box, box)) return true;
    const keys = cellsOf(box, this.#cells.size);
    const sets = keys === undefined ? this.#cells.values() : keys.map((key) => this.#cells.get(key) ?? []);
    for (const things of sets) for (const thing of things) if (overlaps(thing.box, box)) return true;
    return false;
  }
}

/** The cells that a box touches; none if there are more than `most`. */
function cellsOf(box: Box, most: number): readonly string[] | undefined {
  const [left, right] = [Math.floor(box.minX / CELL), Math.floor(box.maxX / CELL)];
  const [top, bottom] = [Math.floor(box.minY / CELL), Math.floor(box.maxY / CELL)];
  if ((right - left + 1) * (bottom - top + 1) > most) return undefined;
  const keys: string[] = [];
  for (let x = left; x <= right; x += 1) for (let y = top; y <= bottom; y += 1) keys.push(`${x},${y}`);
  return keys;
}
