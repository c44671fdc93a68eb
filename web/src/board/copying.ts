// Copy, cut and paste of objects, from one drawing to another, too. Fields and dialogs keep what is theirs.

import { newId } from "../id.js";
import { centreOf, overlaps, union, type Vec } from "../scene/geometry.js";
import { shapeOf } from "../scene/shape.js";
import { svgOfObjects } from "../scene/svg.js";
import { createCopy } from "../tools/change.js";
import { COPY_OFFSET, deleteSelected } from "./actions.js";
import type { Board } from "./board.js";
import {
  CLIP_TYPE,
  type Clip,
  htmlOfClip,
  plainTextOf,
  readClip,
  readHtmlClip,
  readObject,
  writeClip,
} from "./clip.js";

/** Whether an event of the clipboard is for a field or a dialog. */
export function isElsewhere({ target }: Event): boolean {
  if (document.querySelector("dialog[open]") !== null) return true;
  return target instanceof HTMLElement && target.closest("input, textarea") !== null;
}

/** Puts what is selected on the clipboard when that is asked for, until the returned function is called. */
export function listenToCopying(board: Board): () => void {
  const abort = new AbortController();
  const { signal } = abort;
  /** Returns what is on the clipboard now: only that may be cut. */
  const copy = (event: ClipboardEvent): readonly string[] => {
    if (isElsewhere(event) || event.clipboardData === null) return [];
    const selected = board.selected().map(({ object }) => object);
    const objects = selected.flatMap((object) => readObject(object) ?? []);
    // Nothing of the drawing, or words of the page: that is the browser's.
    if (objects.length === 0 || getSelection()?.isCollapsed === false) return [];
    event.preventDefault();
    const clip = writeClip({ id: newId(), objects: selected });
    event.clipboardData.setData(CLIP_TYPE, clip);
    const svg = svgOfObjects(objects);
    event.clipboardData.setData("image/svg+xml", svg);
    // Browsers show that type to pages alone. What has no words is a picture to all other programs, too.
    const plain = plainTextOf(objects) || svg;
    event.clipboardData.setData("text/plain", plain);
    // Firefox keeps no type of one's own.
    event.clipboardData.setData("text/html", htmlOfClip(clip, plain));
    return objects.map(({ object_id }) => object_id);
  };
  addEventListener("copy", (event) => void copy(event), { signal });
  addEventListener(
    "cut",
    (event) => {
      if (board.canEdit) deleteSelected(board, copy(event));
    },
    { signal },
  );
  return () => abort.abort();
}

export class Pasting {
  #last: { readonly id: string; times: number } | undefined;

  constructor(readonly board: Board) {}

  /** Pastes objects. Returns whether there were any on the clipboard. */
  take(data: DataTransfer | null): boolean {
    const clip = readClip(data?.getData(CLIP_TYPE) ?? "") ?? readHtmlClip(data?.getData("text/html") ?? "");
    if (clip === undefined) return false;
    const { board } = this;
    // Fog is laid by owners only.
    const objects = clip.objects.filter(({ kind }) => kind !== "fog" || board.isOwner);
    if (objects.length < clip.objects.length) board.notify("The fog was left out: only owners lay fog.");
    if (objects.length === 0) return true;
    const { x, y } = this.#way({ ...clip, objects });
    const ids = board.edit(() => {
      const unit = board.drawing.newUnit();
      const z = board.topZ();
      return objects.map((object) => createCopy(board.drawing, object, x, y, unit, z));
    });
    if (ids === undefined) return true;
    board.setTool("select");
    board.select(ids);
    return true;
  }

  /** Where it was, beside what is there already; if that is out of sight, in the middle of the screen. */
  #way({ id, objects }: Clip): Vec {
    const { board } = this;
    board.stage.sync();
    const { scene, viewport } = board.stage;
    const isThere = objects.some(({ object_id }) => scene.entry(object_id) !== undefined);
    if (this.#last?.id !== id) this.#last = { id, times: isThere ? 1 : 0 };
    const by = COPY_OFFSET * this.#last.times;
    this.#last.times += 1;
    const box = union(objects.flatMap((object) => shapeOf(object)?.box ?? []));
    if (box === undefined || overlaps(box, viewport)) return { x: by, y: by };
    const [from, to] = [centreOf(box), centreOf(viewport)];
    return { x: to.x - from.x + by, y: to.y - from.y + by };
  }
}
