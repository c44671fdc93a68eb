// What buttons and keys do to the drawing. Each action is one undo unit.

import type { JsonObject, UndoScope, ViewObject } from "../revcast.js";
import { type Ordered, type Reordering, toBack, toFront } from "../scene/order.js";
import { createCopy, shiftOf } from "../tools/change.js";
import type { Board } from "./board.js";
import { whyNothing } from "./words.js";

/** How far a copy is from what it is a copy of, in world units. */
export const COPY_OFFSET = 16;

export function deleteSelection(board: Board): void {
  deleteSelected(board, board.selection);
}

/** Deletes these of the selection; the rest stays selected. */
export function deleteSelected(board: Board, ids: readonly string[]): void {
  if (ids.length === 0) return;
  board.abandon();
  deleteAll(board, ids);
  const gone = new Set(ids);
  board.select(board.selection.filter((id) => !gone.has(id)));
  board.ui.setState({ spoken: ids.length === 1 ? "Deleted" : `${ids.length} objects deleted` });
}

export function deleteAll(board: Board, ids: readonly string[]): void {
  board.edit(() => board.texts.delete(ids));
}

/** Selects all that the user may change: fog is its owners'. */
export function selectAll(board: Board): void {
  board.setTool("select");
  board.stage.sync();
  const mine = board.stage.scene.objects.filter(({ kind }) => kind !== "fog" || board.isOwner);
  board.select(mine.map(({ object_id }) => object_id));
}

export function duplicate(board: Board): void {
  const entries = board.selected();
  if (entries.length === 0) return;
  const copies = board.edit(() => {
    const unit = board.drawing.newUnit();
    const z = board.topZ();
    return entries.map(({ object }) => createCopy(board.drawing, object, COPY_OFFSET, COPY_OFFSET, unit, z));
  });
  if (copies !== undefined) board.select(copies);
}

/** Moves what is selected a little. `unit`: that of the nudge which this one goes on with. Returns its own. */
export function nudge(
  board: Board,
  dx: number,
  dy: number,
  unit = board.drawing.newUnit(),
): string | undefined {
  const entries = board.selected();
  if (entries.length === 0) return undefined;
  const changes = entries.map(({ object }) => ({
    object_id: object.object_id,
    set: shiftOf(object, dx, dy),
  }));
  return board.edit(() => {
    board.drawing.updateObjects(changes, unit);
    return unit;
  });
}

/** Gives the selected objects these props, where they mean something to their kind. */
export function restyle(board: Board, style: (object: ViewObject) => JsonObject): void {
  const entries = board.selected();
  if (entries.length === 0) return;
  const changes = entries
    .map(({ object }) => ({ object_id: object.object_id, set: changed(object, style(object)) }))
    .filter(({ set }) => Object.keys(set).length > 0);
  board.edit(() => board.drawing.updateObjects(changes));
}

/** Those of the props that the object does not have already: an undo of nothing would take back something else. */
export function changed({ props }: ViewObject, set: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(set).filter(([name, value]) => props[name] !== value));
}

export function bringToFront(board: Board): void {
  reorder(board, toFront);
}

export function sendToBack(board: Board): void {
  reorder(board, toBack);
}

function reorder(
  board: Board,
  order: (objects: readonly Ordered[], chosen: ReadonlySet<string>) => Reordering,
): void {
  const { selection } = board;
  if (selection.length === 0) return;
  const changes = [...order(board.drawing.view().objects, new Set(selection))];
  board.edit(() => board.drawing.updateObjects(changes.map(([object_id, z]) => ({ object_id, z }))));
}

/** A gesture that is under way is what is taken back first, and alone. Where there is nothing, the user is told why. */
export function undo(board: Board, scope: UndoScope = "mine"): void {
  toggle(board, "undo", scope);
}

export function redo(board: Board, scope: UndoScope = "mine"): void {
  toggle(board, "redo", scope);
}

function toggle(board: Board, what: "undo" | "redo", scope: UndoScope): void {
  const { drawing } = board;
  if (board.abandon()) return;
  const isDone = board.canEdit ? board.edit(() => drawing[what](scope)) : false;
  if (isDone === false && board.isNow) board.notify(`${whyNothing(what, scope, drawing)}.`);
}

export function clearAll(board: Board): void {
  board.edit(() => board.drawing.clear());
  board.select([]);
}
