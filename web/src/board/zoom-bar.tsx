// Undo and redo on the left, zoom on the right.

import { useConnection, useUndo } from "@revcast/react";
import { Maximize, Minus, Plus, Redo2, Undo2 } from "lucide-react";
import { redo, undo } from "./actions.js";
import type { Board } from "./board.js";
import { mayEdit, useUi } from "./ui.js";
import { whyNothing } from "./words.js";
import { showAll, zoomBy, zoomTo } from "./zoom.js";

export function ZoomBar({ board, isPast }: { board: Board; isPast: boolean }) {
  const zoom = useUi(board.ui, (ui) => ui.zoom);
  return (
    <>
      {!isPast && <UndoBar board={board} />}
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
  const { canUndo, canRedo, undoFloor } = useUndo(board.drawing);
  const { role, loaded, connection } = useConnection(board.drawing);
  const state = { role, loaded, connection, undoFloor };
  const canEdit = mayEdit(role, connection);
  const buttons = [
    { what: "undo", label: "Undo", key: "Ctrl+Z", Icon: Undo2, can: canUndo, act: undo },
    { what: "redo", label: "Redo", key: "Ctrl+Shift+Z", Icon: Redo2, can: canRedo, act: redo },
  ] as const;
  return (
    <div className="undo-bar panel" role="toolbar" aria-label="Undo and redo">
      {buttons.map(({ what, label, key, Icon, can, act }) => {
        const isOn = can && canEdit;
        const why = isOn ? undefined : whyNothing(what, "mine", state);
        return (
          <button
            key={what}
            type="button"
            className="tool"
            aria-label={label}
            aria-description={why}
            // One that is greyed can still be pressed, and then says why: a finger has no other way to ask.
            aria-disabled={!isOn}
            title={why ?? `${label} — ${key}`}
            onClick={() => act(board)}
            data-testid={what}
          >
            <Icon aria-hidden="true" />
          </button>
        );
      })}
    </div>
  );
}
