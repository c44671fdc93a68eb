// The way in: a client of one server and one user.

import { type CanvasCache, IndexedDbCache } from "./cache/cache.js";
import { Drawing } from "./drawing.js";
import { RevcastError } from "./errors.js";
import { drawingPath, Http, type HttpOptions, type Rest, type Schemas } from "./http.js";
import { IndexedDbStore } from "./outbox/indexeddb.js";
import { MemoryStore, type OutboxStore } from "./outbox/store.js";
import type { Role } from "./protocol.js";

export interface ClientOptions extends HttpOptions {
  /** Where there is none, as in Node.js 20: that of the package `ws`. Without one, drawings are followed over HTTP. */
  readonly WebSocket?: typeof globalThis.WebSocket;
  /** Where ops are kept until the server has them: IndexedDB by default, memory where there is none. */
  readonly storage?: "indexeddb" | "memory" | OutboxStore;
  /** Where canvases are kept, to be there at once the next time: IndexedDB where ops are kept there, else nowhere. */
  readonly cache?: CanvasCache | false;
}

/** A drawing as the server describes it to its members. */
export type DrawingInfo = Schemas["DrawingView"];

export class RevcastClient {
  readonly #http: Http;
  readonly #storeOf: () => OutboxStore;
  /** That of all drawings, where it is this client's to close. */
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
    // Two drawings that shared a memory would not know of each other.
    this.#storeOf = () => store ?? this.#ownStore ?? new MemoryStore();
    const cache = options.cache ?? (this.#ownStore === undefined ? false : new IndexedDbCache());
    this.#cache = cache === false ? undefined : cache;
    this.#WebSocket = options.WebSocket ?? globalThis.WebSocket;
  }

  /** Any endpoint, typed by its path: `client.rest.GET("/v1/drawings")`. */
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
   * Follows a drawing. What goes wrong is told by the drawing.
   *
   * @throws {RevcastError} `closed` after `close()`.
   */
  open(drawingId: string): Drawing {
    if (this.#isClosed) throw new RevcastError("closed", "the client is closed");
    const drawing: Drawing = new Drawing(drawingId, {
      http: this.#http,
      store: this.#storeOf(),
      cache: this.#cache,
      WebSocket: this.#WebSocket,
      onClosed: (stored) => {
        this.#drawings.delete(drawing);
        this.#storing.add(stored);
        void stored.finally(() => this.#storing.delete(stored));
      },
    });
    this.#drawings.add(drawing);
    return drawing;
  }

  /** Closes all drawings. Final at once; resolves when what is unsent is stored. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const drawing of [...this.#drawings]) void drawing.close();
    await Promise.allSettled(this.#storing);
    this.#ownStore?.close();
  }
}

/** A client of one server and one user. */
export function createClient(options: ClientOptions): RevcastClient {
  return new RevcastClient(options);
}
