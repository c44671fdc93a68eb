// Confirmed canvases kept on the device, so that a drawing is there at once when it is opened again, network or not.
//
// A cache is a convenience: whatever fails in it, the canvas is read from the server.

import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { Registers } from "../canvas/registers.js";
import { MAX_CACHED_CANVASES } from "../limits.js";

/** A confirmed canvas. */
export interface CachedCanvas {
  readonly epoch: string;
  readonly revision: number;
  readonly registers: Registers;
}

/** Where canvases are kept. A scope is one drawing of one user on one server. */
export interface CanvasCache {
  load(scope: string): Promise<CachedCanvas | undefined>;
  /** Takes the place of the one before. */
  save(scope: string, canvas: CachedCanvas): Promise<void>;
  remove(scope: string): Promise<void>;
  /** Removes all there is under scopes that begin so. */
  erase(prefix: string): Promise<void>;
}

interface Kept {
  readonly scope: string;
  readonly saved: number;
  /** The registers as JSON, which is cheaper to spell and to read than so many arrays are to clone; before, as they are. */
  readonly canvas: Omit<CachedCanvas, "registers"> & { readonly registers: string | Registers };
}

interface Schema extends DBSchema {
  canvases: { key: string; value: Kept; indexes: { saved: number } };
}

/** In the browser's database. The canvases that were saved last are kept. */
export class IndexedDbCache implements CanvasCache {
  readonly #name: string;
  #database: Promise<IDBPDatabase<Schema>> | undefined;

  constructor(name = "revcast-canvases") {
    this.#name = name;
  }

  async load(scope: string): Promise<CachedCanvas | undefined> {
    const canvas = (await (await this.#open()).get("canvases", scope))?.canvas;
    if (canvas === undefined) return undefined;
    const { registers } = canvas;
    return { ...canvas, registers: typeof registers === "string" ? JSON.parse(registers) : registers };
  }

  async save(scope: string, { registers, ...rest }: CachedCanvas): Promise<void> {
    const canvas = { ...rest, registers: JSON.stringify(registers) };
    const database = await this.#open();
    const transaction = database.transaction("canvases", "readwrite");
    const kept = transaction.store.put({ scope, saved: Date.now(), canvas });
    // A page that is being left may not get to end it by itself, and would keep other tabs waiting.
    transaction.commit();
    await Promise.all([kept, transaction.done]);
    await prune(database);
  }

  async remove(scope: string): Promise<void> {
    await (await this.#open()).delete("canvases", scope);
  }

  async erase(prefix: string): Promise<void> {
    const transaction = (await this.#open()).transaction("canvases", "readwrite", { durability: "strict" });
    const scopes = await transaction.store.getAllKeys(IDBKeyRange.lowerBound(prefix));
    for (const scope of scopes) if (scope.startsWith(prefix)) void transaction.store.delete(scope);
    await transaction.done;
  }

  #open(): Promise<IDBPDatabase<Schema>> {
    this.#database ??= openDB<Schema>(this.#name, 1, {
      upgrade: (database) => {
        database.createObjectStore("canvases", { keyPath: "scope" }).createIndex("saved", "saved");
      },
      // A later version of the page wants to change the database: it is opened anew when it is needed next.
      blocking: (_current, _blocked, event) => {
        this.#database = undefined;
        (event.target as IDBDatabase).close();
      },
      terminated: () => {
        this.#database = undefined;
      },
    }).catch((error: unknown) => {
      this.#database = undefined;
      throw error;
    });
    return this.#database;
  }
}

/** Removes the canvases that were saved first, where there are too many. */
async function prune(database: IDBPDatabase<Schema>): Promise<void> {
  const transaction = database.transaction("canvases", "readwrite");
  const scopes = await transaction.store.index("saved").getAllKeys();
  for (const oldest of scopes.slice(0, -MAX_CACHED_CANVASES)) void transaction.store.delete(oldest);
  await transaction.done;
}
