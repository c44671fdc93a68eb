// Timers that can be stopped, and a watch over silence.

import { PING_TIMEOUT, TIMER_LAST, TIMER_LATE } from "./limits.js";

/** One thing to be done later. */
export class Timer {
  #id: ReturnType<typeof setTimeout> | undefined;

  get isSet(): boolean {
    return this.#id !== undefined;
  }

  /** Does `act` after `delay` milliseconds, in place of what was to be done before. */
  start(delay: number, act: () => void): void {
    this.stop();
    this.#id = setTimeout(
      () => {
        this.#id = undefined;
        act();
      },
      Math.min(Math.max(0, delay), TIMER_LAST),
    );
  }

  stop(): void {
    clearTimeout(this.#id);
    this.#id = undefined;
  }
}

/** Tells when nothing has been heard for some time. */
export class Watch {
  readonly #timer = new Timer();
  #heardAt = 0;

  start(silence: number, act: () => void): void {
    this.heard();
    this.#wait(silence, silence, act);
  }

  /** Costs next to nothing, since it may be called for each message. */
  heard(): void {
    this.#heardAt = performance.now();
  }

  stop(): void {
    this.#timer.stop();
  }

  #wait(delay: number, silence: number, act: () => void): void {
    const due = performance.now() + delay;
    this.#timer.start(delay, () => {
      const now = performance.now();
      const left = this.#heardAt + silence - now;
      if (left > 0) this.#wait(left, silence, act);
      // What came while the page was frozen has not been read yet.
      else if (now - due > TIMER_LATE) this.#wait(PING_TIMEOUT, silence, act);
      else act();
    });
  }
}
