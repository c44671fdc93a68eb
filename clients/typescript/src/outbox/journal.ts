// The storage as the outbox sees it: calls with a time limit, and memory in its place once it has failed.
//
// Decides nothing about ops. A failure is told once; from then on ops are held in memory, until it can be stored again.

import { backoff } from "../backoff.js";
import { RevcastError } from "../errors.js";
import { STORE_RETRY, STORE_TIMEOUT, TIMER_LATE } from "../limits.js";
import type { Change } from "./batch.js";
import type { Held, Place } from "./quarantine.js";
import type { Entry } from "./queue.js";
import type { OutboxStore, StoreChange, StoredOp } from "./store.js";

export interface JournalOptions {
  readonly store: OutboxStore;
  readonly scope: string;
  readonly random?: (() => number) | undefined;
  /** What is held in memory alone, in order. */
  held(): readonly Entry[];
  /** What was to be stored is held in memory alone. */
  unstored(): void;
  /** The storage has failed: told once, until something could be stored again. */
  failed(error: RevcastError): void;
  /** It works again, as far as can be told, and has what was held. */
  restored(): void;
}

export class Journal {
  readonly #options: JournalOptions;
  readonly #store: OutboxStore;
  readonly #scope: string;
  readonly #underWay = new Set<Promise<unknown>>();
  /** When entries that are being written have their keys, and those that are rejected are stored so. */
  readonly #written = new WeakMap<Place, Promise<void>>();
  #hasFailed = false;
  /** Failures without anything being stored in between. */
  #failures = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #isRestoring = false;
  /** Whether the page was left since something could be stored. */
  #wasLeft = false;
  #isClosed = false;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#scope = options.scope;
  }

  /** Whether ops are held in memory alone. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Whether it has failed, and nothing could be stored since. */
  get isBroken(): boolean {
    return this.#failures > 0;
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

  /**
   * Stores new entries, and anew those that were opened again. When it resolves they are `stored`, or in `memory` if that
   * failed.
   */
  append(entries: readonly Entry[]): Promise<void> {
    for (const entry of entries) entry.state = this.#hasFailed ? "memory" : "writing";
    if (this.#hasFailed) return Promise.resolve();
    // One that was opened again may still be on its way, and its key is needed.
    const earlier = entries.flatMap((entry) => this.#written.get(entry) ?? []);
    const begun =
      earlier.length === 0 ? this.#append(entries) : Promise.all(earlier).then(() => this.#append(entries));
    const done = begun.finally(() => {
      this.#underWay.delete(done);
      for (const entry of entries) if (this.#written.get(entry) === done) this.#written.delete(entry);
    });
    for (const entry of entries) this.#written.set(entry, done);
    this.#underWay.add(done);
    return done;
  }

  async #append(entries: readonly Entry[]): Promise<void> {
    const put: StoredOp[] = [];
    const added: Entry[] = [];
    for (const entry of entries) {
      const { key, op, body } = entry;
      if (key === undefined) added.push(entry);
      else put.push({ key, op_id: op.op_id, body });
    }
    // What is older first: a crash in between must not keep an end without the points before it.
    const calls = [put.length === 0 || this.change({ put }), this.#add(added)];
    const isStored = (await Promise.all(calls)).every(Boolean);
    for (const entry of entries) {
      // One that was opened again meanwhile waits for more.
      if (entry.state === "writing") entry.state = isStored ? "stored" : "memory";
    }
  }

  async #add(entries: readonly Entry[]): Promise<boolean> {
    if (entries.length === 0) return true;
    const ops = entries.map(({ op, body }) => ({ op_id: op.op_id, body }));
    let stored: Promise<readonly number[]> | undefined;
    try {
      const keys = await this.#call(() => {
        stored = this.#store.append(this.#scope, ops);
        return stored;
      });
      note(entries, keys);
      this.#works();
      return true;
    } catch (cause) {
      // It may have been stored after all, only late; the key is needed to remove it then.
      stored?.then((keys) => note(entries, keys)).catch(() => {});
      this.#fail(cause);
      return false;
    }
  }

  /** Stores other bodies in place of what is stored, once that is; `false` when that failed. */
  async rewrite(changes: readonly Change[]): Promise<boolean> {
    await this.#settled(changes.map(({ into }) => into));
    const put: StoredOp[] = [];
    const remove: number[] = [];
    for (const { into, op, body, absorbed } of changes) {
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
  reject(rejected: readonly { entry: Entry; held: Held }[], excess: readonly Place[]): Promise<void> {
    const entries = rejected.map(({ entry }) => entry);
    const done = this.#reject(rejected, this.#settled([...entries, ...excess]), excess);
    // They may be sent again before that.
    for (const entry of entries) this.#written.set(entry, done);
    return done;
  }

  async #reject(
    rejected: readonly { entry: Entry; held: Held }[],
    settled: Promise<void>,
    excess: readonly Place[],
  ): Promise<void> {
    await settled;
    const put: StoredOp[] = [];
    for (const { entry, held } of rejected) {
      if (entry.key === undefined) continue;
      put.push({ key: entry.key, op_id: entry.op.op_id, body: entry.body, rejected: held.error });
    }
    const remove = excess.map((place) => place.key).filter((key) => key !== undefined);
    if (put.length === 0 && remove.length === 0) return;
    if (!(await this.change({ put, remove }))) return;
    for (const { entry, held } of rejected) held.isStored = entry.key !== undefined;
  }

  /** A change of what is stored; `false` when it failed. */
  async change(change: StoreChange): Promise<boolean> {
    try {
      await this.#call(() => this.#store.change(this.#scope, change));
      this.#works();
      return true;
    } catch (cause) {
      this.#fail(cause);
      return false;
    }
  }

  /** The page may be gone after this task: what is not stored yet is kept in another way, where there is one. */
  leave(entries: readonly Entry[]): void {
    this.#wasLeft = true;
    const late = entries.filter(({ state }) => state !== "stored");
    if (late.length === 0) return;
    this.#store.leave?.(
      this.#scope,
      late.map(({ op, body }) => ({ op_id: op.op_id, body })),
    );
  }

  /** After a failure, tries to store what is held: a page that was left, say, may have failed for that alone. */
  async restore(): Promise<void> {
    if (!this.#hasFailed || this.#isRestoring || this.#isClosed) return;
    clearTimeout(this.#retry);
    this.#isRestoring = true;
    // What is made meanwhile is stored after it.
    this.#hasFailed = false;
    await this.append(this.#options.held());
    this.#isRestoring = false;
    if (!this.#hasFailed && !this.#isClosed) this.#options.restored();
  }

  /** Final, but for calls that are still made. Nothing is tried again by itself. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
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

  #works(): void {
    this.#failures = 0;
    this.#wasLeft = false;
  }

  #fail(cause: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#failures += 1;
    if (!this.#isClosed) {
      clearTimeout(this.#retry);
      this.#retry = setTimeout(
        () => void this.restore(),
        STORE_RETRY + backoff(this.#failures, this.#options.random),
      );
    }
    this.#options.unstored();
    // The first one may be no more than what a page finds when it comes back: calls that it made as it was left.
    if (this.#failures !== (this.#wasLeft ? 2 : 1)) return;
    this.#options.failed(
      new RevcastError("STORAGE_FAILED", "the storage failed; what is pending is held in memory", { cause }),
    );
  }
}

function note(entries: readonly Entry[], keys: readonly number[]): void {
  entries.forEach((entry, index) => {
    entry.key = keys[index];
  });
}
