// The eraser: takes whole objects away that the pointer passes over. They vanish at once, and are deleted when it is
// lifted: one gesture, one undo unit, and one that is abandoned has done nothing.

import { deleteAll } from "../board/actions.js";
import type { Board } from "../board/board.js";
import { type Camera, toScreen } from "../scene/camera.js";
import type { Vec } from "../scene/geometry.js";
import { waypoints } from "../scene/hit.js";
import type { Pointer, Tool } from "./tool.js";

/** How far it reaches, in pixels. */
const REACH = 6;

export class EraserTool implements Tool {
  #last: Vec | undefined;
  #gone = new Set<string>();

  constructor(readonly board: Board) {}

  cursor(): string {
    return "crosshair";
  }

  down({ world }: Pointer): boolean {
    this.#last = world;
    this.#gone = new Set();
    this.#erase([world]);
    return true;
  }

  move({ path }: Pointer): void {
    if (this.#last === undefined) return;
    const reach = REACH / this.board.stage.camera.zoom;
    const places: Vec[] = [];
    for (const { world } of path) {
      places.push(...waypoints(this.#last, world, reach));
      this.#last = world;
    }
    this.#erase(places);
    this.board.stage.touch();
  }

  up(at: Pointer): void {
    this.move(at);
    if (this.#gone.size > 0) deleteAll(this.board, [...this.#gone]);
    this.cancel();
  }

  cancel(): void {
    this.#last = undefined;
    this.#gone = new Set();
    this.board.stage.lift(new Set());
  }

  marks(ctx: CanvasRenderingContext2D, camera: Camera): void {
    if (this.#last === undefined) return;
    const { x, y } = toScreen(camera, this.#last);
    ctx.beginPath();
    ctx.arc(x, y, REACH + 2, 0, 2 * Math.PI);
    ctx.fillStyle = "#8888884d";
    ctx.fill();
    ctx.strokeStyle = "#888888";
    ctx.lineWidth = 1;
    ctx.stroke();
  }

  #erase(places: readonly Vec[]): void {
    const { stage } = this.board;
    const reach = REACH / stage.camera.zoom;
    const before = this.#gone.size;
    for (const place of places) {
      for (const { object } of stage.scene.at(place, reach)) {
        if (object.kind !== "fog" || this.board.isOwner) this.#gone.add(object.object_id);
      }
    }
    if (this.#gone.size > before) stage.lift(new Set(this.#gone));
  }
}
