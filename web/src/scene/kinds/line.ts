// Shapes along a line: straight lines, polylines, and SVG paths.

import type { JsonObject } from "../../revcast.js";
import { type Box, boxAround, grown, holds, moved, type Vec } from "../geometry.js";
import { isOnLine } from "../hit.js";
import { colour, INK, number, paintOf, places, shift, text } from "../props.js";
import type { Shape } from "../shape.js";
import { apply } from "./box.js";

/** From one end to the other, or through each of `points`. None if it goes nowhere. */
export function lineShape(props: JsonObject): Shape | undefined {
  const { x, y } = shift(props);
  const way = wayOf(props).map((place) => ({ x: place.x + x, y: place.y + y }));
  const box = boxAround(way);
  if (box === undefined || (box.minX === box.maxX && box.minY === box.maxY)) return undefined;
  const { width } = paintOf(props);
  const stroke = colour(props, "stroke", "color") ?? INK;
  return {
    box: grown(box, width / 2),
    paint(ctx) {
      ctx.beginPath();
      for (const place of way) ctx.lineTo(place.x, place.y);
      ctx.lineCap = "round";
      ctx.lineJoin = "round";
      apply(ctx, { fill: undefined, stroke, width });
      ctx.lineCap = "butt";
      ctx.lineJoin = "miter";
    },
    hit: (at, slack) => isOnLine(at, way, width / 2 + slack),
  };
}

/** The places that a line goes through, before it is moved as a whole. */
export function wayOf(props: JsonObject): Vec[] {
  const way = places(props, "points");
  if (way.length >= 2) return way;
  const end = (x: string, y: string) => ({ x: number(props, x) ?? 0, y: number(props, y) ?? 0 });
  return [end("x1", "y1"), end("x2", "y2")];
}

const PATH_DATA = /^[MmLlHhVvCcSsQqTtAaZz\s,0-9+\-.eE]+$/;

/** None without path data that can be drawn. */
export function pathShape(props: JsonObject): Shape | undefined {
  const data = text(props, "d");
  if (data === undefined || !PATH_DATA.test(data)) return undefined;
  const { x, y } = shift(props);
  const paint = paintOf(props);
  const drawn = boxOfPath(data);
  if (drawn === undefined) return undefined;
  const box = grown(moved(drawn, x, y), paint.width / 2);
  let path: Path2D | undefined;
  const shape = () => {
    path ??= new Path2D(data);
    return path;
  };
  return {
    box,
    paint(ctx) {
      ctx.translate(x, y);
      ctx.lineJoin = "round";
      apply(ctx, paint, shape());
      ctx.lineJoin = "miter";
      ctx.translate(-x, -y);
    },
    hit(at, slack) {
      if (!holds(grown(box, slack), at)) return false;
      const ctx = scratch();
      if (ctx === undefined) return true;
      ctx.lineWidth = paint.width + 2 * slack;
      const [localX, localY] = [at.x - x, at.y - y];
      if (ctx.isPointInStroke(shape(), localX, localY)) return true;
      return paint.fill !== undefined && ctx.isPointInPath(shape(), localX, localY);
    },
  };
}

/** How many numbers each command of path data takes, and which of them, from the end, are places. */
const ARITY: Record<string, number> = { M: 2, L: 2, H: 1, V: 1, C: 6, S: 4, Q: 4, T: 2, A: 7 };

/** A box with all of the path in it: that of its points and control points; of arcs, of their whole circles. */
export function boxOfPath(data: string): Box | undefined {
  const points: Vec[] = [];
  let at: Vec = { x: 0, y: 0 };
  let start = at;
  for (const [, letter = "", rest = ""] of data.matchAll(/([A-DF-Za-df-z])([^A-DF-Za-df-z]*)/g)) {
    const numbers = (rest.match(/[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?/g) ?? []).map(Number);
    const upper = letter.toUpperCase();
    const isRelative = letter !== upper;
    const count = ARITY[upper];
    if (count === undefined) {
      at = start;
      continue;
    }
    for (let nth = 0; nth + count <= numbers.length; nth += count) {
      const given = numbers.slice(nth, nth + count);
      const base = isRelative ? at : { x: 0, y: 0 };
      const place = (i: number) => ({ x: base.x + (given[i] ?? 0), y: base.y + (given[i + 1] ?? 0) });
      const from = at;
      if (upper === "H") at = { x: base.x + (given[0] ?? 0), y: at.y };
      else if (upper === "V") at = { x: at.x, y: base.y + (given[0] ?? 0) };
      else at = place(count - 2);
      if (upper === "M" && nth === 0) start = at;
      if (upper === "A") {
        const reach = 2 * Math.max(Math.abs(given[0] ?? 0), Math.abs(given[1] ?? 0));
        for (const end of [from, at]) {
          points.push({ x: end.x - reach, y: end.y - reach }, { x: end.x + reach, y: end.y + reach });
        }
      } else {
        for (let i = 0; i + 2 < count; i += 2) points.push(place(i));
      }
      points.push(at);
    }
  }
  return points.length < 2 ? undefined : boxAround(points);
}

let context: CanvasRenderingContext2D | null | undefined;

/** A context to ask about paths; none where there is no page. */
export function scratch(): CanvasRenderingContext2D | undefined {
  if (context === undefined) {
    context = typeof document === "undefined" ? null : document.createElement("canvas").getContext("2d");
  }
  return context ?? undefined;
}
