// Whether undoing or redoing a unit can be seen.
//
// It looks at no more than the registers that the unit has written to: there may be very many units, and each may be asked.

import type { Json } from "../json.js";
import { isEqual } from "./canonical.js";
import type { Chain, Part, Top, Write } from "./chain.js";
import type { ObjectRegisters, Place } from "./object.js";
import { renderPoints, STROKE } from "./render.js";
import { comparePlaces } from "./screen.js";
import type { State } from "./state.js";
import { isLive, type Unit } from "./units.js";
import { between, type Decided, type Then, World, withoutUnit, withUnit } from "./world.js";

/** An object has another place than before. */
interface Move {
  readonly from: Place;
  readonly to: Place;
}

/** Of one state and one scope. It must not outlive a change of the state. */
export class Picker {
  readonly #state: State;
  readonly #now: World;
  /** With all units in scope undone. */
  readonly #without: World;

  /** The scope is everyone's units, or those of one actor. */
  constructor(state: State, actor: string | undefined) {
    this.#state = state;
    this.#now = World.now(state);
    this.#without = World.without(state, actor);
  }

  /** Whether toggling a unit in scope changes the picture, or would if all others in scope were undone. */
  isSeen(unit: Unit): boolean {
    const added = withUnit(unit);
    const toggled = isLive(unit) ? withoutUnit(this.#state, unit) : added;
    return (
      new Change(this.#state, unit, this.#now, toggled).isSeen() ||
      new Change(this.#state, unit, this.#without, added).isSeen()
    );
  }
}

/** What another liveness of a unit changes. */
class Change {
  readonly #state: State;
  readonly #unit: Unit;
  readonly #before: World;
  readonly #then: Then;
  /** The revision of the clear that counts then. */
  readonly #cleared: number;

  constructor(state: State, unit: Unit, before: World, then: Then) {
    this.#state = state;
    this.#unit = unit;
    this.#before = before;
    this.#then = then;
    const hasCleared = unit.registers.some(({ part }) => part === "clear");
    this.#cleared = hasCleared ? state.cleared(this.#top) : before.cleared;
  }

  readonly #top: Top = (chain) => this.#then(chain, this.#before.top(chain));

  isSeen(): boolean {
    let last: ObjectRegisters | undefined;
    /** The object whose registers are looked at, if it is seen before and then. */
    let shown: ObjectRegisters | undefined;
    const moves = new Map<string, Move>();
    const strokes = new Set<ObjectRegisters>();
    for (const address of this.#unit.registers) {
      if (address.object !== last) {
        last = address.object;
        shown = last === undefined ? undefined : this.#state.current(last);
        const from = shown?.place(this.#before.top, this.#before.cleared);
        const to = shown?.place(this.#top, this.#cleared);
        if ((from === undefined) !== (to === undefined)) return true;
        if (shown === undefined || from === undefined || to === undefined) shown = undefined;
        else if (from.created !== to.created) moves.set(shown.id, { from, to });
      }
      // Most units that are asked have to do with what is not seen.
      if (last !== undefined && shown === undefined) continue;
      const chain = this.#state.find(address);
      if (chain === undefined) continue;
      const write = this.#before.top(chain);
      const writeThen = this.#then(chain, write);
      if (write === writeThen) continue;
      if (shown === undefined) {
        if (chain.part === "settings" && isOther(write, writeThen)) return true;
      } else if (chain.part === "points" || chain.part === "ends") {
        if (this.#reachesPoints(shown, chain)) strokes.add(shown);
      } else if (this.#changesLook(shown, chain.part, write, writeThen)) {
        return true;
      }
    }
    return this.#changesClear() || this.#changesOrder(moves) || this.#changesPoints(strokes);
  }

  /** Whether an object looks otherwise that is seen before and then, when another write of a register counts. */
  #changesLook(
    object: ObjectRegisters,
    part: Part,
    write: Write<unknown> | undefined,
    then: Write<unknown> | undefined,
  ): boolean {
    switch (part) {
      case "exists":
        return false;
      case "kind":
      case "z":
        // Absent looks as empty does.
        return (write?.value ?? "") !== (then?.value ?? "");
      case "tool":
        return this.#isStroke(object) && isOther(write, then);
      default:
        return isOther(write, then);
    }
  }

  /** Whether points of a stroke, or the end of it, may be seen otherwise when another write of `chain` counts. */
  #reachesPoints(object: ObjectRegisters, chain: Chain<unknown>): boolean {
    if (!this.#isStroke(object)) return false;
    const joined = this.#before.joined(object);
    const [write, then] = [this.#before.top(chain), this.#top(chain)];
    // An end that tells another count than there are appends has no effect.
    if (chain.part === "ends")
      return chain.key === joined - 1 && (write === undefined) !== (then === undefined);
    return Number(chain.key) <= joined && isOther(write, then);
  }

  #isStroke(object: ObjectRegisters): boolean {
    return this.#before.top(object.kind)?.value === STROKE;
  }

  #changesPoints(strokes: ReadonlySet<ObjectRegisters>): boolean {
    for (const stroke of strokes) {
      const [before, then] = [renderPoints(stroke, this.#before.top), renderPoints(stroke, this.#top)];
      if (!isEqual({ ...before }, { ...then })) return true;
    }
    return false;
  }

  /** Whether another clear decides, and an object appears or disappears to which the unit has not written. */
  #changesClear(): boolean {
    const [before, after] = [this.#before.cleared, this.#cleared];
    if (before === after) return false;
    const [from, to] = [Math.min(before, after), Math.max(before, after)];
    const above = (revision: number) => (other: Decided) => other.place.created - revision;
    const written = new Set<string>();
    for (const address of this.#unit.registers) {
      // What it wrote may have been forgotten, and another object of that id created since.
      if (address.object === undefined || this.#state.find(address)?.of(this.#unit.first) === undefined)
        continue;
      written.add(address.object.id);
    }
    for (const { id } of between(this.#before.created, above(from), above(to))) {
      if (!written.has(id)) return true;
    }
    return false;
  }

  /** Whether objects that look as before stand otherwise among the others, of which none has moved. */
  #changesOrder(moves: ReadonlyMap<string, Move>): boolean {
    if (moves.size === 0) return false;
    const above = (limit: Place) => (other: Decided) => comparePlaces(other.place, limit);
    for (const { from, to } of moves.values()) {
      const [low, high] = comparePlaces(from, to) < 0 ? [from, to] : [to, from];
      for (const { id } of between(this.#before.inOrder, above(low), above(high))) {
        if (!moves.has(id)) return true;
      }
    }
    const before = [...moves.values()].sort((a, b) => comparePlaces(a.from, b.from));
    const then = [...moves.values()].sort((a, b) => comparePlaces(a.to, b.to));
    return before.some((move, index) => move !== then[index]);
  }
}

/** Whether the values of two writes look otherwise. To be unset and not to be there look alike. */
function isOther(a: Write<unknown> | undefined, b: Write<unknown> | undefined): boolean {
  return !isEqual(a?.value as Json | undefined, b?.value as Json | undefined);
}
