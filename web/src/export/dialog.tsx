// Exporting: which kind of picture.

import { useClient } from "@revcast/react";
import { FileImage, FileType } from "lucide-react";
import { useState } from "react";
import type { Board } from "../board/board.js";
import { Dialog } from "../board/dialog.js";
import { fileName, pngOf, save, svgOf } from "./export.js";

export function ExportDialog({ board, onClose }: { board: Board; onClose: () => void }) {
  const client = useClient();
  const [isTransparent, setIsTransparent] = useState(false);
  const [isBusy, setIsBusy] = useState(false);
  const [problem, setProblem] = useState<string>();

  const run = async (extension: "svg" | "png") => {
    setIsBusy(true);
    setProblem(undefined);
    try {
      const { past } = board.ui.getState();
      const blob =
        extension === "svg"
          ? await svgOf(client, board.drawing.id, past?.revision)
          : await pngOf(board.view, isTransparent);
      save(blob, fileName(document.title.replace(/ — Revcast$/, ""), extension));
      onClose();
    } catch {
      setProblem(
        extension === "svg"
          ? "The server could not be reached for the SVG."
          : "The picture could not be made.",
      );
      setIsBusy(false);
    }
  };
  return (
    <Dialog title="Export" onClose={onClose}>
      <p>
        All that is on the drawing{board.ui.getState().past === undefined ? "" : " at this revision"}, as a
        picture.
      </p>
      <label className="switch">
        <input
          type="checkbox"
          role="switch"
          aria-checked={isTransparent}
          checked={isTransparent}
          onChange={(event) => setIsTransparent(event.target.checked)}
        />
        <span>Transparent background (PNG)</span>
      </label>
      {problem !== undefined && (
        <p className="problem" role="alert">
          {problem}
        </p>
      )}
      <div className="row end">
        <button
          type="button"
          className="button"
          disabled={isBusy}
          onClick={() => void run("svg")}
          data-testid="export-svg"
        >
          <FileType aria-hidden="true" /> SVG
        </button>
        <button
          type="button"
          className="button primary"
          disabled={isBusy}
          onClick={() => void run("png")}
          data-testid="export-png"
        >
          <FileImage aria-hidden="true" /> PNG
        </button>
      </div>
    </Dialog>
  );
}
