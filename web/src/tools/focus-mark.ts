// The mark of the object that has the focus of the keyboard: seen on any colour.

import type { Board } from "../board/board.js";
import type { Camera } from "../scene/camera.js";
import { ACCENT, MARGIN, screenBox, strokeBox } from "./marks.js";

const RING = { halo: 7, line: 3 };
/** Around the frame of a selection, in pixels. */
const BEYOND = 6;

export function paintFocus(ctx: CanvasRenderingContext2D, camera: Camera, board: Board): void {
  const { focused } = board.ui.getState();
  const entry = focused === undefined ? undefined : board.stage.scene.entry(focused);
  if (entry === undefined) return;
  const box = screenBox(camera, entry.box, MARGIN + BEYOND);
  ctx.strokeStyle = "#ffffff";
  ctx.lineWidth = RING.halo;
  strokeBox(ctx, box);
  ctx.strokeStyle = ACCENT;
  ctx.lineWidth = RING.line;
  strokeBox(ctx, box);
}
