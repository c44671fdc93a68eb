// What people write is never lost: who changes or deletes a text that somebody else has changed meanwhile takes nothing away
// from it. Both are kept then, one below the other.

import { newId } from "../id.js";
import type { CommittedOp, JsonObject, ViewObject } from "../revcast.js";
import { FONT_SIZE, LINE_HEIGHT, widthOf } from "../scene/kinds/text.js";
import { colour, INK, positive, shift, text } from "../scene/props.js";
import { wrapped } from "../scene/wrap.js";
import { newSize } from "../tools/text.js";
import { quantized } from "../tools/tool.js";
import type { Board } from "./board.js";
import type { Writing } from "./ui.js";

/** Objects whose last writer is remembered. */
const MAX_KNOWN = 1_000;
/** From one text to the one below it, in font sizes. */
const GAP = 0.75;
const DELETED = "Somebody else has deleted the text meanwhile. What you wrote is kept as a new one.";
const CHANGED = "Somebody else has changed the text meanwhile. What you wrote is kept below it.";
const STAYS = "Somebody else has changed the text meanwhile: it stays.";
const AT_ONCE =
  "A text was changed by two at the same time. What was written over is kept as a text of its own.";

/** Where a text is and what it looks like. */
interface Look {
  readonly x: number;
  readonly y: number;
  readonly fontSize: number;
  readonly color: string;
}

/** Takes what was written into the drawing; where that is not to be, the user gets it back to be copied. */
export function commitText(board: Board, writing: Writing, given: string): void {
  const typed = given.replace(/\s+$/, "");
  if (given === writing.text || typed === writing.text) return;
  const written = wrapped(typed, writing.width, (part) => widthOf(part, writing.fontSize));
  const isTaken = board.canEdit && board.edit(() => take(board, writing, written)) === true;
  if (isTaken || written === "") return;
  const { rescued } = board.ui.getState();
  board.ui.setState({ rescued: rescued === undefined ? typed : `${rescued}\n\n${typed}` });
}

function take(board: Board, writing: Writing, written: string): true {
  const { drawing } = board;
  const { objectId: object_id, x, y, fontSize, colour: color } = writing;
  const look = { x: quantized(x), y: quantized(y), fontSize, color };
  if (object_id === undefined) {
    if (written !== "") board.select([create(board, look, written)]);
    return true;
  }
  const there = drawing.view().objects.find((object) => object.object_id === object_id);
  const now = there === undefined ? undefined : (text(there.props, "text") ?? "");
  if (there === undefined) {
    if (written === "") return true;
    board.select([create(board, look, written)]);
    board.notify(DELETED);
  } else if (now === written) {
    return true;
  } else if (now === writing.text) {
    board.texts.remember(there);
    if (written === "") board.texts.delete([object_id]);
    else {
      const meta = board.texts.mark();
      drawing.edit({ type: "object.update", object_id, set: { text: written }, meta });
    }
  } else if (written === "") {
    board.notify(STAYS);
  } else {
    board.select([create(board, below(there.props), written)]);
    board.notify(CHANGED);
  }
  return true;
}

function create(board: Board, look: Look, written: string, object_id?: string): string {
  const z = board.topZ();
  const named = object_id === undefined ? {} : { object_id };
  const id = board.drawing.createObject({ kind: "text", props: { text: written, ...look }, z, ...named });
  if (object_id === undefined) board.setTool("select");
  return id;
}

function lookOf(props: JsonObject): Look {
  const { x, y } = shift(props);
  const fontSize = positive(props, "fontSize") ?? FONT_SIZE;
  return { x, y, fontSize, color: colour(props, "color", "fill") ?? INK };
}

function below(props: JsonObject): Look {
  const look = lookOf(props);
  const lines = (text(props, "text") ?? "").split(/\r?\n/).length;
  return { ...look, y: quantized(look.y + (lines * LINE_HEIGHT + GAP) * look.fontSize) };
}

/** Who wrote a text last, or deleted it. */
interface Change {
  readonly op_id: string;
  readonly revision: number;
  readonly actor: string;
  readonly tab: string | undefined;
  /** None of a deletion. */
  readonly text: string | undefined;
}

/**
 * Finds in the log what was written over, or deleted, by somebody who could not have seen it: they were offline, or both were
 * at it in the same moment. Those two then keep it, under an id that both would give it.
 */
export class Texts {
  readonly #board: Board;
  readonly #tab = newId();
  readonly #changes = new Map<string, Change>();
  /** What objects looked like that are gone now. */
  readonly #looks = new Map<string, Look>();
  readonly #end: () => void;

  constructor(board: Board) {
    this.#board = board;
    this.#end = board.drawing.onOps((ops) => {
      for (const op of ops) this.#see(op);
    });
  }

  close(): void {
    this.#end();
  }

  /** What an op tells of who makes it, and of what they have seen. */
  mark(): JsonObject {
    return { tab: this.#tab, seen: this.#board.drawing.revision };
  }

  /** Deletes objects as somebody who has seen them as they are now. */
  delete(object_ids: readonly string[], unit?: string): void {
    const { drawing } = this.#board;
    const op = { type: "object.delete", object_ids, meta: this.mark() } as const;
    drawing.edit(unit === undefined ? op : { ...op, unit });
  }

  /** Where a text is that may be gone soon. */
  remember({ object_id, kind, props }: ViewObject): void {
    if (kind === "text") put(this.#looks, object_id, lookOf(props));
  }

  #see(op: CommittedOp): void {
    const { op_id, revision, actor, meta } = op;
    const tab = typeof meta?.tab === "string" ? meta.tab : undefined;
    const seen = typeof meta?.seen === "number" ? meta.seen : undefined;
    for (const [id, written] of changesOf(op)) {
      const before = this.#changes.get(id);
      const change = { op_id, revision, actor, tab, text: written };
      put(this.#changes, id, change);
      const isBlind =
        seen !== undefined && before !== undefined && seen < before.revision && before.tab !== tab;
      const { userId } = this.#board.drawing;
      if (!isBlind || (before.actor !== userId && actor !== userId) || before.text === written) continue;
      // Of two who write, the later one is seen; of one who writes and one who deletes, nothing is.
      const lost = before.text === undefined ? change : before;
      if (lost.text !== undefined && lost.text.trim() !== "") this.#keep(id, lost.op_id, lost.text);
    }
  }

  #keep(id: string, op_id: string, written: string): void {
    const board = this.#board;
    const object_id = `kept-${op_id}`;
    const { objects } = board.drawing.view();
    // The other one may have been first.
    if (objects.some((object) => object.object_id === object_id)) {
      board.notify(AT_ONCE);
      return;
    }
    if (!board.canEdit) return;
    const there = objects.find((object) => object.object_id === id);
    const look = there === undefined ? (this.#looks.get(id) ?? this.#somewhere()) : below(there.props);
    if (board.edit(() => create(board, look, written, object_id)) !== undefined) board.notify(AT_ONCE);
  }

  /** In sight, where it is not known where it was. */
  #somewhere(): Look {
    const { viewport } = this.#board.stage;
    const place = (from: number, to: number) => quantized(from + (to - from) / 3);
    return {
      x: place(viewport.minX, viewport.maxX),
      y: place(viewport.minY, viewport.maxY),
      fontSize: newSize(this.#board),
      color: INK,
    };
  }
}

/** The texts that an op writes, and the objects that it deletes. */
function changesOf(op: CommittedOp): (readonly [id: string, text: string | undefined])[] {
  const { type, object_id, object_ids, set, props } = op as Readonly<Record<string, unknown>>;
  if (type === "object.delete" && Array.isArray(object_ids)) {
    return object_ids.flatMap((id: unknown) => (typeof id === "string" ? [[id, undefined] as const] : []));
  }
  const written = type === "object.update" ? set : type === "object.create" ? props : undefined;
  if (typeof written !== "object" || written === null || typeof object_id !== "string") return [];
  const its = Reflect.get(written, "text");
  return typeof its === "string" ? [[object_id, its]] : [];
}

/** The oldest ones are forgotten. */
function put<T>(map: Map<string, T>, id: string, value: T): void {
  map.delete(id);
  map.set(id, value);
  for (const oldest of map.keys()) {
    if (map.size <= MAX_KNOWN) break;
    map.delete(oldest);
  }
}
