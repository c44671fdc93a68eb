// The ops of the last moment, which may still change: they wait for more of their kind, and are not stored yet.

import { COALESCE_WINDOW } from "../limits.js";
import type { PendingOp, Point } from "../ops.js";
import { extendAppend, mayWait, mergeUpdates } from "./coalesce.js";
import type { Entry } from "./queue.js";

/** An entry that is to become `op`. */
export interface Amendment {
  readonly entry: Entry;
  readonly op: PendingOp;
  /** The size of `op`, where it is known already. */
  readonly bytes?: number;
}

export class Window {
  readonly #close: () => void;
  #entries: Entry[] = [];
  /** Where those begin that may still change: after the newest op that is neither an update nor an append. */
  #from = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `close` is called when the time is over. It is to take the entries soon. */
  constructor(close: () => void) {
    this.#close = close;
  }

  /** Takes in an entry. Only updates and appends wait; any other op ends the waiting of all. */
  push(entry: Entry): void {
    this.#entries.push(entry);
    if (mayWait(entry.op)) this.#timer ??= setTimeout(this.#close, COALESCE_WINDOW);
    else {
      this.#from = this.#entries.length;
      this.#close();
    }
  }

  /** What an update makes of one that waits, if the two may be merged. */
  merge(update: Extract<PendingOp, { type: "object.update" }>): Amendment | undefined {
    const entry = this.#newest(update.object_id);
    if (entry?.op.type !== "object.update") return undefined;
    const op = mergeUpdates(entry.op, update);
    return op && { entry, op };
  }

  /** What points make of an append that waits, if there is room for them. */
  extend(objectId: string, points: readonly Point[]): Amendment | undefined {
    const entry = this.#newest(objectId);
    if (entry?.op.type !== "stroke.append") return undefined;
    const extended = extendAppend(entry.op, entry.bytes, points);
    return extended && { entry, ...extended };
  }

  /** Empties the window. What was in it does not change any more. */
  take(): readonly Entry[] {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const entries = this.#entries;
    this.#entries = [];
    this.#from = 0;
    return entries;
  }

  /** The newest op on an object. Ops on other objects commute with it, so it need not be the last one. */
  #newest(objectId: string): Entry | undefined {
    for (let at = this.#entries.length - 1; at >= this.#from; at -= 1) {
      const entry = this.#entries[at];
      if (entry !== undefined && "object_id" in entry.op && entry.op.object_id === objectId) return entry;
    }
    return undefined;
  }
}
