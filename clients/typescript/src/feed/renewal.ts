// Keeps a socket's identity from running out, by fresh tickets.

import { backoff } from "../backoff.js";
import { asRevcastError, type RevcastError } from "../errors.js";
import type { Http } from "../http.js";
import { RENEW_AT, RENEW_BEFORE, RENEW_PAUSE } from "../limits.js";
import { Timer } from "../timer.js";
import { claimsOf } from "../token.js";

export interface RenewalOptions {
  readonly http: Http;
  readonly signal: AbortSignal;
  readonly random: () => number;
  readonly onTicket: (ticket: string) => void;
  readonly onError: (error: RevcastError) => void;
}

export class Renewal {
  readonly #options: RenewalOptions;
  readonly #timer = new Timer();

  constructor(options: RenewalOptions) {
    this.#options = options;
  }

  /** Renews before this token ends. Of a token that does not say when, nothing is known and nothing is done. */
  start(token: string): void {
    const expiresAt = expiryOf(token);
    if (expiresAt === undefined) return;
    const left = expiresAt - Date.now();
    // Too late: the server closes the socket, and the next one has a fresh ticket.
    if (left <= RENEW_BEFORE) return;
    const delay = Math.max(RENEW_PAUSE, Math.min(left * RENEW_AT, left - RENEW_BEFORE));
    this.#timer.start(delay, () => void this.#renew(expiresAt, 1));
  }

  stop(): void {
    this.#timer.stop();
  }

  async #renew(expiresAt: number, attempt: number): Promise<void> {
    const { http, signal, random, onTicket, onError } = this.#options;
    try {
      // The ticket may be of a token yet fresher: then it is renewed sooner than it must be.
      const token = await http.token();
      const ticket = await http.ticket(signal);
      if (signal.aborted) return;
      onTicket(ticket);
      this.start(token);
    } catch (thrown) {
      if (signal.aborted) return;
      const error = asRevcastError(thrown);
      if (error.code === "AUTH_FAILED") onError(error);
      const delay = Math.max(RENEW_PAUSE, backoff(attempt, random));
      if (Date.now() + delay < expiresAt) {
        this.#timer.start(delay, () => void this.#renew(expiresAt, attempt + 1));
      }
    }
  }
}

/** When a JWT ends, in milliseconds since 1970; `undefined` for other tokens. */
export function expiryOf(token: string): number | undefined {
  const exp: unknown = claimsOf(token)?.exp;
  return typeof exp === "number" ? exp * 1000 : undefined;
}
