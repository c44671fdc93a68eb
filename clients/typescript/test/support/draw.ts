// Canvases op by op: what the server adds, and what no test is about, is filled in.

import { expect } from "vitest";
import { Canvas, type CommittedOp, type Registers } from "../../src/index.js";

/** An op without what the server adds, and without an id. */
export type Sent = { readonly type: string; readonly [field: string]: unknown };

/** Gives the ops their place in a log, one after the other. */
export function drawn(...ops: Sent[]): Canvas {
  const canvas = new Canvas();
  for (const op of ops) draw(canvas, op);
  return canvas;
}

export function draw(canvas: Canvas, op: Sent): void {
  const revision = canvas.revision + 1;
  const committed: CommittedOp = { revision, actor: "alice", ts: revision, op_id: idOf(revision), ...op };
  expect(canvas.apply(committed)).toBe("next");
}

/** The id of the op at a revision. */
export function idOf(revision: number): string {
  return `00000000-0000-7000-8000-${revision.toString(16).padStart(12, "0")}`;
}

/** Another canvas with the same registers, as a snapshot brings it over the wire. */
export function loaded(canvas: Canvas): Canvas {
  const registers = JSON.parse(JSON.stringify(canvas.registers())) as Registers;
  return Canvas.fromSnapshot({ revision: canvas.revision, registers });
}

export const create = (object_id: string, props = {}): Sent => ({
  type: "object.create",
  object_id,
  kind: "rect",
  props,
});

/** It joins the unit that began at the revision `unit`. */
export const update = (object_id: string, set: object, unit?: number): Sent => ({
  type: "object.update",
  object_id,
  set,
  ...(unit === undefined ? {} : { unit: idOf(unit) }),
});

export const erase = (...object_ids: string[]): Sent => ({ type: "object.delete", object_ids });
export const clear: Sent = { type: "canvas.clear" };
export const undo = (revision: number): Sent => ({ type: "undo", unit: idOf(revision) });
export const redo = (revision: number): Sent => ({ type: "redo", unit: idOf(revision) });
export const fold = (floor: number): Sent => ({ type: "fold", actor: "revcast:fold", floor });
export const by = (actor: string, op: Sent): Sent => ({ ...op, actor });
