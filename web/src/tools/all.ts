// The tools by name.

import type { Board } from "../board/board.js";
import type { ToolName } from "../board/ui.js";
import { ArrowTool } from "./arrow.js";
import { BoxTool } from "./box.js";
import { EraserTool } from "./eraser.js";
import { HandTool } from "./hand.js";
import { ImageTool } from "./image.js";
import { PenTool } from "./pen.js";
import { SelectTool } from "./select.js";
import { TextTool } from "./text.js";
import type { Tool } from "./tool.js";

export function createTools(board: Board): Record<ToolName, Tool> {
  return {
    select: new SelectTool(board),
    hand: new HandTool(board),
    pen: new PenTool(board),
    rect: new BoxTool(board, "rect"),
    ellipse: new BoxTool(board, "ellipse"),
    arrow: new ArrowTool(board),
    text: new TextTool(board),
    image: new ImageTool(board),
    eraser: new EraserTool(board),
  };
}
