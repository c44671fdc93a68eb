// Shapes with a box: rectangles, ellipses, fog, and what stands for the unknown.

import type { JsonObject } from "../../revcast.js";
import { boxAround, centreOf, grown, holds, sizeOf, type Vec } from "../geometry.js";
import { isInside, isOnLine } from "../hit.js";
import { colour, frame, hasFrame, type Paint, paintOf, places, positive, shift } from "../props.js";
import type { Shape } from "../shape.js";

const SIDE = 100;
const FOG_COLOUR = "#0b0f19";
const FOG_OPACITY = 0.85;
const PLACEHOLDER_COLOUR = "#888888";

export function boxShape(props: JsonObject): Shape {
  const box = frame(props, SIDE);
  const paint = paintOf(props);
  const { width, height } = sizeOf(box);
  const rx = Math.min(positive(props, "rx") ?? 0, width / 2, height / 2);
  const reach = paint.stroke === undefined ? 0 : paint.width / 2;
  return {
    box: grown(box, reach),
    paint(ctx) {
      ctx.beginPath();
      if (rx > 0) ctx.roundRect(box.minX, box.minY, width, height, rx);
      else ctx.rect(box.minX, box.minY, width, height);
      apply(ctx, paint);
    },
    hit(at, slack) {
      const edge = reach + slack;
      if (!holds(grown(box, edge), at)) return false;
      const isDeep = width > 2 * edge && height > 2 * edge && holds(grown(box, -edge), at);
      return paint.fill !== undefined || !isDeep;
    },
  };
}

export function ellipseShape(props: JsonObject): Shape {
  const box = frame(props, SIDE);
  const paint = paintOf(props);
  const centre = centreOf(box);
  const [rx, ry] = [(box.maxX - box.minX) / 2, (box.maxY - box.minY) / 2];
  const reach = paint.stroke === undefined ? 0 : paint.width / 2;
  const isWithin = (at: Vec, by: number) => {
    const [a, b] = [rx + by, ry + by];
    return a > 0 && b > 0 && ((at.x - centre.x) / a) ** 2 + ((at.y - centre.y) / b) ** 2 <= 1;
  };
  return {
    box: grown(box, reach),
    paint(ctx) {
      ctx.beginPath();
      ctx.ellipse(centre.x, centre.y, rx, ry, 0, 0, 2 * Math.PI);
      apply(ctx, paint);
    },
    hit(at, slack) {
      const edge = reach + slack;
      return isWithin(at, edge) && (paint.fill !== undefined || !isWithin(at, -edge));
    },
  };
}

/** A dark box, or a polygon where there are points enough for one. */
export function fogShape(props: JsonObject): Shape {
  const { x, y } = shift(props);
  const corners = places(props, "points").map((place) => ({ x: place.x + x, y: place.y + y }));
  const isPolygon = corners.length > 2;
  const box = (isPolygon ? boxAround(corners) : undefined) ?? frame(props, SIDE);
  const fill = colour(props, "fill", "color") ?? FOG_COLOUR;
  return {
    box,
    opacity: FOG_OPACITY,
    paint(ctx) {
      ctx.beginPath();
      if (isPolygon) for (const corner of corners) ctx.lineTo(corner.x, corner.y);
      else ctx.rect(box.minX, box.minY, box.maxX - box.minX, box.maxY - box.minY);
      ctx.closePath();
      ctx.fillStyle = fill;
      ctx.fill();
    },
    hit: (at, slack) =>
      isPolygon
        ? isInside(at, corners) || isOnLine(at, [...corners, ...corners.slice(0, 1)], slack)
        : holds(grown(box, slack), at),
  };
}

/** Where an object is that cannot be drawn; none if it does not tell. */
export function placeholderShape(props: JsonObject): Shape | undefined {
  if (!hasFrame(props)) return undefined;
  const box = frame(props, SIDE);
  const { width, height } = sizeOf(box);
  return {
    box: grown(box, 0.5),
    paint(ctx) {
      ctx.setLineDash([6, 4]);
      ctx.strokeStyle = PLACEHOLDER_COLOUR;
      ctx.lineWidth = 1;
      ctx.strokeRect(box.minX, box.minY, width, height);
      ctx.setLineDash([]);
    },
    hit: (at, slack) => holds(grown(box, slack), at),
  };
}

/** Fills and lines the current path. */
export function apply(ctx: CanvasRenderingContext2D, paint: Paint, path?: Path2D): void {
  if (paint.fill !== undefined) {
    ctx.fillStyle = paint.fill;
    if (path === undefined) ctx.fill();
    else ctx.fill(path);
  }
  if (paint.stroke !== undefined && paint.width > 0) {
    ctx.strokeStyle = paint.stroke;
    ctx.lineWidth = paint.width;
    if (path === undefined) ctx.stroke();
    else ctx.stroke(path);
  }
}
