// How the ops made here stand, as it is told: the state, errors once, and who waits for the end.

import { closedError, type RevcastError } from "../errors.js";

/** How the ops made here stand. `rejected`: nothing is pending, and some were refused. */
export type SyncState = "saved" | "saving" | "stored-locally" | "rejected";

export interface StatusOptions {
  pendingCount(): number;
  /** Whether what was left in the storage is known, and counted. */
  isLoaded(): boolean;
  hasRejected(): boolean;
  /** Whether what is pending is held in memory alone, though it was to be stored. */
  isUnstored(): boolean;
  sync(state: SyncState): void;
  error(error: RevcastError): void;
}

export class Status {
  readonly #options: StatusOptions;
  readonly #flushes = new Set<{ resolve(): void; reject(error: RevcastError): void }>();
  #hasFailed = false;
  /** The code of the failure that goes on and was told. */
  #told: string | undefined;
  #last: SyncState = "saved";

  constructor(options: StatusOptions) {
    this.#options = options;
  }

  get sync(): SyncState {
    if (this.#options.pendingCount() === 0) return this.#options.hasRejected() ? "rejected" : "saved";
    return this.isStalled && !this.#options.isUnstored() ? "stored-locally" : "saving";
  }

  /** Whether nothing can be sent for now. */
  get isStalled(): boolean {
    return this.#hasFailed || isOffline();
  }

  /** Tells what has changed. */
  update(): void {
    const { sync } = this;
    if (sync !== this.#last) {
      this.#last = sync;
      this.#options.sync(sync);
    }
    if (!this.#isFlushed()) return;
    for (const flush of this.#flushes) flush.resolve();
    this.#flushes.clear();
  }

  /** How an attempt to send went. */
  attempted(failure: RevcastError | undefined): void {
    this.#hasFailed = failure !== undefined;
    if (failure === undefined) this.#told = undefined;
    // What passes by itself is told by the state alone.
    else if (!failure.retryable || failure.code === "AUTH_FAILED") {
      if (this.#told !== failure.code) this.#options.error(failure);
      this.#told = failure.code;
    }
    this.update();
  }

  /** How the attempts of another tab go. */
  attemptedElsewhere(hasFailed: boolean): void {
    this.#hasFailed = hasFailed;
  }

  /** Resolves when nothing is pending. */
  flushed(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#isFlushed()) resolve();
      else this.#flushes.add({ resolve, reject });
    });
  }

  #isFlushed(): boolean {
    return this.#options.isLoaded() && this.#options.pendingCount() === 0;
  }

  close(): void {
    for (const flush of this.#flushes) flush.reject(closedError());
    this.#flushes.clear();
  }
}

function isOffline(): boolean {
  return typeof navigator !== "undefined" && navigator.onLine === false;
}
