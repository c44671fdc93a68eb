// Folding: units are closed, and what only they could still bring back is forgotten.

import type { State } from "./state.js";
import { isLive } from "./units.js";

/**
 * Takes in a `fold` at the revision of the state. A valid one closes the units that began at or below `floor`; others
 * change nothing. Nothing changes that is seen, and nothing that an undo or redo of an open unit can show.
 */
export function fold(state: State, floor: number): void {
  const { floor: before, units, objects, clear, doubtful } = state;
  if (floor <= before || floor >= state.revision) return;
  state.floor = floor;
  foldContested(state);
  const closedClear = clear.base(floor)?.revision ?? 0;
  // It hides what closed units have created below it. Where both were closed by an earlier fold, that one has looked.
  const mayBeGone = closedClear > before ? [...objects].map(([, object]) => object) : doubtful;
  for (const object of mayBeGone) {
    const isGone = object.isGone(floor, closedClear);
    if (!isGone && !doubtful.has(object)) continue;
    if (isGone) object.forget(floor, units);
    object.dropEmpty();
    // Another one may stand in the place of one that was forgotten before.
    if (object.isEmpty && objects.get(object.id) === object) objects.delete(object.id);
    if (object.isEmpty || object.isSettled) doubtful.delete(object);
    else doubtful.add(object);
  }
  units.close(floor);
}

/** Folds the registers of which more than one write may count, and those that an undone unit has written to. */
function foldContested({ floor, units, settings, contested, doubtful }: State): void {
  for (const unit of units.upTo(floor)) {
    if (isLive(unit)) continue;
    for (const chain of unit.registers) {
      contested.add(chain);
      if (chain.object !== undefined) doubtful.add(chain.object);
    }
  }
  for (const chain of contested) {
    chain.fold(floor, units);
    if (chain.size < 2) contested.delete(chain);
    if (chain.isEmpty && chain.part === "settings") settings.delete(String(chain.key));
  }
}
