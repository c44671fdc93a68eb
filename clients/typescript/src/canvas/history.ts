// What can be undone and redone, and which unit is picked.

import { Picker } from "./picker.js";
import type { State } from "./state.js";
import { isLive, type Unit } from "./units.js";

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

/**
 * A unit can be seen if toggling it changes the picture, or would change it if all other units in scope were undone. So
 * what is hidden by later units of the same scope gets its turn when they are undone, and redo goes the same way back.
 */
export function historyOf(state: State, scope: Scope): History {
  const units = state.units.all();
  const inScope = units.filter(({ draws, actor }) => draws && (scope === "all" || actor === scope.mine));
  const picker = new Picker(state, scope === "all" ? undefined : scope.mine);

  const undo = inScope.findLast((unit) => isLive(unit) && picker.isSeen(unit));
  const undone = inScope.filter((unit) => !isLive(unit));
  const redo = undone.length === 0 ? undefined : redoOf(units, undone, picker);
  return { undoUnit: undo?.id ?? null, redoUnit: redo?.id ?? null };
}

function redoOf(units: readonly Unit[], undone: readonly Unit[], picker: Picker): Unit | undefined {
  const latest = new Map<string, number>();
  for (const unit of units) if (unit.draws) latest.set(unit.actor, unit.first);
  const undoneAt = (unit: Unit) => unit.toggled?.revision ?? 0;
  return undone
    .filter((unit) => (latest.get(unit.actor) ?? 0) < undoneAt(unit))
    .sort((a, b) => undoneAt(b) - undoneAt(a))
    .find((unit) => picker.isSeen(unit));
}
