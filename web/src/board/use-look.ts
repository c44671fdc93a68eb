// What colour, width and filling the buttons show: that of the selection, or of what is drawn next.

import { useCallback, useSyncExternalStore } from "react";
import { type Look, lookOf } from "../tools/look.js";
import type { Board } from "./board.js";
import { useUi } from "./ui.js";

/** How the selection looks; nothing without one. */
export function useSelectionLook(board: Board): Look | undefined {
  const listen = useCallback(
    (listener: () => void) => {
      const ends = [
        // Not with each change: to look at thousands of objects is for the frame that shows them.
        board.stage.onFrame(() => {
          listener();
          return false;
        }),
        board.ui.subscribe((now, before) => {
          if (now.selection !== before.selection) listener();
        }),
      ];
      return () => {
        for (const end of ends) end();
      };
    },
    [board],
  );
  const told = useSyncExternalStore(listen, () => tell(board));
  return told === undefined ? undefined : (JSON.parse(told) as Look);
}

/** The colour that the button shows: none where the selection has several, or none at all. */
export function useShownColour(board: Board): string | undefined {
  const look = useSelectionLook(board);
  const next = useUi(board.ui, (ui) => ui.colour);
  if (look === undefined) return next;
  return look.colour === "mixed" ? undefined : look.colour;
}

/** Looks of the same objects, by the array of them: asked by each button, and at each of its renderings. */
const told = new WeakMap<object, string>();

/** As a string, which is equal to the same one. */
function tell(board: Board): string | undefined {
  if (board.ui.getState().selection.length === 0) return undefined;
  const entries = board.selected();
  let look = told.get(entries);
  if (look === undefined) {
    look = JSON.stringify(lookOf(entries.map(({ object }) => object)));
    told.set(entries, look);
  }
  return look;
}
