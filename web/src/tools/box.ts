// Rectangles and ellipses: drawn from one corner to the other. Shift makes the sides equal, Alt begins in the middle.

import type { Board } from "../board/board.js";
import type { JsonObject } from "../revcast.js";
import type { Vec } from "../scene/geometry.js";
import { type PaintEnv, shapeOf } from "../scene/shape.js";
import { place } from "./place.js";
import { type Pointer, quantized, type Tool } from "./tool.js";

/** A box with shorter sides, in pixels, was a click; it becomes one of this size. */
const SMALLEST = 4;
const CLICKED = 100;

export class BoxTool implements Tool {
  #from: Vec | undefined;
  #to: Pointer | undefined;

  constructor(
    readonly board: Board,
    readonly kind: "rect" | "ellipse",
  ) {}

  cursor(): string {
    return "crosshair";
  }

  down(at: Pointer): boolean {
    this.#from = at.world;
    this.#to = at;
    return true;
  }

  move(at: Pointer): void {
    this.#to = at;
    this.board.stage.touch();
  }

  up(at: Pointer): void {
    this.move(at);
    const props = this.#props();
    this.cancel();
    if (props !== undefined) place(this.board, { kind: this.kind, props });
  }

  cancel(): void {
    this.#from = this.#to = undefined;
    this.board.stage.touch();
  }

  paint(ctx: CanvasRenderingContext2D, env: PaintEnv): void {
    const props = this.#props();
    if (props === undefined) return;
    shapeOf({ object_id: "", kind: this.kind, z: "", props })?.paint(ctx, env);
  }

  #props(): JsonObject | undefined {
    if (this.#from === undefined || this.#to === undefined) return undefined;
    const { shift, alt, world } = this.#to;
    let { x, y } = this.#from;
    let [width, height] = [world.x - x, world.y - y];
    const { zoom } = this.board.stage.camera;
    if (Math.abs(width) * zoom < SMALLEST && Math.abs(height) * zoom < SMALLEST) {
      width = height = CLICKED / zoom;
      x -= width / 2;
      y -= height / 2;
    } else {
      if (shift) {
        const side = Math.max(Math.abs(width), Math.abs(height));
        width = side * (width < 0 ? -1 : 1);
        height = side * (height < 0 ? -1 : 1);
      }
      if (alt) [x, y, width, height] = [x - width, y - height, 2 * width, 2 * height];
    }
    const { colour, width: strokeWidth, isFilled } = this.board.ui.getState();
    return {
      x: quantized(Math.min(x, x + width)),
      y: quantized(Math.min(y, y + height)),
      width: quantized(Math.abs(width)),
      height: quantized(Math.abs(height)),
      stroke: colour,
      strokeWidth,
      // Light enough for what is behind it and on it.
      ...(isFilled ? { fill: `${colour}33` } : {}),
      ...(this.kind === "rect" ? { rx: 6 } : {}),
    };
  }
}
