// What comes from elsewhere: images and texts that are pasted or dropped. Fields and dialogs keep what is theirs.

import { toWorld } from "../scene/camera.js";
import { centreOf, type Vec } from "../scene/geometry.js";
import { imageIn, insertImage } from "../tools/image.js";
import { insertText } from "../tools/text.js";
import type { Board } from "./board.js";

/** Takes them until the returned function is called. */
export function takeGifts(board: Board): () => void {
  const abort = new AbortController();
  const { signal } = abort;
  addEventListener(
    "paste",
    (event) => {
      if (isElsewhere(event)) return;
      if (take(board, event.clipboardData, centreOf(board.stage.viewport))) event.preventDefault();
    },
    { signal },
  );
  addEventListener("dragover", (event) => event.preventDefault(), { signal });
  addEventListener(
    "drop",
    (event) => {
      if (isElsewhere(event)) return;
      // Or the browser leaves the page for what was dropped.
      event.preventDefault();
      const { left, top } = board.stage.element.getBoundingClientRect();
      const place = { x: event.clientX - left, y: event.clientY - top };
      take(board, event.dataTransfer, toWorld(board.stage.camera, place));
    },
    { signal },
  );
  return () => abort.abort();
}

function isElsewhere({ target }: Event): boolean {
  if (document.querySelector("dialog[open]") !== null) return true;
  return target instanceof HTMLElement && target.closest("input, textarea") !== null;
}

function take(board: Board, data: DataTransfer | null, at: Vec): boolean {
  if (!board.canEdit) return false;
  const image = imageIn(data);
  const text = data?.getData("text/plain").trim() ?? "";
  if (image !== undefined) void insertImage(board, image, at);
  else if (text !== "") insertText(board, text, at);
  else return false;
  return true;
}
