// Takes over what is stored under former names of a deployment, such as an earlier URL of its server.
//
// Only names that the application has given: nothing else tells that two of them are one deployment. What a tab of a former
// version still has open is left to it until it is closed: it may be sending, and changing, what is stored there.

import { RevcastError } from "../errors.js";
import { STORE_TIMEOUT } from "../limits.js";
import type { OutboxStore } from "./store.js";
import { browser, lockName, type TabsPlatform } from "./tabs.js";

export interface AdoptionOptions {
  readonly store: OutboxStore;
  /** Where it is to be from now on. */
  readonly scope: string;
  /** Where it may have been left. */
  readonly formerScopes: readonly string[];
  readonly platform?: TabsPlatform | undefined;
  /** There may be more in the storage than when `begin` resolved. */
  adopted(): void;
  failed(error: RevcastError): void;
}

export class Adoption {
  readonly #options: AdoptionOptions;
  readonly #locks: Pick<LockManager, "request"> | undefined;
  readonly #closing = new AbortController();

  constructor(options: AdoptionOptions) {
    this.#options = options;
    const { locks, BroadcastChannel } = options.platform ?? browser();
    // As tabs agree on who sends, or do not.
    this.#locks = options.store.shared && BroadcastChannel !== undefined ? locks : undefined;
  }

  /**
   * Takes over what no tab has open, and goes on to wait for the rest. Resolves, after `STORE_TIMEOUT` at the latest, with
   * whether there was anything. Never rejects.
   */
  async begin(): Promise<boolean> {
    const { formerScopes, adopted } = this.#options;
    let isOver = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<boolean[]>((resolve) => {
      timer = setTimeout(() => resolve([]), STORE_TIMEOUT);
    });
    const attempts = formerScopes.map(async (former) => {
      const hasMoved = await this.#attempt(former);
      if (hasMoved && isOver) adopted();
      return hasMoved;
    });
    const moved = await Promise.race([Promise.all(attempts), timeout]);
    clearTimeout(timer);
    isOver = true;
    return moved.includes(true);
  }

  /** Waits for nothing any more. */
  close(): void {
    this.#closing.abort();
  }

  async #attempt(former: string): Promise<boolean> {
    let hasMoved = false;
    let isFree = true;
    try {
      if (this.#locks === undefined) return await this.#move(former);
      await this.#locks.request(lockName(former), { ifAvailable: true }, async (lock) => {
        isFree = lock !== null;
        if (isFree) hasMoved = await this.#move(former);
      });
    } catch {
      // Locks are not allowed here, and then no other tab has any.
      return this.#move(former);
    }
    if (!isFree) void this.#wait(former);
    return hasMoved;
  }

  async #wait(former: string): Promise<void> {
    const { signal } = this.#closing;
    try {
      await this.#locks?.request(lockName(former), { signal }, () => this.#move(former));
    } catch {
      // It was closed while it waited.
      return;
    }
    // Another tab that waited, too, may have been the one that moved it.
    if (!signal.aborted) this.#options.adopted();
  }

  /** Whether there was anything. What cannot be moved stays where it is, until the next time. */
  async #move(former: string): Promise<boolean> {
    const { store, scope, failed } = this.#options;
    if (this.#closing.signal.aborted) return false;
    try {
      return ((await store.move?.(former, scope)) ?? 0) > 0;
    } catch (cause) {
      const message = "what is stored under a former name of the deployment could not be taken over";
      if (!this.#closing.signal.aborted) failed(new RevcastError("STORAGE_FAILED", message, { cause }));
      return false;
    }
  }
}
