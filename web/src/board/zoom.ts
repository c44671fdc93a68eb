// Looking about by buttons and keys. Whoever does, follows nobody any more.

import { panned, zoomedTo } from "../scene/camera.js";
import type { Board } from "./board.js";

export function zoomBy(board: Board, factor: number): void {
  zoomTo(board, board.stage.camera.zoom * factor);
}

/** About the middle of the screen. */
export function zoomTo(board: Board, zoom: number): void {
  board.drawing.presence.follow(null);
  const { size, camera } = board.stage;
  board.stage.look(zoomedTo(camera, { x: size.width / 2, y: size.height / 2 }, zoom));
}

/** Pushes the picture by that many pixels. */
export function panBy(board: Board, dx: number, dy: number): void {
  board.drawing.presence.follow(null);
  board.stage.look(panned(board.stage.camera, dx, dy));
}

export function showAll(board: Board): void {
  board.drawing.presence.follow(null);
  if (!board.stage.fit(true)) board.notify("The drawing is too wide for the screen: this is a part of it.");
}
