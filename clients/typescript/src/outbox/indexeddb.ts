// Keeps pending ops in IndexedDB: they outlive the page, and all tabs see them.

import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import { RevcastError } from "../errors.js";
import type { OutboxStore, Refusal, StoreChange, StoredOp } from "./store.js";

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

  constructor(name = "revcast-outbox") {
    this.#name = name;
  }

  load(scope: string, after?: number): Promise<readonly StoredOp[]> {
    return this.#with(async (db) => {
      const records =
        after === undefined
          ? await db.getAllFromIndex("ops", "scope", scope)
          : // Little is newer than what was read last, so that there is no index for it.
            await db.getAll("ops", IDBKeyRange.lowerBound(after, true));
      return records.filter((record) => record.scope === scope).map(stored);
    });
  }

  append(scope: string, ops: readonly { op_id: string; body: string }[]): Promise<readonly number[]> {
    return this.#with(async (db) => {
      const transaction = db.transaction("ops", "readwrite", { durability: "strict" });
      const keys = ops.map(({ op_id, body }) => transaction.store.add({ scope, op_id, body }));
      const [added] = await Promise.all([Promise.all(keys), transaction.done]);
      return added;
    });
  }

  change(scope: string, { put = [], remove = [] }: StoreChange): Promise<void> {
    return this.#with(async (db) => {
      // A removal that is lost in a crash costs one more request, which is answered as a duplicate.
      const durability = put.length > 0 ? "strict" : "relaxed";
      const transaction = db.transaction("ops", "readwrite", { durability });
      const done: Promise<unknown>[] = [transaction.done];
      for (const record of put) done.push(transaction.store.put({ scope, ...record }));
      for (const key of remove) done.push(transaction.store.delete(key));
      await Promise.all(done);
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
