// The ops of the last moment, which may still change: they wait for more of their kind, and are not stored yet.

import { COALESCE_WINDOW } from "../limits.js";
import type { PendingOp, Point } from "../ops.js";
import { extendAppend, isMergeable, mayWait, mergeUpdates, type PendingUpdate } from "./coalesce.js";
import type { Entry } from "./queue.js";

/** An entry that is to become `op`. */
export interface Amendment {
  readonly entry: Entry;
  readonly op: PendingOp;
  readonly bytes: number;
  /** `op` as JSON, where it is there already. */
  readonly body?: string;
}

export class Window {
  readonly #close: () => void;
  #entries: Entry[] = [];
  /**
   * The newest of each object, of those that may still change: after the newest op that is neither an update nor an
   * append. Ops on different objects commute, so it need not be the last one.
   */
  readonly #newest = new Map<string, Entry>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `close` is called when the time is over. It is to take the entries soon. */
  constructor(close: () => void) {
    this.#close = close;
  }

  /** How many entries are in it. */
  get size(): number {
    return this.#entries.length;
  }

  /** Takes in an entry. Only updates and appends wait; any other op ends the waiting of all. */
  push(entry: Entry): void {
    const { op } = entry;
    this.#entries.push(entry);
    if (mayWait(op)) {
      this.#newest.set(op.object_id, entry);
      this.#timer ??= setTimeout(this.#close, COALESCE_WINDOW);
    } else {
      this.#newest.clear();
      this.#close();
    }
  }

  /** Whether one waits that an update may be merged into, unless the two are too large together. */
  hasWaiting(update: PendingUpdate): boolean {
    const entry = this.#newest.get(update.object_id);
    return entry?.op.type === "object.update" && isMergeable(entry.op, update);
  }

  /** What an update makes of one that waits, if the two may be merged. */
  merge(update: PendingUpdate): Amendment | undefined {
    const entry = this.#newest.get(update.object_id);
    if (entry?.op.type !== "object.update") return undefined;
    const merged = mergeUpdates(entry.op, update);
    return merged && { entry, ...merged };
  }

  /** What points make of an append that waits, if there is room for them. */
  extend(objectId: string, points: readonly Point[]): Amendment | undefined {
    const entry = this.#newest.get(objectId);
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
    this.#newest.clear();
    return entries;
  }
}
