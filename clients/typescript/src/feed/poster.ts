// Being present without a socket, by posts.
//
// The last state wins. One post at a time, at most one a second, repeated while a state is shown.

import { backoff } from "../backoff.js";
import { asRevcastError, type RevcastError } from "../errors.js";
import { drawingPath, type Http, type Schemas } from "../http.js";
import type { JsonObject } from "../json.js";
import { PRESENCE_POST_INTERVAL, PRESENCE_POST_REPEAT } from "../limits.js";
import { Timer } from "../timer.js";
import { isDenied } from "./link.js";

export interface PosterOptions {
  readonly http: Http;
  readonly drawingId: string;
  readonly random: () => number;
  readonly onConnectionId: (id: string | undefined) => void;
  readonly onError: (error: RevcastError) => void;
}

export class Poster {
  readonly #options: PosterOptions;
  readonly #path: string;
  readonly #timer = new Timer();
  readonly #abort = new AbortController();
  #state: JsonObject | null = null;
  /** Whether the server does not have the state yet. */
  #isDirty = false;
  #isBusy = false;
  #postedAt = Number.NEGATIVE_INFINITY;
  #pausedUntil = 0;
  #failures = 0;
  #connectionId: string | undefined;

  constructor(options: PosterOptions) {
    this.#options = options;
    this.#path = drawingPath(options.drawingId, "/presence");
  }

  /** The name under which the state is shown, once the server has told it. */
  get connectionId(): string | undefined {
    return this.#connectionId;
  }

  /** Shows a state; `null` leaves. */
  show(state: JsonObject | null): void {
    this.#state = state;
    this.#isDirty = true;
    this.#schedule();
  }

  close(): void {
    if (this.#abort.signal.aborted) return;
    this.#timer.stop();
    this.#abort.abort();
    const connection_id = this.#connectionId;
    const isShown = this.#state !== null || this.#isDirty || this.#isBusy;
    if (connection_id === undefined || !isShown) return;
    // If it does not arrive, the server forgets the state within 30 s.
    const body = { state: null, connection_id };
    this.#options.http.json("POST", this.#path, body, { keepalive: true }).catch(() => {});
  }

  #schedule(): void {
    if (this.#isBusy || this.#abort.signal.aborted) return;
    if (!this.#isDirty && this.#state === null) {
      this.#timer.stop();
      return;
    }
    const interval = this.#isDirty ? PRESENCE_POST_INTERVAL : PRESENCE_POST_REPEAT;
    const at = Math.max(this.#postedAt + interval, this.#pausedUntil);
    this.#timer.start(at - performance.now(), () => void this.#post());
  }

  async #post(): Promise<void> {
    const { http, onConnectionId } = this.#options;
    const { signal } = this.#abort;
    const state = this.#state;
    this.#isDirty = false;
    // Who was never there cannot leave.
    if (state === null && this.#connectionId === undefined) return;
    this.#isBusy = true;
    this.#postedAt = performance.now();
    const connection = this.#connectionId === undefined ? {} : { connection_id: this.#connectionId };
    try {
      const answer = await http.json<Schemas["PostedPresence"]>(
        "POST",
        this.#path,
        { state, ...connection },
        { signal },
      );
      if (signal.aborted) return;
      this.#failures = 0;
      this.#connectionId = state === null ? undefined : answer.connection_id;
      onConnectionId(this.#connectionId);
    } catch (thrown) {
      if (signal.aborted) return;
      this.#onError(asRevcastError(thrown));
    }
    this.#isBusy = false;
    this.#schedule();
  }

  #onError(error: RevcastError): void {
    if (error.retryable) {
      this.#isDirty = true;
      const pause = Math.max(backoff(++this.#failures, this.#options.random), error.retryAfter ?? 0);
      this.#pausedUntil = performance.now() + pause;
    } else if (!this.#isDirty) {
      // This state will not do; a newer one may.
      this.#state = null;
      // The transport tells of a lost role, and of a token that does not do.
      if (!isDenied(error) && error.code !== "AUTH_FAILED") this.#options.onError(error);
    }
  }
}
