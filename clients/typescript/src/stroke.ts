// A stroke that is being drawn: one undo unit of a begin, its appends, and an end.

import { MAX_POINTS, MAX_POINTS_BYTES } from "./limits.js";
import type { NewOp, Point } from "./ops.js";

/** How a stroke reaches the drawing. */
export interface StrokeSink {
  /** Makes an op and returns its id; `""` when it must not be made now. */
  edit(op: NewOp): string;
  /** Adds points to the newest append of the stroke, if that may still change. */
  extend(objectId: string, points: readonly Point[]): boolean;
}

export class Stroke {
  readonly #sink: StrokeSink;
  #appends = 0;
  #isOver = false;

  /** Its begin must be in the drawing already. */
  constructor(
    sink: StrokeSink,
    readonly object_id: string,
    /** The undo unit, for other ops of the same gesture. */
    readonly unit: string,
  ) {
    this.#sink = sink;
  }

  /** Draws on. Nothing happens once it has ended. */
  append(points: readonly Point[]): void {
    if (this.#isOver) return;
    for (const part of partsOf(points)) this.#append(part);
  }

  /** Ends it: readers know then that nothing is missing. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { object_id, unit } = this;
    this.#sink.edit({ type: "stroke.end", object_id, count: this.#appends, unit });
  }

  /** Takes it back, as if it had not been begun. */
  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#sink.edit({ type: "object.delete", object_ids: [this.object_id], unit: this.unit });
  }

  #append(points: readonly Point[]): void {
    const { object_id, unit } = this;
    if (this.#appends > 0 && this.#sink.extend(object_id, points)) return;
    const made = this.#sink.edit({
      type: "stroke.append",
      object_id,
      index: this.#appends + 1,
      points,
      unit,
    });
    // Were one counted that is not there, nothing after it would be seen.
    if (made !== "") this.#appends += 1;
  }
}

/** Points in parts that are not too many or too large for one op each. */
export function partsOf(points: readonly Point[]): Point[][] {
  const parts: Point[][] = [];
  let bytes = 0;
  for (const point of points) {
    const size = JSON.stringify(point).length + 1;
    const part = parts.at(-1);
    bytes += size;
    if (part !== undefined && part.length < MAX_POINTS && bytes <= MAX_POINTS_BYTES) part.push(point);
    else {
      parts.push([point]);
      bytes = size;
    }
  }
  return parts;
}
