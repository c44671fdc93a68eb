// The text tool: says where a text is to be written, or which one changed. Writing itself is in `board/writing.tsx`.

import type { Board } from "../board/board.js";
import type { ViewObject } from "../revcast.js";
import { boxOf, sizeOf, type Vec } from "../scene/geometry.js";
import { FONT_SIZE, textShape } from "../scene/kinds/text.js";
import { colour, INK, positive, shift, text } from "../scene/props.js";
import { type Pointer, quantized, type Tool } from "./tool.js";

/** The size of a new text on the screen, in pixels. */
const NEW_SIZE = 20;
/** The longest text, in characters. */
export const MAX_TEXT = 5_000;

export class TextTool implements Tool {
  constructor(readonly board: Board) {}

  cursor(): string {
    return "text";
  }

  down(): boolean {
    return true;
  }

  move(): void {}

  up({ world, slack }: Pointer): void {
    this.board.stage.sync();
    const under = this.board.stage.scene.at(world, slack).find(({ object }) => object.kind === "text");
    if (under !== undefined) {
      write(this.board, under.object);
      return;
    }
    const fontSize = newSize(this.board);
    const { colour } = this.board.ui.getState();
    this.board.ui.setState({
      writing: { objectId: undefined, x: world.x, y: world.y - fontSize / 2, text: "", fontSize, colour },
    });
  }

  cancel(): void {}
}

function newSize({ stage }: Board): number {
  return Math.max(4, Math.round(NEW_SIZE / stage.camera.zoom));
}

/** Puts a text on the drawing, its middle there. */
export function insertText(board: Board, written: string, at: Vec): void {
  const { drawing } = board;
  const look = {
    text: written.slice(0, MAX_TEXT),
    fontSize: newSize(board),
    color: board.ui.getState().colour,
  };
  const { width, height } = sizeOf(textShape({ ...look, x: 0, y: 0 })?.box ?? boxOf(at, at));
  const props = { ...look, x: quantized(at.x - width / 2), y: quantized(at.y - height / 2) };
  const id = board.edit(() => drawing.createObject({ kind: "text", props, z: board.topZ() }));
  if (id === undefined) return;
  board.setTool("select");
  board.select([id]);
}

/** Opens a text to be changed. */
export function write(board: Board, { object_id, props }: ViewObject): void {
  const { x, y } = shift(props);
  board.ui.setState({
    selection: [],
    writing: {
      objectId: object_id,
      x,
      y,
      text: text(props, "text") ?? "",
      fontSize: positive(props, "fontSize") ?? FONT_SIZE,
      colour: colour(props, "color", "fill") ?? INK,
    },
  });
}
