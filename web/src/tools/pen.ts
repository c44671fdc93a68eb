// The pen: one stroke a gesture, sent while it is being drawn. What is drawn right now is painted from its own points, so
// that it never waits for anything.

import type { Board } from "../board/board.js";
import type { Point, Stroke, ViewObject } from "../revcast.js";
import type { Vec } from "../scene/geometry.js";
import { type PaintEnv, shapeOf } from "../scene/shape.js";
import { type Pointer, quantized, quantizedPressure, type Tool } from "./tool.js";

interface Live {
  readonly stroke: Stroke;
  readonly tool: string;
  readonly props: Readonly<Record<string, string | number>>;
  readonly points: Point[];
}

export class PenTool implements Tool {
  #live: Live | undefined;

  constructor(readonly board: Board) {}

  cursor(): string {
    return "crosshair";
  }

  down(at: Pointer): boolean {
    const { drawing, ui, stage } = this.board;
    const { colour, width, isHighlighter } = ui.getState();
    const tool = isHighlighter ? "highlighter" : "pen";
    const props = { color: colour, size: isHighlighter ? width * 4 : width };
    const points = [pointOf(at.world, at.pressure)];
    const stroke = this.board.edit(() => drawing.beginStroke({ tool, props, points, z: this.board.topZ() }));
    if (stroke === undefined) return false;
    this.#live = { stroke, tool, props, points };
    stage.lift(new Set([stroke.object_id]));
    return true;
  }

  move({ path }: Pointer): void {
    const live = this.#live;
    if (live === undefined) return;
    const fresh: Point[] = [];
    let last = live.points[live.points.length - 1];
    for (const { world, pressure } of path) {
      const point = pointOf(world, pressure);
      if (last !== undefined && last[0] === point[0] && last[1] === point[1]) continue;
      fresh.push(point);
      last = point;
    }
    if (fresh.length === 0) return;
    live.points.push(...fresh);
    if (this.board.edit(() => live.stroke.append(fresh) ?? true) === undefined) this.#drop();
    this.board.stage.touch();
  }

  up(at: Pointer): void {
    this.move(at);
    const live = this.#live;
    if (live === undefined) return;
    this.#live = undefined;
    this.board.edit(() => live.stroke.end());
    this.board.stage.linger([shapeOf(viewOf(live, true))].flatMap((shape) => shape ?? []));
    this.board.stage.lift(new Set());
  }

  cancel(): void {
    const live = this.#live;
    if (live === undefined) return;
    try {
      live.stroke.cancel();
    } catch {
      // A stroke that may not be drawn any more is refused as a whole.
    }
    this.#drop();
  }

  paint(ctx: CanvasRenderingContext2D, env: PaintEnv): void {
    if (this.#live === undefined) return;
    shapeOf(viewOf(this.#live, false))?.paint(ctx, env);
  }

  #drop(): void {
    this.#live = undefined;
    this.board.stage.lift(new Set());
  }
}

function viewOf({ stroke, tool, props, points }: Live, complete: boolean): ViewObject {
  return { object_id: stroke.object_id, kind: "stroke", z: "", tool, props, points: [...points], complete };
}

function pointOf({ x, y }: Vec, pressure: number | undefined): Point {
  const [qx, qy] = [quantized(x), quantized(y)];
  return pressure === undefined ? [qx, qy] : [qx, qy, quantizedPressure(pressure)];
}
