// The camera: which part of the plane the screen shows. Pure functions on plain values; never touches the page.

import { type Box, centreOf, type Size, sizeOf, type Vec } from "./geometry.js";

/** The world place in the upper left corner of the screen, and CSS pixels per world unit. */
export interface Camera {
  readonly x: number;
  readonly y: number;
  readonly zoom: number;
}

export const MIN_ZOOM = 0.05;
export const MAX_ZOOM = 16;

export const HOME: Camera = { x: 0, y: 0, zoom: 1 };

export function clampZoom(zoom: number): number {
  return Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, zoom));
}

export function toWorld(camera: Camera, screen: Vec): Vec {
  return { x: camera.x + screen.x / camera.zoom, y: camera.y + screen.y / camera.zoom };
}

export function toScreen(camera: Camera, world: Vec): Vec {
  return { x: (world.x - camera.x) * camera.zoom, y: (world.y - camera.y) * camera.zoom };
}

/** The camera after the picture has been pushed by that many pixels. */
export function panned(camera: Camera, dx: number, dy: number): Camera {
  return { x: camera.x - dx / camera.zoom, y: camera.y - dy / camera.zoom, zoom: camera.zoom };
}

/** The camera at another zoom, with the same world place under `screen` as before. */
export function zoomedTo(camera: Camera, screen: Vec, zoom: number): Camera {
  const to = clampZoom(zoom);
  const { x, y } = toWorld(camera, screen);
  return { x: x - screen.x / to, y: y - screen.y / to, zoom: to };
}

/** The part of the plane that is seen. */
export function viewportOf(camera: Camera, size: Size): Box {
  return {
    minX: camera.x,
    minY: camera.y,
    maxX: camera.x + size.width / camera.zoom,
    maxY: camera.y + size.height / camera.zoom,
  };
}

/** The camera that shows all of `box`, with `margin` pixels around it, and magnified to `most` at most. */
export function fitting(box: Box, size: Size, margin: number, most: number = MAX_ZOOM): Camera {
  const { width, height } = sizeOf(box);
  const room = { width: Math.max(1, size.width - 2 * margin), height: Math.max(1, size.height - 2 * margin) };
  const zoom = clampZoom(
    Math.min(most, room.width / Math.max(width, 1e-6), room.height / Math.max(height, 1e-6)),
  );
  const centre = centreOf(box);
  return { x: centre.x - size.width / zoom / 2, y: centre.y - size.height / zoom / 2, zoom };
}

/** Where a camera is on its way to another: `part` is 0 at `from` and 1 at `to`. Zoom goes by factors. */
export function between(from: Camera, to: Camera, part: number, size: Size): Camera {
  const zoom = from.zoom * (to.zoom / from.zoom) ** part;
  const a = centreOf(viewportOf(from, size));
  const b = centreOf(viewportOf(to, size));
  const centre = { x: a.x + (b.x - a.x) * part, y: a.y + (b.y - a.y) * part };
  return { x: centre.x - size.width / zoom / 2, y: centre.y - size.height / zoom / 2, zoom };
}

export function isNear(a: Camera, b: Camera): boolean {
  const slack = 0.5 / a.zoom;
  return Math.abs(a.x - b.x) < slack && Math.abs(a.y - b.y) < slack && Math.abs(a.zoom / b.zoom - 1) < 0.001;
}
