// Some objects as an SVG, for other programs to paste. It says what is painted here; the picture of a whole drawing is the
// server's to make. Pure but for what the shapes measure.

import type { ViewObject } from "../revcast.js";
import { type Box, centreOf, grown, sizeOf, union, type Vec } from "./geometry.js";
import { wayOf } from "./kinds/line.js";
import { edgeOfStroke } from "./kinds/stroke.js";
import { FONT, FONT_SIZE, LINE_HEIGHT } from "./kinds/text.js";
import {
  colour,
  frame,
  INK,
  number,
  opacity,
  paintOf,
  places,
  positive,
  rotation,
  shift,
  text,
} from "./props.js";
import { shapeOf } from "./shape.js";

const MARGIN = 4;
const SIDE = 100;
/** From the top of a line to the foot of its letters, in font sizes. */
const ASCENT = 0.95;

/** What of these can be seen, in this order. */
export function svgOfObjects(objects: readonly ViewObject[]): string {
  const seen = objects.flatMap((object) => {
    const shape = shapeOf(object);
    return shape === undefined ? [] : [{ object, shape }];
  });
  const box = grown(
    union(seen.map(({ shape }) => shape.box)) ?? { minX: 0, minY: 0, maxX: 0, maxY: 0 },
    MARGIN,
  );
  const { width, height } = sizeOf(box);
  const parts = seen.map(({ object, shape }) => {
    const alpha = opacity(object.props) ?? shape.opacity ?? 1;
    const degrees = rotation(object.props);
    const { x, y } = centreOf(shape.box);
    const drawn = markup(object, shape.box);
    if (alpha === 1 && degrees === 0) return drawn;
    const turn = degrees === 0 ? {} : { transform: `rotate(${round(degrees)} ${round(x)} ${round(y)})` };
    return element("g", { ...(alpha === 1 ? {} : { opacity: alpha }), ...turn }, drawn);
  });
  const viewBox = [box.minX, box.minY, width, height].map(round).join(" ");
  return element("svg", { xmlns: "http://www.w3.org/2000/svg", viewBox, width, height }, parts.join(""));
}

function markup(object: ViewObject, box: Box): string {
  const { kind, props } = object;
  const at = shift(props);
  const { fill = "none", stroke = "none", width } = paintOf(props);
  const paint = { fill, stroke, "stroke-width": width };
  const sides = sidesOf(frame(props, SIDE));
  switch (kind) {
    case "stroke":
      return strokeMarkup(object, box);
    case "rect":
      return element("rect", { ...sides, rx: positive(props, "rx") ?? 0, ...paint });
    case "ellipse": {
      const { x: cx, y: cy } = centreOf(frame(props, SIDE));
      return element("ellipse", { cx, cy, rx: sides.width / 2, ry: sides.height / 2, ...paint });
    }
    case "line": {
      const points = wayOf(props).map(({ x, y }) => `${round(x + at.x)},${round(y + at.y)}`);
      const line = { stroke: colour(props, "stroke", "color") ?? INK, "stroke-width": width };
      return element("polyline", {
        points: points.join(" "),
        fill: "none",
        ...line,
        "stroke-linecap": "round",
        "stroke-linejoin": "round",
      });
    }
    case "path": {
      const transform = `translate(${round(at.x)} ${round(at.y)})`;
      return element("path", { d: text(props, "d") ?? "", transform, ...paint, "stroke-linejoin": "round" });
    }
    case "text":
      return textMarkup(object, at);
    case "image":
      return element("image", {
        ...sides,
        href: text(props, "href", "src") ?? "",
        preserveAspectRatio: "none",
      });
    case "token":
      return tokenMarkup(object, box);
    case "fog": {
      const corners = places(props, "points").map(({ x, y }) => `${round(x + at.x)},${round(y + at.y)}`);
      const dark = { fill: colour(props, "fill", "color") ?? "#0b0f19" };
      return corners.length > 2
        ? element("polygon", { points: corners.join(" "), ...dark })
        : element("rect", { ...sides, ...dark });
    }
    default:
      return element("rect", { ...sides, fill: "none", stroke: "#888888", "stroke-dasharray": "6 4" });
  }
}

function strokeMarkup(object: ViewObject, box: Box): string {
  const { props, tool } = object;
  const fill = tool === "eraser" ? "#ffffff" : (colour(props, "color", "stroke") ?? INK);
  const edge = edgeOfStroke(object);
  const [first] = edge;
  if (first === undefined) {
    const { x: cx, y: cy } = centreOf(box);
    return element("circle", {
      cx,
      cy,
      r: sizeOf(box).width / (tool === "pen" || tool === undefined ? 3 : 2),
      fill,
    });
  }
  const { x, y } = shift(props);
  const say = (place: Vec) => `${round(place.x + x)} ${round(place.y + y)}`;
  const curves = edge.map((place, nth) => {
    const next = edge[(nth + 1) % edge.length] ?? first;
    return `Q${say(place)} ${say({ x: (place.x + next.x) / 2, y: (place.y + next.y) / 2 })}`;
  });
  return element("path", { d: `M${say(first)}${curves.join("")}Z`, fill });
}

function textMarkup({ props }: ViewObject, { x, y }: Vec): string {
  const size = positive(props, "fontSize") ?? FONT_SIZE;
  const lines = (text(props, "text") ?? "").split(/\r?\n/);
  const spans = lines.map((line, nth) =>
    element("tspan", { x, y: y + size * (ASCENT + LINE_HEIGHT * nth) }, escaped(line)),
  );
  const fill = colour(props, "color", "fill") ?? INK;
  const look = { "font-family": FONT, "font-size": size, fill, "xml:space": "preserve" };
  return element("text", look, spans.join(""));
}

function tokenMarkup({ props }: ViewObject, box: Box): string {
  const { x: cx, y: cy } = centreOf(box);
  const { width } = paintOf(props);
  const r = Math.max(0, (sizeOf(box).width - width) / 2);
  const rim = { stroke: colour(props, "stroke") ?? INK, "stroke-width": number(props, "strokeWidth") ?? 2 };
  const disc = element("circle", { cx, cy, r, fill: colour(props, "fill", "color") ?? "#4a6fa5", ...rim });
  const label = text(props, "label", "name", "text")?.trim() ?? "";
  if (label === "") return disc;
  const size = Math.min(0.9 * r, (2.7 * r) / [...label].length);
  const look = { "text-anchor": "middle", "font-family": FONT, "font-size": size, fill: "#ffffff" };
  return disc + element("text", { x: cx, y: cy + size * 0.35, ...look }, escaped(label));
}

function sidesOf(box: Box) {
  return { x: box.minX, y: box.minY, ...sizeOf(box) };
}

function element(name: string, attributes: Readonly<Record<string, string | number>>, content = ""): string {
  const said = Object.entries(attributes).map(([key, value]) => {
    const plain = typeof value === "number" ? `${round(value)}` : value.trim();
    return ` ${key}="${escaped(plain)}"`;
  });
  return content === "" ? `<${name}${said.join("")}/>` : `<${name}${said.join("")}>${content}</${name}>`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100 + 0;
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function escaped(plain: string): string {
  return (
    plain
      // biome-ignore lint/suspicious/noControlCharactersInRegex: XML forbids them.
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu, "")
      .replace(/[&<>"]/g, (sign) => ENTITIES[sign] ?? sign)
  );
}
