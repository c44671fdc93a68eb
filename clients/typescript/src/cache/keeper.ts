// Keeps the confirmed canvas of one drawing in the cache: when it has been quiet for a while, now and then while it is not,
// and when the page is left.

import { CACHE_LATEST, CACHE_QUIET } from "../limits.js";
import type { CachedCanvas, CanvasCache } from "./cache.js";

export class Keeper {
  readonly #cache: CanvasCache;
  readonly #scope: string;
  readonly #read: () => CachedCanvas | undefined;
  #saved: string | undefined;
  /** When the first change came that is not kept. */
  #changedSince: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `read` gives the canvas as it is; `undefined` while there is none. */
  constructor(cache: CanvasCache, scope: string, read: () => CachedCanvas | undefined) {
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
    this.#timer = setTimeout(() => this.save(), Math.min(CACHE_QUIET, left));
  }

  /** Begins to keep the canvas as it is now. */
  save(): void {
    clearTimeout(this.#timer);
    this.#changedSince = undefined;
    const canvas = this.#read();
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
