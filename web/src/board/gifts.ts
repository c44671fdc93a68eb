// What comes from elsewhere: objects, images and texts that are pasted or dropped. Fields and dialogs keep what is theirs.

import { toWorld } from "../scene/camera.js";
import { centreOf, type Vec } from "../scene/geometry.js";
import { insertImages, isImage } from "../tools/image.js";
import { svgFile } from "../tools/svg-file.js";
import { insertText } from "../tools/text.js";
import type { Board } from "./board.js";
import { isElsewhere, Pasting } from "./copying.js";

/** How long after the middle button a paste is that button's, in milliseconds. */
const MIDDLE_FOR = 500;
const MIDDLE = 1;
const SVG = /^(<\?xml[^>]*>\s*)?(<!--[^>]*-->\s*)?<svg[\s>]/;
const MAY_NOT = "You may look at this drawing, not change it.";

/** Takes them until the returned function is called. */
export function takeGifts(board: Board): () => void {
  const abort = new AbortController();
  const { signal } = abort;
  const pasting = new Pasting(board);
  const isMiddle = watchMiddleButton(signal);
  addEventListener(
    "paste",
    (event) => {
      if (isMiddle(event)) {
        event.preventDefault();
        return;
      }
      if (isElsewhere(event)) return;
      const { clipboardData } = event;
      if (board.canEdit && pasting.take(clipboardData)) event.preventDefault();
      else if (take(board, clipboardData, centreOf(board.stage.viewport))) event.preventDefault();
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

/**
 * On Linux the middle button pastes what is selected in whatever program: something private, where others look on. On the
 * paper, and where a text is being written on it, that button moves the paper and nothing else. Returns whether a paste
 * comes from it: browsers differ in which of its events they let that be prevented by.
 */
function watchMiddleButton(signal: AbortSignal): (paste: Event) => boolean {
  let at = -Infinity;
  const watch = (event: MouseEvent) => {
    const { target } = event;
    if (event.button !== MIDDLE || !(target instanceof Element)) return;
    if (target.closest(".stage, .writing") === null) return;
    event.preventDefault();
    at = event.timeStamp;
  };
  for (const type of ["pointerdown", "mousedown", "pointerup", "mouseup", "auxclick"] as const) {
    addEventListener(type, watch, { signal, capture: true });
  }
  const forget = () => {
    at = -Infinity;
  };
  addEventListener("keydown", forget, { signal, capture: true });
  return ({ timeStamp }) => timeStamp - at < MIDDLE_FOR;
}

/** Returns whether there was anything to be taken. */
function take(board: Board, data: DataTransfer | null, at: Vec): boolean {
  const files = [...(data?.files ?? [])];
  const text = data?.getData("text/plain").trim() ?? "";
  if (files.length === 0 && text === "") return false;
  if (!board.canEdit) board.notify(MAY_NOT);
  // A program may give its text as a picture, too, and a picture as text.
  else if (files.some(isImage) || text === "") void insertImages(board, files, at);
  else {
    const picture = SVG.test(text) ? svgFile(text) : undefined;
    if (picture === undefined) insertText(board, text, at);
    else void insertImages(board, [picture], at);
  }
  return true;
}
