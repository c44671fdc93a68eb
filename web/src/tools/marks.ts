// What is marked on the board: my selection with its handles, and the selections of others in their colours.

import type { Board } from "../board/board.js";
import { colourAmong } from "../presence/colour.js";
import { editingOf, selectionOf } from "../presence/state.js";
import { type Camera, toScreen } from "../scene/camera.js";
import type { Box } from "../scene/geometry.js";
import { HANDLES, handleAt } from "../scene/hit.js";

export const ACCENT = "#4f5bd5";
/** Around what is selected, in pixels. */
export const MARGIN = 5;
const HANDLE = 9;
/** Of more objects, only the box around them all is shown. */
const MANY = 200;

export function screenBox(camera: Camera, box: Box, margin: number): Box {
  const a = toScreen(camera, { x: box.minX, y: box.minY });
  const b = toScreen(camera, { x: box.maxX, y: box.maxY });
  return { minX: a.x - margin, minY: a.y - margin, maxX: b.x + margin, maxY: b.y + margin };
}

export function paintSelection(ctx: CanvasRenderingContext2D, camera: Camera, board: Board): void {
  const { selection, tool } = board.ui.getState();
  if (selection.length === 0 || tool !== "select" || isChanging) return;
  const { scene } = board.stage;
  if (selection.length > 1 && selection.length <= MANY) {
    ctx.lineWidth = 1;
    ctx.strokeStyle = `${ACCENT}80`;
    for (const id of selection) {
      const entry = scene.entry(id);
      if (entry !== undefined) strokeBox(ctx, screenBox(camera, entry.box, 1));
    }
  }
  const box = board.selectionBox();
  if (box !== undefined) paintFrame(ctx, screenBox(camera, box, MARGIN));
}

/** Whether what is selected is being moved or scaled: then the tool paints the frame. */
let isChanging = false;

export function setChanging(is: boolean): void {
  isChanging = is;
}

/** The frame of a selection, with its handles. */
export function paintFrame(ctx: CanvasRenderingContext2D, box: Box): void {
  ctx.strokeStyle = ACCENT;
  ctx.lineWidth = 1.5;
  strokeBox(ctx, box);
  const isSmall = box.maxX - box.minX < 4 * HANDLE || box.maxY - box.minY < 4 * HANDLE;
  for (const handle of HANDLES) {
    if (isSmall && handle.length === 1) continue;
    const { x, y } = handleAt(box, handle);
    ctx.beginPath();
    ctx.roundRect(x - HANDLE / 2, y - HANDLE / 2, HANDLE, HANDLE, 2.5);
    ctx.fillStyle = "#ffffff";
    ctx.fill();
    ctx.stroke();
  }
}

export function paintOthers(ctx: CanvasRenderingContext2D, camera: Camera, board: Board): void {
  ctx.lineWidth = 1.5;
  ctx.setLineDash([5, 4]);
  const { others, users } = board.drawing.presence;
  for (const other of others) {
    const ids = [...selectionOf(other.state), editingOf(other.state) ?? ""].filter((id) => id !== "");
    if (ids.length === 0) continue;
    ctx.strokeStyle = colourAmong(users, other.user_id);
    for (const id of ids) {
      const entry = board.stage.scene.entry(id);
      if (entry !== undefined) strokeBox(ctx, screenBox(camera, entry.box, 3));
    }
  }
  ctx.setLineDash([]);
}

export function strokeBox(ctx: CanvasRenderingContext2D, { minX, minY, maxX, maxY }: Box): void {
  ctx.strokeRect(minX, minY, maxX - minX, maxY - minY);
}
