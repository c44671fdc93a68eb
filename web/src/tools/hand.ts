// The hand: pushes the paper about.

import type { Board } from "../board/board.js";
import { panned } from "../scene/camera.js";
import type { Vec } from "../scene/geometry.js";
import type { Pointer, Tool } from "./tool.js";

export class HandTool implements Tool {
  #last: Vec | undefined;

  constructor(readonly board: Board) {}

  cursor(): string {
    return this.#last === undefined ? "grab" : "grabbing";
  }

  down({ screen }: Pointer): boolean {
    this.board.drawing.presence.follow(null);
    this.#last = screen;
    return true;
  }

  move({ screen }: Pointer): void {
    if (this.#last === undefined) return;
    const { stage } = this.board;
    stage.look(panned(stage.camera, screen.x - this.#last.x, screen.y - this.#last.y));
    this.#last = screen;
  }

  up(at: Pointer): void {
    this.move(at);
    this.#last = undefined;
  }

  cancel(): void {
    this.#last = undefined;
  }
}
