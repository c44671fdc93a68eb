// Whether there is something to undo, for buttons: looked for once after a change of many ops, not once for each.

import { useCallback, useSyncExternalStore } from "react";
import type { Drawing, UndoScope } from "../revcast.js";

export interface UndoLook {
  readonly canUndo: boolean;
  readonly canRedo: boolean;
  /** The revision up to which nothing can be undone any more. */
  readonly undoFloor: number;
}

export function useUndoLook(drawing: Drawing, scope: UndoScope = "mine"): UndoLook {
  const listen = useCallback((listener: () => void) => afterChanges(drawing, listener), [drawing]);
  // A value of its own, which is equal to itself.
  const look = useSyncExternalStore(listen, () => {
    const { canUndo, canRedo } = drawing.history(scope);
    return (canUndo ? 1 : 0) + (canRedo ? 2 : 0);
  });
  const undoFloor = useSyncExternalStore(listen, () => drawing.undoFloor);
  return { canUndo: (look & 1) !== 0, canRedo: (look & 2) !== 0, undoFloor };
}

/** Calls the listener when those changes are over that come one after the other. */
export function afterChanges(drawing: Drawing, listener: () => void): () => void {
  let isWaiting = false;
  let isOver = false;
  const end = drawing.onChange(() => {
    if (isWaiting) return;
    isWaiting = true;
    queueMicrotask(() => {
      isWaiting = false;
      if (!isOver) listener();
    });
  });
  return () => {
    isOver = true;
    end();
  };
}
