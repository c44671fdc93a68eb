// Which transport to try: the socket first, below it the event stream, below that the long-poll.

import { MISSES } from "../limits.js";
import type { LinkKind } from "./link.js";

export class Ladder {
  #rungs: readonly LinkKind[];
  #at = 0;
  #misses = 0;

  constructor(hasSocket: boolean) {
    this.#rungs = hasSocket ? ["socket", "events", "poll"] : ["events", "poll"];
  }

  get rung(): LinkKind {
    return this.#rungs[this.#at] ?? "poll";
  }

  /** Whether sockets may be tried at all. */
  get hasSocket(): boolean {
    return this.#rungs.includes("socket");
  }

  /** The transport of the rung follows the drawing. */
  hold(): void {
    this.#misses = 0;
  }

  /** It never came to that. True when the next attempt is with a lower transport; below the last comes the first. */
  miss(): boolean {
    this.#misses += 1;
    if (this.#misses < MISSES) return false;
    this.#misses = 0;
    this.#at = (this.#at + 1) % this.#rungs.length;
    return this.#at > 0;
  }

  climb(): void {
    this.#at = 0;
    this.#misses = 0;
  }

  /** No sockets any more. */
  forbidSocket(): void {
    if (!this.hasSocket) return;
    this.#rungs = this.#rungs.filter((kind) => kind !== "socket");
    this.#at = Math.max(0, this.#at - 1);
    this.#misses = 0;
  }
}
