// Taking in stretches of a log.

import { Canvas, type CommittedOp } from "../../src/index.js";

/** Applies ops of which each is the next one. */
export function applyAll(canvas: Canvas, ops: readonly CommittedOp[]): void {
  for (const op of ops) {
    const applied = canvas.apply(op);
    if (applied !== "next") throw new Error(`revision ${op.revision} is ${applied}`);
  }
}

/** The canvas that a log leaves. */
export function replay(log: readonly CommittedOp[]): Canvas {
  const canvas = new Canvas();
  applyAll(canvas, log);
  return canvas;
}
