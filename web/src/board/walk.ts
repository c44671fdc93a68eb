// The drawing by keyboard: Tab goes through its objects, and Enter draws with the tool that is chosen.

import type { ViewObject } from "../revcast.js";
import { toWorld } from "../scene/camera.js";
import { centreOf, type Vec } from "../scene/geometry.js";
import { write } from "../tools/text.js";
import type { Pointer } from "../tools/tool.js";
import type { Board } from "./board.js";
import { describe, nameOf } from "./describe.js";

/** How far an arrow reaches to both sides of the middle, in pixels. */
const REACH = 80;
/** What is drawn where something is already is drawn so far from it, in pixels, if that is free. */
const BESIDE = 24;
const MOST_BESIDE = 12;

/**
 * Goes on to the next object from the back to the front, or back to the one before. Returns false beyond the last and the
 * first: from there the focus goes on to what else is on the page.
 */
export function walk(board: Board, isBack: boolean): boolean {
  const { stage, ui } = board;
  stage.sync();
  const objects = stage.scene.objects.filter(
    ({ object_id, kind }) =>
      stage.scene.entry(object_id) !== undefined && (kind !== "fog" || board.isOwner || !board.isNow),
  );
  const { focused, selection } = ui.getState();
  const from = focused ?? (selection.length === 1 ? selection[0] : undefined);
  const at = objects.findIndex(({ object_id }) => object_id === from);
  const to = at < 0 ? (isBack ? -1 : 0) : isBack ? at - 1 : at + 1;
  const object = objects[to];
  if (object === undefined) {
    ui.setState({ focused: undefined });
    return false;
  }
  focus(board, object, describe(object, to + 1, objects.length));
  return true;
}

function focus(board: Board, { object_id }: ViewObject, spoken: string): void {
  const { stage, ui } = board;
  stage.element.focus({ preventScroll: true });
  if (board.canEdit) board.setTool("select");
  ui.setState({ focused: object_id, spoken, ...(board.canEdit ? { selection: [object_id] } : {}) });
  const entry = stage.scene.entry(object_id);
  board.drawing.presence.follow(null);
  if (entry !== undefined) stage.reveal(entry.box);
}

/** Draws in the middle of what is seen, or opens the text that is selected. Returns whether there was anything to do. */
export function enter(board: Board): boolean {
  if (!board.canEdit) return false;
  const { stage, ui } = board;
  const { tool, selection } = ui.getState();
  if (tool === "select") {
    const object = selection.length === 1 ? stage.scene.entry(selection[0] ?? "")?.object : undefined;
    if (object?.kind === "text") write(board, object);
    return object?.kind === "text";
  }
  if (tool !== "rect" && tool !== "ellipse" && tool !== "arrow" && tool !== "text") return false;
  board.abandon();
  const reach = tool === "arrow" ? REACH : 0;
  const { x, y } = freePlace(board);
  board.tool.down(pointerAt(board, { x: x - reach, y }));
  board.tool.up(pointerAt(board, { x: x + reach, y }));
  const made = board.selected()[0]?.object;
  if (tool !== "text" && made !== undefined) {
    stage.element.focus({ preventScroll: true });
    ui.setState({ focused: made.object_id, spoken: `${nameOf(made)} drawn` });
  }
  return true;
}

/** In pixels of the stage: its middle, or near it where something has its middle there already. */
function freePlace(board: Board): Vec {
  const { stage } = board;
  stage.sync();
  const middle = { x: stage.size.width / 2, y: stage.size.height / 2 };
  for (let nth = 0; nth < MOST_BESIDE; nth += 1) {
    const place = { x: middle.x + nth * BESIDE, y: middle.y + nth * BESIDE };
    const { x, y } = toWorld(stage.camera, place);
    const near = BESIDE / 4 / stage.camera.zoom;
    const isTaken = stage.scene
      .within({ minX: x - near, minY: y - near, maxX: x + near, maxY: y + near })
      .some(({ box }) => Math.hypot(centreOf(box).x - x, centreOf(box).y - y) < near);
    if (!isTaken) return place;
  }
  return middle;
}

/** As if a mouse were there. */
function pointerAt(board: Board, screen: Vec): Pointer {
  const world = toWorld(board.stage.camera, screen);
  const path = [{ world, pressure: undefined }];
  return { world, screen, pressure: undefined, shift: false, alt: false, slack: 0, isTouch: false, path };
}

/** Who goes on by pointer, or leaves the drawing, has no object in focus any more. Listens until the result is called. */
export function watchFocus({ stage, ui }: Board): () => void {
  const abort = new AbortController();
  for (const type of ["pointerdown", "blur"] as const) {
    stage.element.addEventListener(type, () => ui.setState({ focused: undefined }), {
      signal: abort.signal,
    });
  }
  return () => abort.abort();
}

/** Where Escape leads when there is nothing else to let go: to the tool that is chosen. */
export function leaveStage(): void {
  const tools = document.querySelector<HTMLElement>(".toolbar [aria-pressed=true]");
  tools?.focus();
}
