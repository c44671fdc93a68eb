// The text tool: says where a text is to be written, or which one changed. Writing itself is in `board/writing.tsx`.

import type { Board } from "../board/board.js";
import type { ViewObject } from "../revcast.js";
import { boxOf, sizeOf, type Vec } from "../scene/geometry.js";
import { beginningOf } from "../scene/graphemes.js";
import { FONT_SIZE, textShape, widthOf } from "../scene/kinds/text.js";
import { colour, INK, positive, shift, text } from "../scene/props.js";
import { wrapped } from "../scene/wrap.js";
import { type Pointer, quantized, type Tool } from "./tool.js";

/** The size of a new text on the screen, in pixels. */
const NEW_SIZE = 20;
/** The longest text, in UTF-16 code units: in UTF-8, and as JSON, it fits into an op whatever is in it. */
export const MAX_TEXT = 5_000;
/** The longest line of a text that is written, in font sizes, and how much of the screen it takes at most. */
const LINE = { size: 40, share: 0.8 };
/** At the right edge of the screen a line is as long as the room there, in pixels, but not shorter than this. */
const LEAST = 200;
const EDGE = 16;
const TOO_LONG = `A text has ${MAX_TEXT.toLocaleString("en")} characters at most. What is beyond them was left out.`;

export class TextTool implements Tool {
  constructor(readonly board: Board) {}

  cursor(): string {
    return "text";
  }

  down(): boolean {
    return true;
  }

  move(): void {}

  up({ world, screen, slack }: Pointer): void {
    this.board.stage.sync();
    const under = this.board.stage.scene.at(world, slack).find(({ object }) => object.kind === "text");
    if (under !== undefined) {
      write(this.board, under.object);
      return;
    }
    const fontSize = newSize(this.board);
    const { colour } = this.board.ui.getState();
    this.board.ui.setState({
      writing: {
        objectId: undefined,
        x: world.x,
        y: world.y - fontSize / 2,
        text: "",
        fontSize,
        width: lineOf(this.board, fontSize, Math.max(LEAST, this.board.stage.size.width - screen.x - EDGE)),
        colour,
      },
    });
  }

  cancel(): void {}
}

/** The size of the letters of a new text, in world units. */
export function newSize({ stage }: Board): number {
  return Math.max(4, Math.round(NEW_SIZE / stage.camera.zoom));
}

/** How long a line may be, in world units; `room` is in pixels. */
function lineOf({ stage }: Board, fontSize: number, room = Infinity): number {
  const { size, camera } = stage;
  return Math.min(fontSize * LINE.size, Math.min(room, size.width * LINE.share) / camera.zoom);
}

export function tellTooLong(board: Board): void {
  board.notify(TOO_LONG);
}

/** Puts a text on the drawing, its middle there. */
export function insertText(board: Board, written: string, at: Vec): void {
  const { drawing } = board;
  const fontSize = newSize(board);
  const kept = beginningOf(written, MAX_TEXT);
  if (kept.length < written.length) tellTooLong(board);
  const look = {
    text: wrapped(kept, lineOf(board, fontSize), (part) => widthOf(part, fontSize)),
    fontSize,
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
  const was = text(props, "text") ?? "";
  const fontSize = positive(props, "fontSize") ?? FONT_SIZE;
  // Lines that are there stay as they are.
  const width = Math.max(
    lineOf(board, fontSize),
    ...was.split(/\r?\n/).map((line) => widthOf(line, fontSize)),
  );
  board.ui.setState({
    selection: [],
    writing: {
      objectId: object_id,
      x,
      y,
      text: was,
      fontSize,
      width,
      colour: colour(props, "color", "fill") ?? INK,
    },
  });
}
