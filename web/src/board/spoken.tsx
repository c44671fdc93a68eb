// What is said to those who do not see the drawing, and how it is used without a pointer.

import type { Board } from "./board.js";
import { useUi } from "./ui.js";

/** The id of the words that describe the drawing. */
export const HOW = "how-to-draw";

export function Spoken({ board }: { board: Board }) {
  const spoken = useUi(board.ui, (ui) => ui.spoken);
  return (
    <>
      <p className="sr-only" id={HOW}>
        Tab goes through the objects, Escape leaves them for the tools. A letter chooses a tool, and Enter
        draws with it: R and Enter a rectangle. The question mark lists all keys.
      </p>
      <div className="sr-only" role="status" aria-live="polite" data-testid="spoken">
        {spoken}
      </div>
    </>
  );
}
