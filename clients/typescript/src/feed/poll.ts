// Following by long-polls: ops as they come, the roster and the role from time to time.

import { asRevcastError, RevcastError } from "../errors.js";
import { drawingPath, type Schemas } from "../http.js";
import { POLL_PAUSE, POLL_TIMEOUT, POLL_WAIT, ROLE_INTERVAL, ROSTER_INTERVAL } from "../limits.js";
import { isOnLog, lineageOf, type Role, type Roster } from "../protocol.js";
import { Timer } from "../timer.js";
import { isGone, type OpsPage, opsPath } from "./catch_up.js";
import { endOf, type Link, type LinkContext, type LinkEvents } from "./link.js";

export class PollLink implements Link {
  readonly kind = "poll";
  readonly #context: LinkContext;
  readonly #events: LinkEvents;
  readonly #roster = new Timer();
  readonly #pause = new Timer();
  /** From `follow` to reset, end or the next `follow`. */
  #round: AbortController | undefined;
  #isOver = false;

  constructor(context: LinkContext, events: LinkEvents) {
    this.#context = context;
    this.#events = events;
  }

  follow(): void {
    if (this.#isOver) return;
    this.#leave();
    this.#round = new AbortController();
    void this.#run(this.#round.signal);
  }

  /** A request that was cut off would only be missed at its time limit. */
  check(): void {
    if (this.#round !== undefined) this.follow();
  }

  close(): void {
    this.#isOver = true;
    this.#leave();
  }

  async #run(signal: AbortSignal): Promise<void> {
    const events = this.#events;
    try {
      let roleAt = performance.now();
      const drawing = await this.#drawing(signal);
      events.heard();
      const { latest_revision: revision } = drawing;
      const log = lineageOf(drawing);
      const at = this.#context.position();
      if (!isOnLog(log, at)) {
        this.#leave();
        events.reset({ reason: "epoch_changed", ...log, revision });
        return;
      }
      events.live({ ...log, revision: at.revision, role: drawing.role as Role });
      if (signal.aborted) return;
      void this.#readRoster(signal);
      for (;;) {
        await this.#poll(signal);
        if (performance.now() - roleAt < ROLE_INTERVAL) continue;
        roleAt = performance.now();
        events.role((await this.#drawing(signal)).role as Role);
      }
    } catch (error) {
      if (!signal.aborted) this.#onError(error);
    }
  }

  async #poll(signal: AbortSignal): Promise<void> {
    const { http, drawingId, position } = this.#context;
    const at = position();
    const beganAt = performance.now();
    const options = { signal, timeout: POLL_TIMEOUT };
    const page = await http.json<OpsPage>("GET", opsPath(drawingId, at, POLL_WAIT), undefined, options);
    signal.throwIfAborted();
    this.#events.heard();
    const log = lineageOf(page);
    if (log.epoch !== at.epoch) this.#events.head({ ...log, revision: at.revision });
    signal.throwIfAborted();
    this.#events.ops(page.ops, page.epoch);
    signal.throwIfAborted();
    this.#events.head({ ...log, revision: page.latest_revision });
    signal.throwIfAborted();
    // Something in between does not wait for us: it must not be asked without a pause.
    const isIdle = page.ops.length === 0 && performance.now() - beganAt < POLL_PAUSE;
    if (isIdle) await new Promise<void>((resolve) => this.#pause.start(POLL_PAUSE, resolve));
  }

  async #drawing(signal: AbortSignal): Promise<Schemas["DrawingView"]> {
    const { http, drawingId } = this.#context;
    const path = drawingPath(drawingId);
    const options = { signal };
    const drawing = await http.json<Schemas["DrawingView"]>("GET", path, undefined, options);
    signal.throwIfAborted();
    return drawing;
  }

  async #readRoster(signal: AbortSignal): Promise<void> {
    const { http, drawingId } = this.#context;
    try {
      const path = drawingPath(drawingId, "/presence");
      const { set } = await http.json<{ set: Roster }>("GET", path, undefined, { signal });
      if (!signal.aborted) this.#events.roster(set);
    } catch {
      // The next one may do; what is wrong with the drawing shows with its ops.
    }
    if (!signal.aborted) this.#roster.start(ROSTER_INTERVAL, () => void this.#readRoster(signal));
  }

  #onError(thrown: unknown): void {
    if (isGone(thrown)) {
      const { epoch = "", latest_revision: revision = 0 } = thrown.problem ?? {};
      this.#leave();
      const reason = thrown.code === "revision_ahead" ? "revision_ahead" : "epoch_changed";
      this.#events.reset({ reason, epoch: epoch ?? "", revision: revision ?? 0 });
      return;
    }
    const error = asRevcastError(thrown);
    this.close();
    this.#events.ended(endOf(error, error instanceof RevcastError));
  }

  #leave(): void {
    this.#round?.abort();
    this.#round = undefined;
    this.#roster.stop();
    this.#pause.stop();
  }
}
