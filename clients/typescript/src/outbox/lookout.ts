// When to look into the storage, which other tabs change too: when they tell, and while one waits for what they do.

import { LOOK_AGAIN } from "../limits.js";
import type { Journal } from "./journal.js";
import type { Reconciler } from "./reconcile.js";

export interface LookoutOptions {
  readonly reconciler: Reconciler;
  readonly journal: Journal;
  /** Whether it is for this tab to remove what is settled. */
  isLeading(): boolean;
  /** Whether this tab waits for what another one does. */
  isWaiting(): boolean;
  /** It has looked: what is pending may be something else now. */
  looked(): void;
}

export class Lookout {
  readonly #options: LookoutOptions;
  /** Until this tab looks again, without having been told to. */
  #again: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(options: LookoutOptions) {
    this.#options = options;
  }

  /** Looks into the storage: all of it, or what is new in it. */
  async look(extent: "all" | "new"): Promise<void> {
    const { reconciler, journal, isLeading, looked } = this.#options;
    const leftovers = await reconciler.look(extent, () => this.#isClosed);
    if (leftovers === undefined) return;
    if (leftovers.length > 0 && isLeading()) void journal.change({ remove: leftovers });
    looked();
    this.lookAgain();
  }

  /** Whoever has done what this tab waits for may have gone before it could tell. */
  lookAgain(): void {
    if (this.#again !== undefined || this.#isClosed || !this.#options.isWaiting()) return;
    this.#again = setTimeout(() => {
      this.#again = undefined;
      void this.look("all");
    }, LOOK_AGAIN);
  }

  /** Final. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#again);
  }
}
