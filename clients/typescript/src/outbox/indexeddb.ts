// Keeps pending ops in IndexedDB: they outlive the page, and all tabs see them.

import { type DBSchema, type IDBPDatabase, openDB, unwrap } from "idb";
import { RevcastError } from "../errors.js";
import type { OpRecord, OutboxStore, Refusal, StoreChange, StoredOp } from "./store.js";
import { dropWill, eraseWills, leaveWill, readWill } from "./will.js";

const VERSION = 1;

interface StoredRecord {
  /** Given by the database, which makes it the order of the records. */
  readonly key?: number;
  readonly scope: string;
  readonly op_id: string;
  readonly body: string;
  readonly rejected?: Refusal;
}

interface Schema extends DBSchema {
  ops: { key: number; value: StoredRecord; indexes: { scope: string } };
}

/** One for a client, whatever the number of its drawings. Opens the database with the first call. */
export class IndexedDbStore implements OutboxStore {
  readonly shared = true;
  readonly #name: string;
  #opening: Promise<IDBPDatabase<Schema>> | undefined;
  /** Once it is open: a call then begins its work in the task of its caller. */
  #db: IDBPDatabase<Schema> | undefined;
  #isClosed = false;
  /** What this page has left as its will and not stored since: ids of ops, by scope. */
  readonly #willed = new Map<string, Set<string>>();

  constructor(name = "revcast-outbox") {
    this.#name = name;
  }

  async load(scope: string, after?: number): Promise<readonly StoredOp[]> {
    const records = await this.#load(scope, after);
    // One's own will is being stored.
    if (after !== undefined || this.#willed.has(scope)) return records;
    const will = readWill(scope);
    if (will.length === 0) return records;
    await this.#execute(scope, will, records);
    dropWill(scope);
    return this.#load(scope, after);
  }

  #load(scope: string, after: number | undefined): Promise<readonly StoredOp[]> {
    return this.#with(async (db) => {
      const records =
        after === undefined
          ? await db.getAllFromIndex("ops", "scope", scope)
          : // Little is newer than what was read last, so that there is no index for it.
            await db.getAll("ops", IDBKeyRange.lowerBound(after, true));
      return records.filter((record) => record.scope === scope).map(stored);
    });
  }

  append(scope: string, ops: readonly OpRecord[]): Promise<readonly number[]> {
    return this.#with(async (db) => {
      const transaction = db.transaction("ops", "readwrite", { durability: "strict" });
      // Thousands may be stored at once. Within a transaction the keys of new records are one after the other, so that one
      // answer tells all of them; a failure of any fails the transaction.
      const store = unwrap(transaction.store);
      const [first, ...rest] = ops.map(({ op_id, body }) => store.add({ scope, op_id, body }));
      // A page that is being left may not get to end it by itself, and would keep other tabs waiting.
      transaction.commit();
      await transaction.done;
      this.#executed(scope, ops);
      const firstKey = first?.result as number;
      return first === undefined ? [] : [firstKey, ...rest.map((_, index) => firstKey + index + 1)];
    });
  }

  leave(scope: string, ops: readonly OpRecord[]): void {
    this.#willed.set(scope, new Set(ops.map(({ op_id }) => op_id)));
    leaveWill(scope, ops);
  }

  /** Stores what a page has left. An op that is there already may have been about to grow. */
  async #execute(scope: string, will: readonly OpRecord[], records: readonly StoredOp[]): Promise<void> {
    const known = new Map(records.map((record) => [record.op_id, record]));
    const put: StoredOp[] = [];
    for (const { op_id, body } of will) {
      const record = known.get(op_id);
      if (record !== undefined && record.rejected === undefined) put.push({ key: record.key, op_id, body });
    }
    if (put.length > 0) await this.change(scope, { put });
    const late = will.filter(({ op_id }) => !known.has(op_id));
    if (late.length > 0) await this.append(scope, late);
  }

  /** These are stored: once all of the will is, there is no need of it. */
  #executed(scope: string, ops: readonly OpRecord[]): void {
    const willed = this.#willed.get(scope);
    if (willed === undefined) return;
    for (const { op_id } of ops) willed.delete(op_id);
    if (willed.size > 0) return;
    this.#willed.delete(scope);
    dropWill(scope);
  }

  change(scope: string, { put = [], remove = [] }: StoreChange): Promise<void> {
    return this.#with(async (db) => {
      // A removal that is lost in a crash costs one more request, which is answered as a duplicate.
      const durability = put.length > 0 ? "strict" : "relaxed";
      const transaction = db.transaction("ops", "readwrite", { durability });
      const store = unwrap(transaction.store);
      for (const record of put) store.put({ scope, ...record });
      for (const [from, to] of runsOf(remove)) store.delete(IDBKeyRange.bound(from, to));
      transaction.commit();
      await transaction.done;
      this.#executed(scope, put);
    });
  }

  async move(from: string, to: string): Promise<number> {
    // With what a page has left as its will.
    if (from === to || (await this.load(from)).length === 0) return 0;
    return this.#with(async (db) => {
      const transaction = db.transaction("ops", "readwrite", { durability: "strict" });
      const records = await transaction.store.index("scope").getAll(from);
      for (const record of records) void transaction.store.put({ ...record, scope: to });
      await transaction.done;
      return records.length;
    });
  }

  erase(prefix: string): Promise<number> {
    return this.#with(async (db) => {
      const transaction = db.transaction("ops", "readwrite", { durability: "strict" });
      let unsent = eraseWills(prefix);
      let cursor = await transaction.store.index("scope").openCursor(IDBKeyRange.lowerBound(prefix));
      for (; cursor?.value.scope.startsWith(prefix); cursor = await cursor.continue()) {
        if (cursor.value.rejected === undefined) unsent += 1;
        void cursor.delete();
      }
      await transaction.done;
      return unsent;
    });
  }

  /** Calls that have begun are still finished. */
  close(): void {
    this.#isClosed = true;
    this.#db?.close();
    this.#db = undefined;
  }

  #with<T>(work: (db: IDBPDatabase<Schema>) => Promise<T>): Promise<T> {
    if (this.#db !== undefined) return work(this.#db);
    return this.#open().then(work);
  }

  #open(): Promise<IDBPDatabase<Schema>> {
    if (this.#isClosed) return Promise.reject(new RevcastError("closed", "the storage was closed"));
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #connect(): Promise<IDBPDatabase<Schema>> {
    const forget = (): void => {
      this.#db = undefined;
    };
    const db = await openDB<Schema>(this.#name, VERSION, {
      upgrade(created) {
        created
          .createObjectStore("ops", { keyPath: "key", autoIncrement: true })
          .createIndex("scope", "scope");
      },
      // Another tab brings a newer version, or deletes the database. To hold on would keep it waiting for ever.
      blocking(_current, _blocked, event) {
        forget();
        (event.target as IDBDatabase).close();
      },
      // The browser has closed it; the next call opens it again.
      terminated: forget,
    });
    if (this.#isClosed) {
      db.close();
      throw new RevcastError("closed", "the storage was closed");
    }
    this.#db = db;
    return db;
  }
}

function stored({ key = 0, op_id, body, rejected }: StoredRecord): StoredOp {
  return { key, op_id, body, ...(rejected === undefined ? {} : { rejected }) };
}

/** Keys as runs of such that follow each other: one call removes a run, and between two neighbours there is nothing else. */
export function runsOf(keys: readonly number[]): readonly (readonly [from: number, to: number])[] {
  const runs: [number, number][] = [];
  for (const key of [...keys].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last !== undefined && key <= last[1] + 1) last[1] = key;
    else runs.push([key, key]);
  }
  return runs;
}
