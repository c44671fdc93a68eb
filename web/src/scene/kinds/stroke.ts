// Strokes: from the points of a pen to ink, as broad as in the server's SVG export.

import { getStroke } from "perfect-freehand";
import type { Point, ViewObject } from "../../revcast.js";
import { type Box, holds, type Vec } from "../geometry.js";
import { isOnLine } from "../hit.js";
import { weighed } from "../ink.js";
import { colour, INK, positive, scale, shift } from "../props.js";
import type { PaintEnv, Shape } from "../shape.js";

/** How broad a stroke is that does not say so; a highlighter and an eraser are broad. */
export const PEN_SIZE = 4;
export const BROAD_SIZE = 16;
const HIGHLIGHTER_OPACITY = 0.4;
/** Below this width in device pixels, a plain line looks the same as an outline. */
const PLAIN_BELOW = 1.6;

/** The two ways to draw points. They stay as long as the points do, also while their object is being moved. */
interface Ink {
  readonly size: number;
  readonly thinning: number;
  readonly box: Box;
  outline?: Path2D;
  line?: Path2D;
}

const inks = new WeakMap<readonly Point[], Ink>();

/** Points as they were spread last: they are drawn many times before that changes. */
const spreads = new WeakMap<readonly Point[], { readonly by: Vec; readonly points: readonly Point[] }>();

/** The stroke; none if it has no points. */
export function strokeShape(object: ViewObject): Shape | undefined {
  const { props, tool = "" } = object;
  const points = spread(object.points ?? [], scale(props));
  const { size, thinning } = nibOf(object);
  const ink = inkOf(points, size, thinning);
  if (ink === undefined) return undefined;
  const own = tool === "eraser" ? undefined : (colour(props, "color", "stroke") ?? INK);
  const { x, y } = shift(props);
  const { box } = ink;
  const shape: Shape = {
    box: { minX: box.minX + x, minY: box.minY + y, maxX: box.maxX + x, maxY: box.maxY + y },
    paint(ctx, env) {
      if (x !== 0 || y !== 0) ctx.translate(x, y);
      paintInk(ctx, env, points, ink, own ?? env.paper, object.complete !== false);
      if (x !== 0 || y !== 0) ctx.translate(-x, -y);
    },
    hit(at, slack) {
      const local = { x: at.x - x, y: at.y - y };
      const reach = size / 2 + slack;
      const near = {
        minX: box.minX - slack,
        minY: box.minY - slack,
        maxX: box.maxX + slack,
        maxY: box.maxY + slack,
      };
      return (
        holds(near, local) &&
        isOnLine(
          local,
          points.map(([px, py]) => ({ x: px, y: py })),
          reach,
        )
      );
    },
  };
  return tool === "highlighter" ? { ...shape, opacity: HIGHLIGHTER_OPACITY } : shape;
}

/** How broad the pen is, and how much that changes. */
function nibOf({ props, tool = "" }: ViewObject): { readonly size: number; readonly thinning: number } {
  const isBroad = tool === "highlighter" || tool === "eraser";
  const given = positive(props, "size", "width", "strokeWidth");
  return {
    size: Math.max(0.1, given ?? (isBroad ? BROAD_SIZE : PEN_SIZE)),
    thinning: isBroad ? 0 : 0.5,
  };
}

/** The edge of a stroke, before it is moved; of one that is a dot, none. */
export function edgeOfStroke(object: ViewObject): readonly Vec[] {
  const points = spread(object.points ?? [], scale(object.props));
  const [first] = points;
  if (points.every(([x, y]) => x === first?.[0] && y === first[1])) return [];
  const edge = edgeOf(points, nibOf(object), object.complete !== false);
  return edge.map(([x = 0, y = 0]) => ({ x, y }));
}

function spread(points: readonly Point[], by: Vec): readonly Point[] {
  if (by.x === 1 && by.y === 1) return points;
  const known = spreads.get(points);
  if (known !== undefined && known.by.x === by.x && known.by.y === by.y) return known.points;
  const apart = points.map(([x, y, ...pressure]): Point => [x * by.x, y * by.y, ...pressure]);
  spreads.set(points, { by, points: apart });
  return apart;
}

function inkOf(points: readonly Point[], size: number, thinning: number): Ink | undefined {
  const known = inks.get(points);
  if (known !== undefined && known.size === size && known.thinning === thinning) return known;
  let minX = Infinity;
  let minY = Infinity;
  let maxX = -Infinity;
  let maxY = -Infinity;
  for (const [x, y] of points) {
    if (x < minX) minX = x;
    if (x > maxX) maxX = x;
    if (y < minY) minY = y;
    if (y > maxY) maxY = y;
  }
  if (!(minX <= maxX && minY <= maxY)) return undefined;
  const reach = (size / 2) * (1 + thinning);
  const box = { minX: minX - reach, minY: minY - reach, maxX: maxX + reach, maxY: maxY + reach };
  const ink: Ink = { size, thinning, box };
  inks.set(points, ink);
  return ink;
}

function paintInk(
  ctx: CanvasRenderingContext2D,
  { scale }: PaintEnv,
  points: readonly Point[],
  ink: Ink,
  colour: string,
  isComplete: boolean,
): void {
  if (ink.size * scale < PLAIN_BELOW) {
    ink.line ??= plainLine(points, ink.size);
    ctx.strokeStyle = colour;
    // Thinner than a pixel it would fade away.
    ctx.lineWidth = Math.max(ink.size, 0.75 / scale);
    ctx.lineCap = "round";
    ctx.stroke(ink.line);
    ctx.lineCap = "butt";
    return;
  }
  ink.outline ??= outline(points, ink, isComplete);
  ctx.fillStyle = colour;
  ctx.fill(ink.outline);
}

/** The line through the points, without those that are closer together than it is broad. */
function plainLine(points: readonly Point[], size: number): Path2D {
  const path = new Path2D();
  const apart = size * size;
  let [lastX, lastY] = points[0] ?? [0, 0];
  path.moveTo(lastX, lastY);
  points.forEach(([x, y], nth) => {
    if ((x - lastX) ** 2 + (y - lastY) ** 2 < apart && nth < points.length - 1) return;
    path.lineTo(x, y);
    [lastX, lastY] = [x, y];
  });
  return path;
}

function edgeOf(
  points: readonly Point[],
  { size, thinning }: Pick<Ink, "size" | "thinning">,
  isComplete: boolean,
): number[][] {
  return getStroke(weighed(points, size), {
    size,
    thinning,
    smoothing: 0.5,
    streamline: 0.3,
    simulatePressure: false,
    last: isComplete,
  });
}

function outline(points: readonly Point[], { size, thinning }: Ink, isComplete: boolean): Path2D {
  const path = new Path2D();
  const first = points[0];
  if (first === undefined) return path;
  if (points.every(([x, y]) => x === first[0] && y === first[1])) {
    const pressure = Math.max(...points.map((point) => point[2] ?? 0.5));
    path.arc(first[0], first[1], (size / 2) * (1 + thinning * (2 * pressure - 1)), 0, 2 * Math.PI);
    return path;
  }
  const edge = edgeOf(points, { size, thinning }, isComplete);
  const start = edge[0];
  if (start === undefined) return path;
  // Through the middles of its sides, so that there are no corners.
  path.moveTo(start[0] ?? 0, start[1] ?? 0);
  edge.forEach(([x = 0, y = 0], nth) => {
    const [nextX = 0, nextY = 0] = edge[(nth + 1) % edge.length] ?? [];
    path.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
  });
  path.closePath();
  return path;
}
