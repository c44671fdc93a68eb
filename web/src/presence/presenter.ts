// Shows to the others where I am: cursor, viewport, selection. The client sends the last of what is set in good time.

import type { Board } from "../board/board.js";
import { fitting } from "../scene/camera.js";
import type { Vec } from "../scene/geometry.js";
import { stateOf, viewportIn } from "./state.js";

export class Presenter {
  readonly #board: Board;
  readonly #ends: (() => void)[];
  #cursor: Vec | null = null;

  constructor(board: Board) {
    this.#board = board;
    const { drawing, stage, ui } = board;
    this.#ends = [
      stage.onCamera(() => this.show()),
      ui.subscribe((now, before) => {
        const { selection, tool, colour, writing } = before;
        if (now.selection !== selection || now.tool !== tool || now.colour !== colour) this.show();
        else if (now.writing !== writing) this.show();
      }),
      drawing.presence.onFollow((state) => {
        const viewport = viewportIn(state);
        if (viewport !== undefined) stage.glide(fitting(viewport, stage.size, 0));
      }),
    ];
    this.show();
  }

  /** The pointer is there now. */
  point(cursor: Vec | null): void {
    this.#cursor = cursor;
    this.show();
  }

  show(): void {
    const { drawing, stage, ui } = this.#board;
    const { selection, tool, colour, writing } = ui.getState();
    const { viewport } = stage;
    const editing = writing?.objectId;
    drawing.presence.set(stateOf({ cursor: this.#cursor, viewport, selection, tool, colour, editing }));
  }

  close(): void {
    for (const end of this.#ends) end();
    this.#board.drawing.presence.set(null);
  }
}
