// Shapes that say something: text and tokens.

import type { JsonObject } from "../../revcast.js";
import { type Box, centreOf, grown, holds } from "../geometry.js";
import { colour, frame, INK, paintOf, positive, shift, text } from "../props.js";
import type { Shape } from "../shape.js";
import { apply } from "./box.js";
import { scratch } from "./line.js";

export const FONT = "sans-serif";
export const FONT_SIZE = 16;
/** From one line to the next, in font sizes. */
export const LINE_HEIGHT = 1.25;
/** From the top of a line to the foot of its letters, in font sizes. */
const ASCENT = 0.95;
const HALF_CAPITAL = 0.35;
/** What a letter takes where it cannot be measured, in font sizes. */
const LETTER_WIDTH = 0.62;
const TOKEN_SIDE = 50;
const TOKEN_FILL = "#4a6fa5";

/** Text from `x`, `y`, its upper left corner, downwards. None without a text. */
export function textShape(props: JsonObject): Shape | undefined {
  const written = text(props, "text");
  if (written === undefined || written.trim() === "") return undefined;
  const size = positive(props, "fontSize") ?? FONT_SIZE;
  const { x, y } = shift(props);
  const fill = colour(props, "color", "fill") ?? INK;
  const lines = written.replace(/\r?\n$/, "").split(/\r?\n/);
  const width = Math.max(...lines.map((line) => widthOf(line, size)));
  const box: Box = { minX: x, minY: y, maxX: x + width, maxY: y + lines.length * size * LINE_HEIGHT };
  return {
    box,
    paint(ctx, { scale }) {
      ctx.fillStyle = fill;
      if (size * scale < 2) {
        // Too small to be read: a bar for each line is all there is to see.
        ctx.globalAlpha *= 0.4;
        lines.forEach((line, nth) => {
          ctx.fillRect(x, y + (nth + 0.3) * size * LINE_HEIGHT, widthOf(line, size), size * 0.5);
        });
        ctx.globalAlpha /= 0.4;
        return;
      }
      ctx.font = `${size}px ${FONT}`;
      ctx.textAlign = "left";
      ctx.textBaseline = "alphabetic";
      lines.forEach((line, nth) => {
        ctx.fillText(line, x, y + size * (ASCENT + LINE_HEIGHT * nth));
      });
    },
    hit: (at, slack) => holds(grown(box, slack), at),
  };
}

/** A disc in the middle of its box, with its label on it. */
export function tokenShape(props: JsonObject): Shape {
  const box = frame(props, positive(props, "size") ?? TOKEN_SIDE);
  const centre = centreOf(box);
  const radius = Math.min(box.maxX - box.minX, box.maxY - box.minY) / 2;
  const { width } = paintOf(props);
  const paint = {
    fill: colour(props, "fill", "color") ?? TOKEN_FILL,
    stroke: colour(props, "stroke") ?? INK,
    width,
  };
  const label = text(props, "label", "name", "text")?.trim() ?? "";
  const size = radius * Math.min(0.9, (2 * 0.85) / Math.max(LETTER_WIDTH, widthOf(label, 1)));
  const { x, y } = centre;
  const reach = radius + width / 2;
  return {
    box: { minX: x - reach, minY: y - reach, maxX: x + reach, maxY: y + reach },
    paint(ctx) {
      ctx.beginPath();
      ctx.ellipse(x, y, radius, radius, 0, 0, 2 * Math.PI);
      apply(ctx, paint);
      if (label === "" || size <= 0) return;
      ctx.font = `${size}px ${FONT}`;
      ctx.textAlign = "center";
      ctx.textBaseline = "alphabetic";
      ctx.lineJoin = "round";
      ctx.lineWidth = size * 0.12;
      ctx.strokeStyle = INK;
      ctx.strokeText(label, x, y + size * HALF_CAPITAL);
      ctx.fillStyle = "#ffffff";
      ctx.fillText(label, x, y + size * HALF_CAPITAL);
      ctx.lineJoin = "miter";
    },
    hit: (at, slack) => Math.hypot(at.x - x, at.y - y) <= reach + slack,
  };
}

/** The width of a line of text in world units. */
export function widthOf(line: string, size: number): number {
  const ctx = scratch();
  if (ctx === undefined) return [...line].length * LETTER_WIDTH * size;
  // Measured large: browsers round the letters of small fonts.
  ctx.font = `100px ${FONT}`;
  return (ctx.measureText(line).width / 100) * size;
}
