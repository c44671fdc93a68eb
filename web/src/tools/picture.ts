// A picture of many objects, made once: what shows them while they are moved or scaled together, for to paint each of
// them in each frame would take longer than a frame.

import { type Box, grown, overlaps, sizeOf } from "../scene/geometry.js";
import type { Entry } from "../scene/scene.js";
import type { PaintEnv } from "../scene/shape.js";

/** How much of the screen is in it beyond each edge. */
const BEYOND = 0.25;
const MAX_SIDE = 4_096;

export class Picture {
  readonly #canvas = document.createElement("canvas");
  readonly #box: Box;

  constructor(entries: readonly Entry[], viewport: Box, env: PaintEnv) {
    const seen = sizeOf(viewport);
    this.#box = grown(viewport, BEYOND * Math.min(seen.width, seen.height));
    const { width, height } = sizeOf(this.#box);
    const scale = Math.min(env.scale, MAX_SIDE / width, MAX_SIDE / height);
    this.#canvas.width = Math.max(1, Math.round(width * scale));
    this.#canvas.height = Math.max(1, Math.round(height * scale));
    const ctx = this.#canvas.getContext("2d");
    if (ctx === null) return;
    ctx.setTransform(scale, 0, 0, scale, -this.#box.minX * scale, -this.#box.minY * scale);
    for (const { shape } of entries) if (overlaps(shape.box, this.#box)) shape.paint(ctx, { ...env, scale });
  }

  /** Paints it where the objects were, in world units. */
  draw(ctx: CanvasRenderingContext2D): void {
    const { width, height } = sizeOf(this.#box);
    ctx.drawImage(this.#canvas, this.#box.minX, this.#box.minY, width, height);
  }
}
