// A canvas as it would be with other units undone. Nothing is rendered for it: it only tells which writes would count.

import type { Chain, Top, Write } from "./chain.js";
import type { ObjectRegisters, Place } from "./object.js";
import { joinedPoints } from "./render.js";
import { comparePlaces } from "./screen.js";
import type { State } from "./state.js";
import type { Liveness, Unit } from "./units.js";

/** An object by what decides on it. */
export interface Decided {
  readonly id: string;
  readonly place: Place;
}

/** What it has found out once it keeps, so it must not outlive a change of the state. */
export class World {
  readonly #state: State;
  readonly top: Top;
  /** The revision of the clear that counts; 0 without one. */
  readonly cleared: number;
  #created: readonly Decided[] | undefined;
  #inOrder: readonly Decided[] | undefined;
  readonly #joined = new Map<ObjectRegisters, number>();

  constructor(state: State, top: Top) {
    this.#state = state;
    this.top = top;
    this.cleared = state.cleared(top);
  }

  /** The canvas as it is. */
  static now(state: State): World {
    return new World(state, state.top);
  }

  /** The canvas with all open units undone, or all those of one actor. */
  static without(state: State, actor: string | undefined): World {
    const { units, floor } = state;
    if (actor === undefined) return new World(state, (chain) => chain.base(floor));
    const counts = (unit: number) =>
      unit <= floor || (units.isLive(unit) && units.get(unit)?.actor !== actor);
    const known = new Map<unknown, Write<unknown> | null>();
    const top = <T>(chain: Chain<T>) => {
      if (!chain.isLong) return chain.last(counts);
      // Each is looked through once, however many units have written to it.
      let write = known.get(chain);
      if (write === undefined) {
        write = chain.last(counts) ?? null;
        known.set(chain, write);
      }
      return (write ?? undefined) as Write<T> | undefined;
    };
    return new World(state, top);
  }

  /** The objects that a create has decided on, whether a clear hides them or not, ascending by its revision. */
  get created(): readonly Decided[] {
    this.#created ??= this.#decided(0).sort((a, b) => a.place.created - b.place.created);
    return this.#created;
  }

  /** The objects that are seen, in screen order. */
  get inOrder(): readonly Decided[] {
    this.#inOrder ??= this.#decided(this.cleared).sort((a, b) => comparePlaces(a.place, b.place));
    return this.#inOrder;
  }

  /** How many stretches of a stroke are seen. */
  joined(object: ObjectRegisters): number {
    let joined = this.#joined.get(object);
    if (joined === undefined) {
      joined = joinedPoints(object, this.top).length;
      this.#joined.set(object, joined);
    }
    return joined;
  }

  #decided(cleared: number): Decided[] {
    const decided: Decided[] = [];
    for (const [id, object] of this.#state.objects) {
      const place = object.place(this.top, cleared);
      if (place !== undefined) decided.push({ id, place });
    }
    return decided;
  }
}

/** Which write of a register would count with another liveness of one unit. `write` is the one that does without. */
export type Then = <T>(chain: Chain<T>, write: Write<T> | undefined) => Write<T> | undefined;

/** If a unit were live that is not. */
export function withUnit({ first }: Unit): Then {
  return (chain, write) => {
    const added = chain.of(first);
    return added !== undefined && added.revision > (write?.revision ?? 0) ? added : write;
  };
}

/** If a unit were undone that is live now. */
export function withoutUnit(state: State, unit: Unit): Then {
  let liveness: Liveness | undefined;
  return (chain, write) => {
    if (write?.unit !== unit.first) return write;
    liveness ??= state.units.toggling(unit);
    return chain.top(liveness);
  };
}

/** Those of an ascending list that lie above a first limit and not above a second; each tells on which side one lies. */
export function* between<T>(
  list: readonly T[],
  fromFirst: (item: T) => number,
  fromSecond: (item: T) => number,
): Generator<T> {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (fromFirst(list[middle] as T) <= 0) low = middle + 1;
    else high = middle;
  }
  for (let at = low; at < list.length; at += 1) {
    const item = list[at] as T;
    if (fromSecond(item) > 0) return;
    yield item;
  }
}
