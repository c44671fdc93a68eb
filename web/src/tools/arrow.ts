// Arrows and lines: from where the pointer goes down to where it comes up. Shift keeps to steps of 15°.

import type { Board } from "../board/board.js";
import type { Vec } from "../scene/geometry.js";
import { type PaintEnv, shapeOf } from "../scene/shape.js";
import { arrowProps } from "./change.js";
import { type Made, place } from "./place.js";
import { type Pointer, quantized, type Tool } from "./tool.js";

const STEP = Math.PI / 12;
/** A shorter line, in pixels, was a click. */
const SHORTEST = 4;

export class ArrowTool implements Tool {
  #from: Vec | undefined;
  #to: Vec | undefined;

  constructor(readonly board: Board) {}

  cursor(): string {
    return "crosshair";
  }

  down(at: Pointer): boolean {
    this.#from = at.world;
    this.#to = at.world;
    return true;
  }

  move(at: Pointer): void {
    if (this.#from === undefined) return;
    this.#to = at.shift ? snapped(this.#from, at.world) : at.world;
    this.board.stage.touch();
  }

  up(at: Pointer): void {
    this.move(at);
    const made = this.#made();
    this.cancel();
    if (made !== undefined) place(this.board, made);
  }

  cancel(): void {
    this.#from = this.#to = undefined;
    this.board.stage.touch();
  }

  paint(ctx: CanvasRenderingContext2D, env: PaintEnv): void {
    const made = this.#made();
    if (made !== undefined) shapeOf({ object_id: "", z: "", ...made })?.paint(ctx, env);
  }

  #made(): Made | undefined {
    const [from, to] = [this.#from, this.#to];
    if (from === undefined || to === undefined) return undefined;
    if (Math.hypot(to.x - from.x, to.y - from.y) * this.board.stage.camera.zoom < SHORTEST) return undefined;
    const { colour, width, hasArrowhead } = this.board.ui.getState();
    const style = { stroke: colour, strokeWidth: width };
    if (hasArrowhead) {
      return { kind: "path", props: { ...arrowProps(from, to, width), ...style, fill: colour } };
    }
    const ends = { x1: quantized(from.x), y1: quantized(from.y), x2: quantized(to.x), y2: quantized(to.y) };
    return { kind: "line", props: { ...ends, ...style } };
  }
}

function snapped(from: Vec, to: Vec): Vec {
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  const angle = Math.round(Math.atan2(to.y - from.y, to.x - from.x) / STEP) * STEP;
  return { x: from.x + length * Math.cos(angle), y: from.y + length * Math.sin(angle) };
}
