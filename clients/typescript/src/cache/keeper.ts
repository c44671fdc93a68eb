// Keeps the confirmed canvas of one drawing in the cache: when it has been quiet for a while, now and then while it is not,
// and when the page is left.

import { CACHE_LATEST, CACHE_QUIET } from "../limits.js";
import type { CachedCanvas, CanvasCache } from "./cache.js";

/** Reads the canvas in steps, each of which is short; `undefined` while there is none. It must not change in between. */
export type Reading = Iterator<unknown, CachedCanvas | undefined>;

export class Keeper {
  readonly #cache: CanvasCache;
  readonly #scope: string;
  readonly #read: () => Reading;
  #saved: string | undefined;
  /** When the first change came that is not kept. */
  #changedSince: number | undefined;
  /** Until it is kept, or the next step of reading it. */
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `read` begins to read the canvas as it is. */
  constructor(cache: CanvasCache, scope: string, read: () => Reading) {
    this.#cache = cache;
    this.#scope = scope;
    this.#read = read;
  }

  /** What was kept the last time. */
  async load(): Promise<CachedCanvas | undefined> {
    try {
      const kept = await this.#cache.load(this.#scope);
      if (kept !== undefined) this.#saved = nameOf(kept);
      return kept;
    } catch {
      return undefined;
    }
  }

  /** The canvas has changed. */
  changed(): void {
    clearTimeout(this.#timer);
    const now = Date.now();
    this.#changedSince ??= now;
    const left = Math.max(0, this.#changedSince + CACHE_LATEST - now);
    // Where there is no pause for it, there is none between two steps either.
    this.#timer =
      left > CACHE_QUIET
        ? setTimeout(() => this.#go(this.#read()), CACHE_QUIET)
        : setTimeout(() => this.save(), left);
  }

  /** Begins to keep the canvas as it is now: the page may be gone after this task. */
  save(): void {
    clearTimeout(this.#timer);
    const reading = this.#read();
    let step = reading.next();
    while (!step.done) step = reading.next();
    this.#store(step.value);
  }

  /** Reads step by step, each in a task of its own, until the canvas changes. */
  #go(reading: Reading): void {
    const step = reading.next();
    if (step.done) this.#store(step.value);
    else this.#timer = setTimeout(() => this.#go(reading));
  }

  #store(canvas: CachedCanvas | undefined): void {
    this.#changedSince = undefined;
    if (canvas === undefined || nameOf(canvas) === this.#saved) return;
    this.#saved = nameOf(canvas);
    this.#cache.save(this.#scope, canvas).catch(() => {
      this.#saved = undefined;
    });
  }

  /** The user may not see it any more, or it cannot be used. */
  forget(): void {
    clearTimeout(this.#timer);
    this.#saved = undefined;
    // Whoever cannot remove it could not have read it either.
    this.#cache.remove(this.#scope).catch(() => {});
  }
}

function nameOf({ epoch, revision }: CachedCanvas): string {
  return `${epoch}/${revision}`;
}
