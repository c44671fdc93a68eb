// Hit testing of lines and polygons. Pure.

import { type Box, distanceSquared, holds, type Vec } from "./geometry.js";

/** Whether `at` is within `reach` of the line through `points`. */
export function isOnLine(at: Vec, points: readonly Vec[], reach: number): boolean {
  const square = reach * reach;
  const first = points[0];
  if (first === undefined) return false;
  if (points.length === 1) return distanceSquared(at, first, first) <= square;
  let a = first;
  for (let nth = 1; nth < points.length; nth += 1) {
    const b = points[nth];
    if (b === undefined) break;
    if (distanceSquared(at, a, b) <= square) return true;
    a = b;
  }
  return false;
}

/** Whether `at` is inside the polygon, by the even-odd rule. */
export function isInside(at: Vec, corners: readonly Vec[]): boolean {
  let inside = false;
  let b = corners[corners.length - 1];
  for (const a of corners) {
    if (b !== undefined && a.y > at.y !== b.y > at.y) {
      if (at.x < ((b.x - a.x) * (at.y - a.y)) / (b.y - a.y) + a.x) inside = !inside;
    }
    b = a;
  }
  return inside;
}

/** The places on the way from `from` to `to`, not farther apart than `step`. The first is left out. */
export function waypoints(from: Vec, to: Vec, step: number): Vec[] {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const count = Math.min(200, Math.max(1, Math.ceil(Math.hypot(dx, dy) / step)));
  return Array.from({ length: count }, (_, nth) => {
    const part = (nth + 1) / count;
    return { x: from.x + dx * part, y: from.y + dy * part };
  });
}

export const HANDLES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"] as const;
export type Handle = (typeof HANDLES)[number];

/** Where a handle of a box is. */
export function handleAt(box: Box, handle: Handle): Vec {
  const x = handle.includes("w") ? box.minX : handle.includes("e") ? box.maxX : (box.minX + box.maxX) / 2;
  const y = handle.includes("n") ? box.minY : handle.includes("s") ? box.maxY : (box.minY + box.maxY) / 2;
  return { x, y };
}

/** The handle under `at`; corners go before edges. */
export function handleUnder(box: Box, at: Vec, reach: number): Handle | undefined {
  const near = (handle: Handle) => {
    const place = handleAt(box, handle);
    return holds(
      { minX: place.x - reach, minY: place.y - reach, maxX: place.x + reach, maxY: place.y + reach },
      at,
    );
  };
  return HANDLES.find((handle) => handle.length === 2 && near(handle)) ?? HANDLES.find(near);
}
