// How objects look together, for the panel that shows and changes it. Pure.

import type { ViewObject } from "../revcast.js";
import { BROAD_SIZE, PEN_SIZE } from "../scene/kinds/stroke.js";
import { colour, INK, paintOf, positive } from "../scene/props.js";

/** A part is `mixed` where the objects differ in it, and missing where none of them has it. */
export interface Look {
  readonly colour: string | "mixed" | undefined;
  readonly width: number | "mixed" | undefined;
  readonly isFilled: boolean | "mixed" | undefined;
}

export function lookOf(objects: readonly ViewObject[]): Look {
  return {
    colour: common(objects, colourIn),
    width: common(objects, widthIn),
    isFilled: common(objects, isFilledIn),
  };
}

function common<T>(
  objects: readonly ViewObject[],
  partOf: (object: ViewObject) => T | undefined,
): T | "mixed" | undefined {
  let found: T | undefined;
  for (const object of objects) {
    const part = partOf(object);
    if (part === undefined) continue;
    if (found !== undefined && part !== found) return "mixed";
    found = part;
  }
  return found;
}

function colourIn({ kind, props }: ViewObject): string | undefined {
  if (kind === "image") return undefined;
  if (kind === "stroke") return (colour(props, "color", "stroke") ?? INK).toLowerCase();
  if (kind === "text") return (colour(props, "color", "fill") ?? INK).toLowerCase();
  if (kind === "token" || kind === "fog") return colour(props, "fill", "color")?.toLowerCase();
  const { stroke, fill } = paintOf(props);
  return (stroke ?? fill ?? INK).toLowerCase();
}

function widthIn(object: ViewObject): number | undefined {
  const { kind, props } = object;
  if (kind === "text" || kind === "image" || kind === "fog" || kind === "token") return undefined;
  if (kind === "stroke") {
    const size = positive(props, "size", "width", "strokeWidth");
    return size ?? (object.tool === "highlighter" ? BROAD_SIZE : PEN_SIZE);
  }
  return paintOf(props).width;
}

function isFilledIn({ kind, props }: ViewObject): boolean | undefined {
  return kind === "rect" || kind === "ellipse" ? paintOf(props).fill !== undefined : undefined;
}
