// The way in: a client of one server and one user.

import { type CanvasCache, IndexedDbCache } from "./cache/cache.js";
import { Drawing } from "./drawing.js";
import { RevcastError } from "./errors.js";
import { drawingPath, Http, type HttpOptions, type Rest, type Schemas } from "./http.js";
import { IndexedDbStore } from "./outbox/indexeddb.js";
import { MemoryStore, type OutboxStore } from "./outbox/store.js";
import type { Role } from "./protocol.js";
import { prefixesOf, userOf } from "./scope.js";

export interface ClientOptions extends HttpOptions {
  /** Where there is none, as in Node.js 20: that of the package `ws`. Without one, drawings are followed over HTTP. */
  readonly WebSocket?: typeof globalThis.WebSocket;
  /** Where ops are kept until the server has them: IndexedDB by default, memory where there is none. */
  readonly storage?: "indexeddb" | "memory" | OutboxStore;
  /** Where canvases are kept, to be there at once the next time: IndexedDB where ops are kept there, else nowhere. */
  readonly cache?: CanvasCache | false;
}

export interface OpenOptions {
  /** `false`: the drawing is not followed before its `start()`. */
  readonly start?: boolean;
}

/** A drawing as the server describes it to its members. */
export type DrawingInfo = Schemas["DrawingView"];

export class RevcastClient {
  readonly #http: Http;
  /** That of all drawings; where there is none, each has a memory of its own. */
  readonly #store: OutboxStore | undefined;
  /** The same, where it is this client's to close. */
  readonly #ownStore: IndexedDbStore | undefined;
  readonly #cache: CanvasCache | undefined;
  readonly #WebSocket: typeof globalThis.WebSocket | undefined;
  readonly #drawings = new Set<Drawing>();
  /** What closed drawings still store. */
  readonly #storing = new Set<Promise<void>>();
  #isClosed = false;

  constructor(options: ClientOptions) {
    this.#http = new Http(options);
    const { storage } = options;
    const isMemory = storage === "memory" || (storage === undefined && typeof indexedDB === "undefined");
    const store = typeof storage === "object" ? storage : undefined;
    this.#ownStore = store === undefined && !isMemory ? new IndexedDbStore() : undefined;
    this.#store = store ?? this.#ownStore;
    if (store !== undefined && store.move === undefined && this.#http.formerNames.length > 0) {
      throw new TypeError("the storage has no `move`, which `deployment` and `previousUrls` need");
    }
    const cache = options.cache ?? (this.#ownStore === undefined ? false : new IndexedDbCache());
    this.#cache = cache === false ? undefined : cache;
    this.#WebSocket = options.WebSocket ?? globalThis.WebSocket;
  }

  /**
   * Any endpoint, typed by its path: `client.rest.GET("/v1/drawings")`. Resolves with `{data, error, response}`; `error` is
   * the problem body of an answer that is no success. Throws where there is no answer at all. See `unwrap`.
   */
  get rest(): Rest {
    return this.#http.rest;
  }

  /** Creates a drawing, whose owner the user becomes. With an id of one's own the call may be repeated. */
  createDrawing(drawing: Schemas["CreateDrawing"] = {}): Promise<DrawingInfo> {
    return this.#http.json("POST", "/v1/drawings", drawing);
  }

  /** Makes a share link. Its token is told this once. */
  createLink(
    drawingId: string,
    role: Exclude<Role, "owner">,
    expiresAt?: number,
  ): Promise<Schemas["LinkView"]> {
    const link = expiresAt === undefined ? { role } : { role, expires_at: expiresAt };
    return this.#http.json("POST", drawingPath(drawingId, "/links"), link);
  }

  /** Becomes a member by a share link. */
  join(token: string): Promise<Schemas["JoinedView"]> {
    return this.#http.json("POST", `/v1/links/${encodeURIComponent(token)}/join`);
  }

  /**
   * Follows a drawing. What goes wrong is told by the drawing. With `start: false` nothing is asked of the server, and no
   * timer runs, until `drawing.start()`: so it can be shown where pages are rendered ahead.
   *
   * @throws {RevcastError} `closed` after `close()`.
   */
  open(drawingId: string, options: OpenOptions = {}): Drawing {
    this.#assertOpen();
    const drawing: Drawing = new Drawing(drawingId, {
      http: this.#http,
      // Two drawings that shared a memory would not know of each other.
      store: this.#store ?? new MemoryStore(),
      cache: this.#cache,
      WebSocket: this.#WebSocket,
      onStarted: () => {
        // The client may have been closed since it was opened.
        if (this.#isClosed) void drawing.close();
        else this.#drawings.add(drawing);
      },
      onClosed: (stored) => {
        this.#drawings.delete(drawing);
        this.#storing.add(stored);
        void stored.finally(() => this.#storing.delete(stored));
      },
    });
    if (options.start !== false) drawing.start();
    return drawing;
  }

  /** `suspend()` of all open drawings: the app may be frozen or ended at any time from now on. */
  suspend(): void {
    for (const drawing of this.#drawings) drawing.suspend();
  }

  /** `resume()` of all open drawings: the app runs again, or the network is back. */
  resume(): void {
    for (const drawing of this.#drawings) drawing.resume();
  }

  /** Closes all drawings. Final at once; resolves when what is unsent is stored. */
  async close(): Promise<void> {
    await this.#closeDrawings();
    this.#ownStore?.close();
  }

  /**
   * Closes all drawings, and deletes what is kept on this device for the user: canvases, and ops that the server does not
   * have. For a device that others use too: `flush()` the drawings first, and call it while there still is a token.
   * Resolves with the number of ops that may be lost by it: those that were still to be sent.
   *
   * @throws {RevcastError} `AUTH_FAILED` when it cannot be told who the user is, `closed` after `close()`; nothing is
   * closed or deleted then.
   */
  async erase(): Promise<number> {
    this.#assertOpen();
    const prefixes = prefixesOf(this.#http, await userOf(this.#http));
    // A memory of its own goes with its drawing.
    const held = this.#store === undefined ? [...this.#drawings].map((drawing) => drawing.pendingCount) : [];
    await this.#closeDrawings();
    try {
      const unsent = await Promise.all(
        prefixes.map(async (prefix) => {
          const [count = 0] = await Promise.all([this.#store?.erase(prefix), this.#cache?.erase(prefix)]);
          return count;
        }),
      );
      return [...held, ...unsent].reduce((sum, count) => sum + count, 0);
    } finally {
      this.#ownStore?.close();
    }
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new RevcastError("closed", "the client is closed");
  }

  async #closeDrawings(): Promise<void> {
    this.#isClosed = true;
    for (const drawing of [...this.#drawings]) void drawing.close();
    await Promise.allSettled(this.#storing);
  }
}

/**
 * A client of one server and one user.
 *
 * @throws {TypeError} when ops may be left under former names, and the storage cannot move them.
 */
export function createClient(options: ClientOptions): RevcastClient {
  return new RevcastClient(options);
}
