// What can be undone and redone, and which unit is picked.

import { isEqual } from "./canonical.js";
import type { Place } from "./object.js";
import { renderObject } from "./render.js";
import { comparePlaces } from "./screen.js";
import type { State } from "./state.js";
import { isLive, type Liveness, type Unit } from "./units.js";

/** Whose units are looked at: everyone's, or those that one actor began. */
export type Scope = "all" | { readonly mine: string };

/** What can be undone and redone; `null` when there is nothing. */
export interface History {
  /** The unit that an undo would pick: of those whose undoing can be seen, the one that began last. */
  readonly undoUnit: string | null;
  /**
   * The unit that a redo would pick: of those whose redoing can be seen, the one undone last. A unit is not redone
   * once its actor has begun another one.
   */
  readonly redoUnit: string | null;
}

export function historyOf(state: State, scope: Scope): History {
  const drawing = state.units.all().filter((unit) => unit.draws);
  const latest = new Map(drawing.map((unit) => [unit.actor, unit.first]));
  const inScope = drawing.filter((unit) => scope === "all" || unit.actor === scope.mine);

  const undo = inScope.findLast((unit) => isLive(unit) && isSeen(state, unit));
  const undoneAt = (unit: Unit) => unit.toggled?.revision ?? 0;
  const redo = inScope
    .filter((unit) => !isLive(unit) && (latest.get(unit.actor) ?? 0) < undoneAt(unit))
    .sort((a, b) => undoneAt(b) - undoneAt(a))
    .find((unit) => isSeen(state, unit));
  return { undoUnit: undo?.id ?? null, redoUnit: redo?.id ?? null };
}

/**
 * Whether undoing or redoing a unit would change the picture. It looks at no more than what the unit has written to:
 * there may be thousands of units.
 */
function isSeen(state: State, unit: Unit): boolean {
  const now = state.units.liveness;
  const then = state.units.toggling(unit);
  return (
    changesSettings(state, unit, now, then) ||
    changesClear(state, now, then) ||
    changesObjects(state, unit, now, then)
  );
}

/** Whether a property of the canvas has another value. To be unset and not to be there look alike. */
function changesSettings(state: State, unit: Unit, now: Liveness, then: Liveness): boolean {
  for (const key of unit.settings) {
    const chain = state.settings.get(key);
    if (!isEqual(chain?.top(now)?.value, chain?.top(then)?.value)) return true;
  }
  return false;
}

/** Whether another clear decides, and objects appear or disappear with it. */
function changesClear(state: State, now: Liveness, then: Liveness): boolean {
  const [before, after] = [state.cleared(now), state.cleared(then)];
  if (before === after) return false;
  for (const [, object] of state.objects) {
    if ((object.place(now, before) === undefined) !== (object.place(then, after) === undefined)) return true;
  }
  return false;
}

/** Whether an object changes to which the unit has written, or its place among the others. */
function changesObjects(state: State, unit: Unit, now: Liveness, then: Liveness): boolean {
  const [before, after] = [state.cleared(now), state.cleared(then)];
  let isAnyMoved = false;
  for (const id of unit.objects) {
    const object = state.objects.get(id);
    const [from, to] = [object?.place(now, before), object?.place(then, after)];
    if ((from === undefined) !== (to === undefined)) return true;
    if (object === undefined || from === undefined || to === undefined) continue;
    if (!isEqual({ ...renderObject(id, object, now) }, { ...renderObject(id, object, then) })) return true;
    isAnyMoved ||= from.created !== to.created;
  }
  return isAnyMoved && !isEqual(orderOf(state, now), orderOf(state, then));
}

/** The objects that are seen, in screen order. */
function orderOf(state: State, liveness: Liveness): string[] {
  const cleared = state.cleared(liveness);
  const seen: { id: string; place: Place }[] = [];
  for (const [id, object] of state.objects) {
    const place = object.place(liveness, cleared);
    if (place !== undefined) seen.push({ id, place });
  }
  return seen.sort((a, b) => comparePlaces(a.place, b.place)).map((object) => object.id);
}
