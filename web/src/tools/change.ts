// How objects are moved, scaled and copied: which props change, by kind. Pure but for `createCopy`, which makes the ops
// for it.

import { newId } from "../id.js";
import type { Drawing, JsonObject, ViewObject } from "../revcast.js";
import type { Vec } from "../scene/geometry.js";
import { wayOf } from "../scene/kinds/line.js";
import { FONT_SIZE } from "../scene/kinds/text.js";
import { frame, number, places, positive, scale, shift } from "../scene/props.js";
import { quantized } from "./tool.js";

/** The most points of one op. */
const POINTS_OF_OP = 2_000;
const HEAD_ANGLE = Math.PI / 7;
/** Kinds with `x`, `y`, `width` and `height`, and the sides that they have without. */
const BOX_SIDES: Record<string, number> = { rect: 100, ellipse: 100, image: 100, token: 50, fog: 100 };

/** A scaling about a fixed place. */
export interface Scaling {
  readonly from: Vec;
  readonly x: number;
  readonly y: number;
}

/** The props that move an object. */
export function shiftOf({ props }: ViewObject, dx: number, dy: number): JsonObject {
  const { x, y } = shift(props);
  return { x: quantized(x + dx), y: quantized(y + dy) };
}

export function scaled(place: Vec, { from, x, y }: Scaling): Vec {
  return { x: from.x + (place.x - from.x) * x, y: from.y + (place.y - from.y) * y };
}

/** The props that scale an object. */
export function scaleOf(object: ViewObject, scaling: Scaling): JsonObject {
  const { kind, props } = object;
  const at = shift(props);
  const even = Math.sqrt(Math.abs(scaling.x * scaling.y));
  const isPolygon = kind === "fog" && places(props, "points").length > 2;
  const side = BOX_SIDES[kind];
  if (kind === "stroke") {
    const corner = scaled(at, scaling);
    const before = scale(props);
    return {
      x: quantized(corner.x),
      y: quantized(corner.y),
      scaleX: factor(before.x * scaling.x),
      scaleY: factor(before.y * scaling.y),
    };
  }
  if (kind === "text") {
    const corner = scaled(at, scaling);
    const fontSize = Math.max(1, quantized((positive(props, "fontSize") ?? FONT_SIZE) * even));
    return { x: quantized(corner.x), y: quantized(corner.y), fontSize };
  }
  if (kind === "line" || isPolygon) {
    const to = wayOf(props).map((place) => scaled({ x: place.x + at.x, y: place.y + at.y }, scaling));
    const local = to.map(({ x, y }) => [quantized(x - at.x), quantized(y - at.y)] as const);
    if (places(props, "points").length >= 2) return { points: local };
    const [[x1, y1] = [0, 0], [x2, y2] = [0, 0]] = local;
    return { x1, y1, x2, y2 };
  }
  if (kind === "path") {
    const ends = arrowEnds(props);
    if (ends === undefined) return {};
    const [from, to] = ends.map((end) => scaled({ x: end.x + at.x, y: end.y + at.y }, scaling));
    if (from === undefined || to === undefined) return {};
    return arrowProps(
      { x: from.x - at.x, y: from.y - at.y },
      { x: to.x - at.x, y: to.y - at.y },
      number(props, "strokeWidth") ?? 2,
    );
  }
  const box = frame(props, side ?? positive(props, "size") ?? 100);
  const a = scaled({ x: box.minX, y: box.minY }, scaling);
  const b = scaled({ x: box.maxX, y: box.maxY }, scaling);
  return {
    x: quantized(Math.min(a.x, b.x)),
    y: quantized(Math.min(a.y, b.y)),
    width: Math.max(1, quantized(Math.abs(b.x - a.x))),
    height: Math.max(1, quantized(Math.abs(b.y - a.y))),
  };
}

/** A factor by which also places far away keep to a hundredth. */
function factor(by: number): number {
  return Math.max(1, Math.round(by * 1e6)) / 1e6;
}

/** The object as it looks once these props are set. */
export function withProps(object: ViewObject, set: JsonObject): ViewObject {
  return { ...object, props: { ...object.props, ...set } };
}

/** Creates a copy that is moved by that much. Returns its id. */
export function createCopy(
  drawing: Drawing,
  object: ViewObject,
  dx: number,
  dy: number,
  unit: string,
  z: string,
): string {
  const props = { ...object.props, ...shiftOf(object, dx, dy) };
  if (object.kind === "stroke") return createStroke(drawing, { ...object, props }, unit, z);
  return drawing.createObject({ kind: object.kind, props, z, unit });
}

function createStroke(drawing: Drawing, object: ViewObject, unit: string, z: string): string {
  const points = object.points ?? [];
  const { tool = "pen", props } = object;
  const object_id = newId();
  drawing.edit({
    type: "stroke.begin",
    object_id,
    tool,
    props,
    z,
    points: points.slice(0, POINTS_OF_OP),
    unit,
  });
  let count = 0;
  for (let from = POINTS_OF_OP; from < points.length; from += POINTS_OF_OP) {
    count += 1;
    const more = points.slice(from, from + POINTS_OF_OP);
    drawing.edit({ type: "stroke.append", object_id, index: count, points: more, unit });
  }
  drawing.edit({ type: "stroke.end", object_id, count, unit });
  return object_id;
}

/** The ends of an arrow of this board, before it is moved as a whole. */
export function arrowEnds(props: JsonObject): [Vec, Vec] | undefined {
  const [x1, y1, x2, y2] = [
    number(props, "x1"),
    number(props, "y1"),
    number(props, "x2"),
    number(props, "y2"),
  ];
  if (x1 === undefined || y1 === undefined || x2 === undefined || y2 === undefined) return undefined;
  return [
    { x: x1, y: y1 },
    { x: x2, y: y2 },
  ];
}

/** An arrow as a path, which every reader can draw, with its ends beside it, which this board goes by. */
export function arrowProps(from: Vec, to: Vec, width: number): JsonObject {
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  const head = Math.min(6 + width * 3, Math.max(1, length * 0.6));
  const angle = Math.atan2(to.y - from.y, to.x - from.x);
  const barb = (by: number) => ({
    x: to.x - head * Math.cos(angle + by),
    y: to.y - head * Math.sin(angle + by),
  });
  const say = ({ x, y }: Vec) => `${quantized(x)} ${quantized(y)}`;
  const [left, right] = [barb(HEAD_ANGLE), barb(-HEAD_ANGLE)];
  // The shaft ends inside the head: its blunt end would stick out at the tip.
  const neck = { x: to.x - head * 0.7 * Math.cos(angle), y: to.y - head * 0.7 * Math.sin(angle) };
  return {
    d: `M${say(from)}L${say(neck)}M${say(left)}L${say(to)}L${say(right)}Z`,
    x1: quantized(from.x),
    y1: quantized(from.y),
    x2: quantized(to.x),
    y2: quantized(to.y),
  };
}

/** The props that give an object this colour. */
export function colourOf({ kind, props }: ViewObject, colour: string): JsonObject {
  if (kind === "stroke" || kind === "text") return { color: colour };
  if (kind === "image") return {};
  if (kind === "token" || kind === "fog") return { fill: colour };
  const isFilled = typeof props.fill === "string" && props.fill !== "none";
  if (kind === "path" && isFilled) return { stroke: colour, fill: colour };
  return isFilled ? { stroke: colour, fill: `${colour}33` } : { stroke: colour };
}

/** The props that give an object this width of its line. */
export function widthOf({ kind }: ViewObject, width: number): JsonObject {
  if (kind === "stroke") return { size: width };
  return kind === "text" || kind === "image" || kind === "fog" ? {} : { strokeWidth: width };
}
