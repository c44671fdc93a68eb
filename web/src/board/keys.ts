// The keyboard: what each key does on the board. Fields and dialogs keep their own keys.

import { pickImage } from "../tools/image.js";
import type { Input } from "../tools/input.js";
import { deleteSelection, duplicate, nudge, redo, selectAll, undo } from "./actions.js";
import type { Board } from "./board.js";
import { letterOf, signOf } from "./layout.js";
import type { ToolName } from "./ui.js";
import { enter, leaveStage, walk } from "./walk.js";
import { panBy, showAll, zoomBy, zoomTo } from "./zoom.js";

const TOOL_KEYS: Readonly<Record<string, ToolName>> = {
  v: "select",
  h: "hand",
  p: "pen",
  r: "rect",
  o: "ellipse",
  a: "arrow",
  t: "text",
  i: "image",
  e: "eraser",
};

/** World units that an arrow key moves by; with Shift, and without. */
const STEPS = { far: 10, near: 1 };
/** Pixels that an arrow key pushes the picture by, with nothing selected. */
const PUSH = { far: 200, near: 50 };
const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Listens until the returned function is called. */
export function listenToKeys(board: Board, input: Input): () => void {
  const abort = new AbortController();
  const { signal } = abort;
  /** The undo unit of an arrow key that is held down. */
  let nudging: string | undefined;
  const arrow = (event: KeyboardEvent): boolean => {
    const way = ARROWS[event.key];
    if (way === undefined || isOnControl(event)) return false;
    const [x, y] = way;
    if (board.selection.length === 0) {
      const push = event.shiftKey ? PUSH.far : PUSH.near;
      panBy(board, -x * push, -y * push);
    } else {
      const step = event.shiftKey ? STEPS.far : STEPS.near;
      nudging = nudge(board, x * step, y * step, event.repeat ? nudging : undefined);
    }
    return true;
  };
  addEventListener(
    "keydown",
    (event) => {
      if (isElsewhere(event)) return;
      const isDone =
        event.ctrlKey || event.metaKey
          ? withControl(board, event)
          : !event.altKey && (arrow(event) || plain(board, input, event));
      if (isDone) event.preventDefault();
    },
    { signal },
  );
  addEventListener(
    "keyup",
    (event) => {
      if (event.code === "Space") input.holdSpace(false);
    },
    { signal },
  );
  return () => abort.abort();
}

function isElsewhere({ target }: KeyboardEvent): boolean {
  if (document.querySelector("dialog[open]") !== null) return true;
  return (
    target instanceof HTMLElement &&
    target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]") !== null
  );
}

/** Whether the focus is on something that has its own use for arrows and Space. */
function isOnControl({ target }: KeyboardEvent): boolean {
  return target instanceof HTMLElement && target.closest("button, a, input, [role=slider]") !== null;
}

function withControl(board: Board, event: KeyboardEvent): boolean {
  if (event.altKey) {
    if (isAltGr(event) || !isLetterZ(event) || !board.isOwner) return false;
    if (event.shiftKey) redo(board, "all");
    else undo(board, "all");
    return true;
  }
  switch (letterOf(event)) {
    case "z":
      if (event.shiftKey) redo(board);
      else undo(board);
      return true;
    case "y":
      redo(board);
      return true;
    case "a":
      if (board.canEdit) selectAll(board);
      return true;
    case "d":
      duplicate(board);
      return true;
    default:
      return zoom(board, signOf(event));
  }
}

/**
 * Whether it is AltGr that is held, which types a character: on Windows it comes as Ctrl and Alt. With ⌘ it is the Option key,
 * which Firefox takes for AltGr.
 */
export function isAltGr(event: Pick<KeyboardEvent, "metaKey" | "getModifierState">): boolean {
  return !event.metaKey && event.getModifierState("AltGraph");
}

/** With Alt, keyboards of some makers give another character in place of the letter; then the key itself tells. */
export function isLetterZ({ key, code }: Pick<KeyboardEvent, "key" | "code">): boolean {
  return /^[a-z]$/i.test(key) ? key.toLowerCase() === "z" : code === "KeyZ";
}

/** These zoom with Ctrl and without. */
function zoom(board: Board, key: string): boolean {
  switch (key) {
    case "+":
    case "=":
      zoomBy(board, 1.25);
      return true;
    case "-":
      zoomBy(board, 0.8);
      return true;
    case "0":
      zoomTo(board, 1);
      return true;
    default:
      return false;
  }
}

function plain(board: Board, input: Input, event: KeyboardEvent): boolean {
  if (event.code === "Digit1" && event.shiftKey) {
    showAll(board);
    return true;
  }
  switch (event.key) {
    case " ":
      if (isOnControl(event)) return false;
      input.holdSpace(true);
      return true;
    case "Delete":
    case "Backspace":
      deleteSelection(board);
      return true;
    case "Escape":
      letGo(board, input);
      return true;
    case "Enter":
      return !isOnControl(event) && enter(board);
    case "Tab":
      return !isOnControl(event) && walk(board, event.shiftKey);
    case "?":
      board.ui.setState({ dialog: "help" });
      return true;
    default:
      if (zoom(board, signOf(event))) return true;
  }
  const tool = TOOL_KEYS[letterOf(event) ?? ""];
  if (tool === undefined || (!board.canEdit && tool !== "hand")) return false;
  board.setTool(tool);
  if (tool === "image") pickImage(board);
  input.refreshCursor();
  return true;
}

/** One thing at a time: the gesture, the selection, the one who is followed, the tool. */
function letGo(board: Board, input: Input): void {
  const { isStyleOpen, selection } = board.ui.getState();
  if (input.abandon()) return;
  if (isStyleOpen) board.ui.setState({ isStyleOpen: false });
  else if (selection.length > 0) board.select([]);
  else if (board.drawing.presence.following !== null) board.drawing.presence.follow(null);
  else if (board.ui.getState().tool !== "select") board.setTool("select");
  else leaveStage();
}
