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
}

interface Kept {
  readonly scope: string;
  readonly saved: number;
  readonly canvas: CachedCanvas;
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
    return (await (await this.#open()).get("canvases", scope))?.canvas;
  }

  async save(scope: string, canvas: CachedCanvas): Promise<void> {
    const transaction = (await this.#open()).transaction("canvases", "readwrite");
    const { store } = transaction;
    void store.put({ scope, saved: Date.now(), canvas });
    const scopes = await store.index("saved").getAllKeys();
    for (const oldest of scopes.slice(0, -MAX_CACHED_CANVASES)) void store.delete(oldest);
    await transaction.done;
  }

  async remove(scope: string): Promise<void> {
    await (await this.#open()).delete("canvases", scope);
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
