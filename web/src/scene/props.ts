// Props as what they are meant to be, read as the server's SVG export reads them (`src/model/svg/props.md`): a prop of
// another type is one that is not there. Nothing here fails.

import type { JsonObject } from "../revcast.js";
import { type Box, boxOf, type Vec } from "./geometry.js";

const MAX_MAGNITUDE = 1e7;
/** The colour of lines and text that have none. */
export const INK = "#1e1e1e";
const LINE_WIDTH = 2;
const COLOUR =
  /^\s*(#([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})|[a-z]{1,24}|(rgb|hsl)a?\([-+.,/ %0-9]{1,56}\))\s*$/i;

export interface Paint {
  /** The colour inside; none if it is not filled. */
  readonly fill: string | undefined;
  /** The colour of the line; none if it has no line. */
  readonly stroke: string | undefined;
  readonly width: number;
}

export function asNumber(value: unknown): number | undefined {
  if (typeof value !== "number" || !Number.isFinite(value)) return undefined;
  return Math.min(MAX_MAGNITUDE, Math.max(-MAX_MAGNITUDE, value));
}

export function number(props: JsonObject, ...names: string[]): number | undefined {
  for (const name of names) {
    const value = asNumber(props[name]);
    if (value !== undefined) return value;
  }
  return undefined;
}

export function positive(props: JsonObject, ...names: string[]): number | undefined {
  for (const name of names) {
    const value = asNumber(props[name]);
    if (value !== undefined && value > 0) return value;
  }
  return undefined;
}

export function text(props: JsonObject, ...names: string[]): string | undefined {
  for (const name of names) {
    const value = props[name];
    if (typeof value === "string") return value;
  }
  return undefined;
}

export function isColour(value: unknown): value is string {
  return typeof value === "string" && COLOUR.test(value);
}

export function isUnseen(colour: string): boolean {
  return /^\s*(none|transparent)\s*$/i.test(colour);
}

export function colour(props: JsonObject, ...names: string[]): string | undefined {
  for (const name of names) {
    const value = props[name];
    if (isColour(value)) return value;
  }
  return undefined;
}

/** How far an object as a whole has been moved. */
export function shift(props: JsonObject): Vec {
  return { x: number(props, "x") ?? 0, y: number(props, "y") ?? 0 };
}

/** How much the points of a stroke have been spread. */
export function scale(props: JsonObject): Vec {
  return { x: positive(props, "scaleX") ?? 1, y: positive(props, "scaleY") ?? 1 };
}

/** The box of `x`, `y`, `width` and `height`; `side` is the length of a side that is not given. */
export function frame(props: JsonObject, side: number): Box {
  const { x, y } = shift(props);
  const width = number(props, "width", "w") ?? side;
  const height = number(props, "height", "h") ?? side;
  return boxOf({ x, y }, { x: x + width, y: y + height });
}

export function hasFrame(props: JsonObject): boolean {
  return [["x"], ["y"], ["width", "w"], ["height", "h"]].every(
    (names) => number(props, ...names) !== undefined,
  );
}

export function opacity(props: JsonObject): number | undefined {
  const value = number(props, "opacity");
  return value === undefined ? undefined : Math.min(1, Math.max(0, value));
}

/** In degrees clockwise, from 0 to 360. */
export function rotation(props: JsonObject): number {
  return ((((number(props, "rotation") ?? 0) % 360) + 360) % 360) + 0;
}

/** The items of an array that are places, `[x, y]` or `{x, y}`. */
export function places(props: JsonObject, name: string): Vec[] {
  const items = props[name];
  if (!Array.isArray(items)) return [];
  return items.flatMap((item: unknown) => {
    const place = placeOf(item);
    return place === undefined ? [] : [place];
  });
}

function placeOf(item: unknown): Vec | undefined {
  if (typeof item !== "object" || item === null) return undefined;
  const [first, second] = Array.isArray(item) ? item : [Reflect.get(item, "x"), Reflect.get(item, "y")];
  const [x, y] = [asNumber(first), asNumber(second)];
  return x === undefined || y === undefined ? undefined : { x, y };
}

/** How a shape is painted. One without any colour is lined, so that it is seen. */
export function paintOf(props: JsonObject): Paint {
  const fill = colour(props, "fill");
  const isFilled = fill !== undefined && !isUnseen(fill);
  const stroke = colour(props, "stroke", "color") ?? (isFilled ? undefined : INK);
  const width = number(props, "strokeWidth");
  return {
    fill: isFilled ? fill : undefined,
    stroke: stroke === undefined || isUnseen(stroke) ? undefined : stroke,
    width: width !== undefined && width >= 0 ? width : LINE_WIDTH,
  };
}
