// Sends batches: one request at a time, retried until it is answered for good.
//
// Which ops are next, and what an answer means for them, is the outbox's.

import { backoff } from "../backoff.js";
import { asRevcastError, isDamaged, RevcastError } from "../errors.js";
import type { Http, Schemas } from "../http.js";
import {
  ECHO_GRACE,
  MAX_BATCH_OPS,
  MAX_EPOCH_REFUSALS,
  MAX_RETRY_AFTER,
  RESTART_AFTER,
  SLOW_RETRY,
} from "../limits.js";
import { requestBody } from "./batch.js";
import type { Entry } from "./queue.js";
import type { Refusal } from "./store.js";

export type CommitAnswer = Schemas["CommitResponse"];

export interface SenderOptions {
  readonly http: Http;
  readonly path: string;
  readonly random?: (() => number) | undefined;
  /** The next entries to send, at most `maxOps`, durable and frozen; none when there is nothing to send. */
  next(maxOps: number): Promise<readonly Entry[]>;
  isPending(entry: Entry): boolean;
  /** The epoch of the log, as far as it is known: what is sent is for that log alone. */
  epoch(): string | undefined;
  /** Whether an answer is of a log that is over, and so is none. */
  isVoid(answer: CommitAnswer): boolean;
  /** The log is in another epoch. What was sent is sent again, once that is known or after a pause. */
  outrun(): void;
  succeeded(answer: CommitAnswer): void;
  /** Resolves once it is settled what becomes of them: the next request waits for it. */
  refused(refused: ReadonlyMap<Entry, Refusal>): Promise<void>;
  /** After each attempt: why it failed, if it did. A refusal of ops is no failure. */
  attempted(failure: RevcastError | undefined): void;
}

export class Sender {
  readonly #options: SenderOptions;
  /** The entries of the last attempt, until it is answered: a retry sends the same. */
  #batch: readonly Entry[] = [];
  /** What was the epoch of the log then. In another one, other entries may have to go first. */
  #batchEpoch: string | undefined;
  /** Refusals in a row for the epoch. */
  #epochRefusals = 0;
  /** Ops in a batch. Halved to find what is refused without being named, or what is too slow to send. */
  #maxOps = MAX_BATCH_OPS;
  #failures = 0;
  /** Before this the server wants no further request. */
  #notBefore = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isRunning = false;
  /** Whether something came while the loop was on its way out. */
  #isAskedAgain = false;
  #request: AbortController | undefined;
  #requestedAt = 0;
  /** Whether that request was given up in favour of the same one, made anew. */
  #isRestarting = false;
  #grace: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** There is something to send. Waits for a pause to end. */
  kick(): void {
    if (this.#timer === undefined) void this.#run();
  }

  /** Ends a pause, unless the server asked for it. */
  wake(): void {
    if (this.#timer !== undefined) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      if (this.#notBefore > Date.now()) {
        this.#pause(this.#notBefore - Date.now());
        return;
      }
    }
    void this.#run();
  }

  /** The page has woken up: a request of the time before may be one that nobody will answer. */
  restart(): void {
    this.wake();
    if (this.#request === undefined || Date.now() - this.#requestedAt < RESTART_AFTER) return;
    this.#isRestarting = true;
    this.#request.abort();
  }

  /** Some entries were settled otherwise: an answer that tells nothing new is not waited for. */
  settledElsewhere(): void {
    if (this.#request === undefined || this.#grace !== undefined) return;
    if (this.#batch.some(this.#options.isPending)) return;
    this.#grace = setTimeout(() => this.#request?.abort(), ECHO_GRACE);
  }

  /** Final. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#grace);
    this.#request?.abort();
  }

  async #run(): Promise<void> {
    this.#isAskedAgain = true;
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      while (this.#isAskedAgain && this.#timer === undefined && !this.#isClosed) {
        this.#isAskedAgain = false;
        while (await this.#attempt());
      }
    } finally {
      this.#isRunning = false;
    }
  }

  /** Sends one batch; `false` when there is none, or when it has to wait. */
  async #attempt(): Promise<boolean> {
    if (this.#isClosed) return false;
    const epoch = this.#options.epoch();
    if (epoch !== this.#batchEpoch) this.#batch = [];
    this.#batchEpoch = epoch;
    let batch = this.#pendingOf(this.#batch).slice(0, this.#maxOps);
    if (batch.length === 0) batch = [...(await this.#options.next(this.#maxOps))];
    this.#batch = batch;
    if (batch.length === 0 || this.#isClosed) return false;
    let answer: CommitAnswer;
    try {
      answer = await this.#post(batch);
    } catch (error) {
      return !this.#isClosed && (await this.#failed(asRevcastError(error), batch));
    }
    if (this.#isClosed) return false;
    this.#batch = [];
    this.#failures = 0;
    this.#epochRefusals = 0;
    this.#notBefore = 0;
    this.#maxOps = Math.min(MAX_BATCH_OPS, this.#maxOps * 2);
    this.#options.succeeded(answer);
    this.#options.attempted(undefined);
    return true;
  }

  async #post(batch: readonly Entry[]): Promise<CommitAnswer> {
    const { http, path } = this.#options;
    this.#request = new AbortController();
    this.#requestedAt = Date.now();
    this.#isRestarting = false;
    const { signal } = this.#request;
    try {
      const guard = this.#epochRefusals < MAX_EPOCH_REFUSALS ? this.#batchEpoch : undefined;
      const answer = await http.json<unknown>("POST", path, requestBody(batch, guard), { signal });
      if (isAnswerTo(answer, batch) && !this.#options.isVoid(answer)) return answer;
    } finally {
      this.#request = undefined;
      clearTimeout(this.#grace);
      this.#grace = undefined;
    }
    throw new RevcastError("CONNECTION_FAILED", "the answer is not one of the server", { retryable: true });
  }

  /** Whether to go on at once. */
  async #failed(error: RevcastError, batch: readonly Entry[]): Promise<boolean> {
    const isOutrun = error.code === "epoch_changed";
    const isRefusal = !isOutrun && isAboutOps(error);
    // A request that the server has refused, for whatever reason, has changed nothing: what was never sent otherwise may
    // be merged anew.
    const isUndone = isRefusal || (error.problem !== undefined && (error.status ?? 500) < 500);
    if (isUndone) this.#batch = [];
    for (const entry of batch) if (entry.sent === "now") entry.sent = isUndone ? "never" : "maybe";
    if (this.#pendingOf(batch).length === 0 || this.#isRestarting) return true;
    if (isOutrun) {
      this.#epochRefusals += 1;
      this.#options.outrun();
    }
    // It may be known by now.
    if (this.#options.epoch() !== this.#batchEpoch) return true;
    if (isOutrun || error.retryable || error.code === "AUTH_FAILED") return this.#retry(error, batch);
    if (!isRefusal) {
      this.#options.attempted(error);
      this.#pause(SLOW_RETRY);
      return false;
    }
    this.#failures = 0;
    const refused = refusedOf(error, batch);
    if (refused.size === 0) this.#maxOps = Math.floor(batch.length / 2);
    else await this.#options.refused(refused);
    if (this.#isClosed) return false;
    this.#options.attempted(undefined);
    return true;
  }

  #retry(error: RevcastError, batch: readonly Entry[]): false {
    const isTimeout = error.cause instanceof Error && error.cause.name === "TimeoutError";
    // It may be too much for a slow connection.
    if (isTimeout || error.code === "timeout") this.#maxOps = Math.ceil(batch.length / 2);
    this.#failures += 1;
    const asked = Math.min(error.retryAfter ?? 0, MAX_RETRY_AFTER);
    this.#notBefore = Date.now() + asked;
    // What is only for another epoch is no failure: it goes on as soon as that is known.
    if (error.code !== "epoch_changed") this.#options.attempted(error);
    // On top of what was asked for: those who were told the same do not come back together.
    this.#pause(asked + backoff(this.#failures, this.#options.random));
    return false;
  }

  #pause(duration: number): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#run();
    }, duration);
  }

  #pendingOf(entries: readonly Entry[]): Entry[] {
    return entries.filter(this.#options.isPending);
  }
}

/** Whether the server has refused the ops for good. Access may come back; what is no problem body is not the server's. */
function isAboutOps(error: RevcastError): boolean {
  if (error.retryable || error.code === "AUTH_FAILED" || error.status === 404 || isDamaged(error))
    return false;
  return error.problem !== undefined || error.status === 413;
}

/** Whether it answers for each op. Something in between may answer 200 as well. */
export function isAnswerTo(answer: unknown, batch: readonly Entry[]): answer is CommitAnswer {
  const { epoch, latest_revision, results } = (answer ?? {}) as Partial<CommitAnswer>;
  if (typeof epoch !== "string" || typeof latest_revision !== "number" || !Array.isArray(results))
    return false;
  const answered = new Set<unknown>();
  for (const result of results as readonly Partial<CommitAnswer["results"][number]>[]) {
    if (typeof result?.revision !== "number") return false;
    answered.add(result.op_id?.toLowerCase());
  }
  return batch.every((entry) => answered.has(entry.id));
}

/** The entries at fault. None when that cannot be told: then a smaller batch will. */
function refusedOf(error: RevcastError, batch: readonly Entry[]): Map<Entry, Refusal> {
  const refused = new Map<Entry, Refusal>();
  const { problem } = error;
  const faults = problem?.errors ?? [];
  const named = faults.length > 0 ? faults : [{ pointer: problem?.pointer ?? "", detail: error.message }];
  for (const { pointer, detail } of named) {
    const index = /^\/ops\/(\d+)(?:\/|$)/.exec(pointer)?.[1];
    const entry = index === undefined ? undefined : batch[Number(index)];
    if (entry !== undefined && !refused.has(entry)) refused.set(entry, { code: error.code, detail });
  }
  if (refused.size > 0) return refused;
  // `forbidden` without a place is about the caller: halving would come to the same, one request an op.
  if (batch.length > 1 && error.code !== "forbidden") return refused;
  for (const entry of batch) refused.set(entry, { code: error.code, detail: error.message });
  return refused;
}
