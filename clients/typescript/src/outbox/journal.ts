// The storage as the outbox sees it: calls with a time limit, and memory in its place once it has failed.
//
// Decides nothing about ops. A failure is reported once; from then on no op is stored any more, and none is lost.

import { RevcastError } from "../errors.js";
import { STORE_TIMEOUT, TIMER_LATE } from "../limits.js";
import type { Merge } from "./batch.js";
import type { Held, Place } from "./quarantine.js";
import type { Entry } from "./queue.js";
import type { OutboxStore, StoreChange, StoredOp } from "./store.js";

export class Journal {
  readonly #store: OutboxStore;
  readonly #scope: string;
  readonly #onFailure: (error: RevcastError) => void;
  readonly #underWay = new Set<Promise<unknown>>();
  /** When entries that are being written have their keys. */
  readonly #written = new WeakMap<Place, Promise<void>>();
  #hasFailed = false;

  constructor(store: OutboxStore, scope: string, onFailure: (error: RevcastError) => void) {
    this.#store = store;
    this.#scope = scope;
    this.#onFailure = onFailure;
  }

  /** Whether ops are held in memory alone. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** What is stored after a key, or `undefined` when that cannot be read. */
  async load(after?: number): Promise<readonly StoredOp[] | undefined> {
    // Also after a failure: a storage that is full can be read.
    try {
      return await this.#call(() => this.#store.load(this.#scope, after));
    } catch (cause) {
      this.#fail(cause);
      return undefined;
    }
  }

  /** Stores new entries. When it resolves they are `stored`, or in `memory` if that failed. */
  append(entries: readonly Entry[]): Promise<void> {
    for (const entry of entries) entry.state = this.#hasFailed ? "memory" : "writing";
    if (this.#hasFailed) return Promise.resolve();
    const done = this.#append(entries);
    for (const entry of entries) this.#written.set(entry, done);
    return done;
  }

  async #append(entries: readonly Entry[]): Promise<void> {
    const ops = entries.map(({ op, body }) => ({ op_id: op.op_id, body }));
    let stored: Promise<readonly number[]> | undefined;
    try {
      const keys = await this.#call(() => {
        stored = this.#store.append(this.#scope, ops);
        return stored;
      });
      note(entries, keys);
      for (const entry of entries) entry.state = "stored";
    } catch (cause) {
      for (const entry of entries) entry.state = "memory";
      // It may have been stored after all, only late; the key is needed to remove it then.
      stored?.then((keys) => note(entries, keys)).catch(() => {});
      this.#fail(cause);
    }
  }

  /** Stores merged bodies in place of what was merged; `false` when that failed. */
  async rewrite(merges: readonly Merge[]): Promise<boolean> {
    const put: StoredOp[] = [];
    const remove: number[] = [];
    for (const { into, op, body, absorbed } of merges) {
      if (into.key !== undefined) put.push({ key: into.key, op_id: op.op_id, body });
      for (const { key } of absorbed) if (key !== undefined) remove.push(key);
    }
    if (put.length === 0 && remove.length === 0) return true;
    return this.change({ put, remove });
  }

  /** Forgets entries, once they are written. */
  async remove(entries: readonly Place[]): Promise<void> {
    await this.#settled(entries);
    const remove: number[] = [];
    for (const { key } of entries) if (key !== undefined) remove.push(key);
    if (remove.length > 0) await this.change({ remove });
  }

  /** Marks entries as rejected, once they are written. `excess` goes in the same change. */
  async reject(rejected: readonly { entry: Entry; held: Held }[], excess: readonly Place[]): Promise<void> {
    await this.#settled([...rejected.map(({ entry }) => entry), ...excess]);
    const put: StoredOp[] = [];
    for (const { entry, held } of rejected) {
      if (entry.key === undefined) continue;
      put.push({ key: entry.key, op_id: entry.op.op_id, body: entry.body, rejected: held.error });
    }
    const remove = excess.map((place) => place.key).filter((key) => key !== undefined);
    if (put.length > 0 || remove.length > 0) await this.change({ put, remove });
  }

  /** A change of what is stored; `false` when it failed. */
  async change(change: StoreChange): Promise<boolean> {
    try {
      await this.#call(() => this.#store.change(this.#scope, change));
      return true;
    } catch (cause) {
      this.#fail(cause);
      return false;
    }
  }

  /** Waits for all that is under way. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  async #settled(places: readonly Place[]): Promise<void> {
    await Promise.all(places.map((place) => this.#written.get(place)));
  }

  /** Begins the call at once, and waits for it no longer than `STORE_TIMEOUT`. */
  async #call<T>(call: () => Promise<T>): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<never>((_, reject) => {
      const wait = (): void => {
        const due = performance.now() + STORE_TIMEOUT;
        timer = setTimeout(() => {
          // A page that was frozen has not heard the answer yet.
          if (performance.now() - due > TIMER_LATE) wait();
          else reject(new Error("the storage does not answer"));
        }, STORE_TIMEOUT);
      };
      wait();
    });
    // A store that throws at once must not leave the timer behind.
    const started = (async () => call())();
    const under = Promise.race([started, timeout]).finally(() => clearTimeout(timer));
    const tracked = under.catch(() => {}).finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
    return under;
  }

  #fail(cause: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#onFailure(
      new RevcastError("STORAGE_FAILED", "the storage failed; what is pending is held in memory", { cause }),
    );
  }
}

function note(entries: readonly Entry[], keys: readonly number[]): void {
  entries.forEach((entry, index) => {
    entry.key = keys[index];
  });
}
