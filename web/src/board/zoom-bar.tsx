// Undo and redo on the left, zoom on the right.

import { useUndo } from "@revcast/react";
import { Maximize, Minus, Plus, Redo2, Undo2 } from "lucide-react";
import { redo, undo } from "./actions.js";
import type { Board } from "./board.js";
import { useUi } from "./ui.js";
import { showAll, zoomBy, zoomTo } from "./zoom.js";

export function ZoomBar({ board, canEdit }: { board: Board; canEdit: boolean }) {
  const zoom = useUi(board.ui, (ui) => ui.zoom);
  return (
    <>
      {canEdit && <UndoBar board={board} />}
      <div className="zoom-bar panel" role="toolbar" aria-label="Zoom">
        <button type="button" className="tool" aria-label="Zoom out" onClick={() => zoomBy(board, 0.8)}>
          <Minus aria-hidden="true" />
        </button>
        <button
          type="button"
          className="zoom"
          aria-label={`Zoom is ${Math.round(zoom * 100)} %. Set it to 100 %`}
          title="100 % — 0"
          onClick={() => zoomTo(board, 1)}
          data-testid="zoom"
        >
          {Math.round(zoom * 100)} %
        </button>
        <button type="button" className="tool" aria-label="Zoom in" onClick={() => zoomBy(board, 1.25)}>
          <Plus aria-hidden="true" />
        </button>
        <button
          type="button"
          className="tool"
          aria-label="Show everything"
          title="Show everything — Shift+1"
          onClick={() => showAll(board)}
        >
          <Maximize aria-hidden="true" />
        </button>
      </div>
    </>
  );
}

function UndoBar({ board }: { board: Board }) {
  const { canUndo, canRedo } = useUndo(board.drawing);
  return (
    <div className="undo-bar panel" role="toolbar" aria-label="Undo and redo">
      <button
        type="button"
        className="tool"
        aria-label="Undo"
        title="Undo — Ctrl+Z"
        disabled={!canUndo}
        onClick={() => undo(board)}
        data-testid="undo"
      >
        <Undo2 aria-hidden="true" />
      </button>
      <button
        type="button"
        className="tool"
        aria-label="Redo"
        title="Redo — Ctrl+Shift+Z"
        disabled={!canRedo}
        onClick={() => redo(board)}
        data-testid="redo"
      >
        <Redo2 aria-hidden="true" />
      </button>
    </div>
  );
}
