// Objects in words, for those who hear them. Pure.

import type { ViewObject } from "../revcast.js";
import { text } from "../scene/props.js";
import { arrowEnds } from "../tools/change.js";
import { lookOf } from "../tools/look.js";
import { COLOURS } from "./ui.js";

/** Of a text, so much is said. */
const MAX_SAID = 120;
const NAMES: Readonly<Record<string, string>> = {
  rect: "Rectangle",
  ellipse: "Ellipse",
  line: "Line",
  image: "Image",
  token: "Token",
  fog: "Fog",
};

/** Such as “Rectangle, red, 2 of 5”. */
export function describe(object: ViewObject, nth: number, count: number): string {
  const { colour } = lookOf([object]);
  const name = COLOURS.find(({ value }) => value === colour)?.name.toLowerCase();
  return [nameOf(object), ...(name === undefined ? [] : [name]), `${nth} of ${count}`].join(", ");
}

export function nameOf(object: ViewObject): string {
  const { kind, props, tool } = object;
  if (kind === "stroke") return tool === "highlighter" ? "Highlighter stroke" : "Stroke";
  if (kind === "path") return arrowEnds(props) === undefined ? "Shape" : "Arrow";
  if (kind !== "text") return NAMES[kind] ?? "Object";
  const said = text(props, "text")?.trim() ?? "";
  return `Text “${said.length > MAX_SAID ? `${said.slice(0, MAX_SAID)}…` : said}”`;
}
