// What people write is never lost: who changes or deletes a text that somebody else has changed meanwhile takes nothing away
// from it. Both are kept then, one below the other.

import { RevcastError } from "@revcast/client";
import { newId } from "../id.js";
import type { JsonObject, ViewObject } from "../revcast.js";
import { FONT_SIZE, LINE_HEIGHT, widthOf } from "../scene/kinds/text.js";
import { colour, INK, positive, shift, text } from "../scene/props.js";
import { wrapped } from "../scene/wrap.js";
import { newSize } from "../tools/text.js";
import { quantized } from "../tools/tool.js";
import type { Board } from "./board.js";
import { DueStore } from "./due.js";
import { type Lost, MAX_MARKED, Overwritten, printOf, put } from "./overwritten.js";
import type { Writing } from "./ui.js";

/** The most ids that an op of type `object.delete` may name. */
const DELETED_AT_ONCE = 1_000;
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
      const meta = board.texts.mark([there]);
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

/** Keeps what was written over, or deleted, by somebody who had not seen it. */
export class Texts {
  readonly #board: Board;
  readonly #tab = newId();
  readonly #overwritten: Overwritten;
  /** What objects looked like that are gone now. */
  readonly #looks = new Map<string, Look>();
  readonly #ends: readonly (() => void)[];

  constructor(board: Board) {
    this.#board = board;
    const { drawing } = board;
    this.#overwritten = new Overwritten({
      userId: () => drawing.userId,
      epoch: () => drawing.epoch,
      revision: () => drawing.revision,
      past: async (revision) => (await drawing.snapshotAt({ revision })).view.objects,
      // The drawing may be about to go on in another epoch.
      mayRetry: (error) =>
        error instanceof RevcastError && (error.retryable || error.code === "epoch_changed"),
      lost: (lost) => this.#keep(lost),
      store: () => (drawing.userId === undefined ? undefined : new DueStore(drawing.id, drawing.userId)),
    });
    this.#ends = [
      drawing.onOps((ops) => this.#overwritten.see(ops)),
      drawing.onAcknowledged((ops) => this.#overwritten.acknowledged(ops)),
      drawing.onChange(() => this.#overwritten.look()),
      drawing.onConnection((state) => {
        if (state === "live") this.#overwritten.retry();
      }),
    ];
  }

  close(): void {
    for (const end of this.#ends) end();
  }

  /** What an op tells of who makes it, and of what they have seen: these texts as they are, for one. */
  mark(texts: readonly ViewObject[]): JsonObject {
    const { revision, epoch } = this.#board.drawing;
    const over = texts.map(({ props }) => printOf(text(props, "text") ?? "")).join("");
    return {
      tab: this.#tab,
      seen: revision,
      ...(epoch === undefined ? {} : { epoch }),
      ...(over === "" ? {} : { over }),
    };
  }

  /** Deletes objects, in a unit, as somebody who has seen them as they are now. */
  delete(object_ids: readonly string[], unit?: string): void {
    const { drawing } = this.#board;
    const wanted = new Set(object_ids);
    const isWanted = ({ object_id, kind }: ViewObject) => kind === "text" && wanted.has(object_id);
    const texts = drawing.view().objects.filter(isWanted);
    for (const { object_id } of texts) wanted.delete(object_id);
    const others = [...wanted];
    const whole = unit ?? drawing.newUnit();
    while (texts.length > 0 || others.length > 0) {
      // One op has room to tell of so many texts, and to name so many objects.
      const marked = texts.splice(0, MAX_MARKED);
      for (const object of marked) this.remember(object);
      const ids = marked.map(({ object_id }) => object_id);
      if (texts.length === 0) ids.push(...others.splice(0, DELETED_AT_ONCE - ids.length));
      const meta = this.mark(marked);
      drawing.edit({ type: "object.delete", object_ids: ids, meta, unit: whole });
    }
  }

  /** Where a text is that may be gone soon. */
  remember({ object_id, kind, props }: ViewObject): void {
    if (kind === "text") put(this.#looks, object_id, lookOf(props));
  }

  #keep({ object_id: id, kept_id, text: written, before }: Lost): void {
    const board = this.#board;
    const { objects } = board.drawing.view();
    // The other one may have been first.
    if (objects.some(({ object_id }) => object_id === kept_id)) {
      board.notify(AT_ONCE);
      return;
    }
    if (!board.canEdit) return;
    const there = objects.find(({ object_id }) => object_id === id);
    const look = there === undefined ? this.#lookBefore(id, before) : below(there.props);
    if (board.edit(() => create(board, look, written, kept_id)) !== undefined) board.notify(AT_ONCE);
  }

  #lookBefore(id: string, before: ViewObject | undefined): Look {
    return before === undefined ? (this.#looks.get(id) ?? this.#somewhere()) : lookOf(before.props);
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
