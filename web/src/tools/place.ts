// What the tools for shapes do with what they have made: it is put on top of the drawing, and selected.

import type { Board } from "../board/board.js";
import type { JsonObject } from "../revcast.js";
import { shapeOf } from "../scene/shape.js";

export interface Made {
  readonly kind: string;
  readonly props: JsonObject;
}

export function place(board: Board, made: Made): void {
  const z = board.topZ();
  const id = board.edit(() => board.drawing.createObject({ ...made, z }));
  if (id === undefined) return;
  const shape = shapeOf({ object_id: id, z, ...made });
  if (shape !== undefined) board.stage.linger([shape]);
  board.setTool("select");
  board.select([id]);
}
