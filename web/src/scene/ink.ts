// The points of a pen with a pressure each, and close enough together to be outlined. Pure.

import type { Point } from "../revcast.js";

/** The same as in the server's SVG export (`src/model/svg/stroke.rs`). */
const START_PRESSURE = 0.5;
const PRESSURE_RATE = 0.275;
/** The longest way between two points, in sizes: between sharp corners, longer ones would be pinched. */
const LONGEST = 1.2;
/** Into how many pieces a way is divided at most. */
const MOST_PIECES = 6;

/** `[x, y, pressure]` of each point. Where the device tells no pressure, a fast pen is a light one. */
export function weighed(points: readonly Point[], size: number): [number, number, number][] {
  const first = points[0];
  if (first === undefined) return [];
  const isTold = first[2] !== undefined;
  let [lastX, lastY] = first;
  let pressure = first[2] ?? START_PRESSURE;
  const out: [number, number, number][] = [[lastX, lastY, pressure]];
  for (const [x, y, given] of points.slice(1)) {
    const before = pressure;
    const way = Math.hypot(x - lastX, y - lastY);
    if (given !== undefined) pressure = (pressure + given) / 2;
    else if (!isTold) pressure = simulated(pressure, way / size);
    const pieces = Math.min(MOST_PIECES, Math.max(1, Math.ceil(way / (size * LONGEST))));
    for (let nth = 1; nth <= pieces; nth += 1) {
      const part = nth / pieces;
      out.push([lastX + (x - lastX) * part, lastY + (y - lastY) * part, before + (pressure - before) * part]);
    }
    [lastX, lastY] = [x, y];
  }
  return out;
}

/** The pressure after a step of this many sizes. */
function simulated(pressure: number, step: number): number {
  const speed = Math.min(step, 1);
  return pressure + (1 - speed - pressure) * speed * PRESSURE_RATE;
}
