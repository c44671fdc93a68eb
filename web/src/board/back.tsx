// The way back to the drawing, for whoever has lost sight of it.

import { LocateFixed } from "lucide-react";
import type { Board } from "./board.js";
import { useUi } from "./ui.js";
import { showAll } from "./zoom.js";

export function Back({ board }: { board: Board }) {
  const isAstray = useUi(board.ui, (ui) => ui.isAstray);
  if (!isAstray) return null;
  return (
    <button
      type="button"
      className="button back"
      data-testid="back-to-drawing"
      onClick={() => showAll(board)}
    >
      <LocateFixed aria-hidden="true" /> Back to the drawing
    </button>
  );
}
