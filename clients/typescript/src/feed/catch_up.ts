// Reading over REST: the snapshot to begin with, and the ops that are missing, page by page.
//
// One flight at a time. A flight that was superseded changes nothing, however late its answers come. Retries nothing.

import { isNewerFormat, NO_REGISTERS, type Registers } from "../canvas/registers.js";
import { asRevcastError, isDamaged, outdatedError, RevcastError } from "../errors.js";
import { drawingPath, type Http, type Schemas } from "../http.js";
import { FAR_BEHIND, RESTARTS_LAST, WAKE_FRESH } from "../limits.js";
import type { CommittedOp } from "../ops.js";
import { type Lineage, type LogPosition, lineageOf, type Position } from "../protocol.js";
import type { Place } from "./place.js";

/** A canvas, and where in the log it was. */
export interface Snapshot extends LogPosition {
  readonly registers: Registers;
}

export interface CatchUpEvents {
  snapshot(snapshot: Snapshot): void;
  ops(ops: readonly CommittedOp[], epoch: string): void;
  /** The log goes on in this epoch, and the place in it. */
  adopted(log: Lineage): void;
  /** What the server has is too new for this version. Nothing more is to be read. */
  outdated(error: RevcastError): void;
}

export interface OpsPage extends Omit<Schemas["OpsPage"], "ops"> {
  readonly ops: readonly CommittedOp[];
}

/** What a snapshot says. Its registers are those of the canvas, of which the OpenAPI document tells less. */
interface SnapshotBody extends Omit<Schemas["SnapshotBody"], "registers"> {
  readonly registers?: Registers | null;
}

/** The path of the ops after a position. */
export function opsPath(drawingId: string, { revision, epoch }: Partial<Position>, wait?: number): string {
  const query = new URLSearchParams({ after: String(revision ?? 0) });
  if (epoch !== undefined) query.set("epoch", epoch);
  if (wait !== undefined) query.set("wait", String(wait));
  return drawingPath(drawingId, `/ops?${query}`);
}

/** Whether the server says that a position is not one of its log. */
export function isGone(error: unknown): error is RevcastError {
  return error instanceof RevcastError && error.status === 410;
}

/** All attempts to do one thing: the last one decides. */
interface Flight {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: RevcastError) => void;
  attempt: { readonly abort: AbortController; readonly beganAt: number };
}

export class CatchUp {
  readonly #http: Http;
  readonly #drawingId: string;
  readonly #place: Place;
  readonly #events: CatchUpEvents;
  #flight: Flight | undefined;

  constructor(http: Http, drawingId: string, place: Place, events: CatchUpEvents) {
    this.#http = http;
    this.#drawingId = drawingId;
    this.#place = place;
    this.#events = events;
  }

  /**
   * Reads up to the head: from the place if that is valid, from a snapshot otherwise. Joins the flight under way.
   *
   * @throws {RevcastError} when a request fails. Nobody has to catch it.
   */
  run(): Promise<void> {
    this.#flight ??= this.#begin();
    return this.#flight.promise;
  }

  /** As `run`, but requests that are not fresh are made again: they may have been cut off. */
  refresh(): Promise<void> {
    const flight = this.#flight;
    if (flight === undefined || performance.now() - flight.attempt.beganAt < WAKE_FRESH) return this.run();
    flight.attempt.abort.abort();
    flight.attempt = this.#attempt();
    void this.#fly(flight, flight.attempt.abort.signal);
    return flight.promise;
  }

  stop(error: RevcastError): void {
    const flight = this.#flight;
    this.#flight = undefined;
    flight?.attempt.abort.abort();
    flight?.reject(error);
  }

  #begin(): Flight {
    let resolve: () => void = () => {};
    let reject: (error: RevcastError) => void = () => {};
    const promise = new Promise<void>((...settle) => {
      [resolve, reject] = settle;
    });
    promise.catch(() => {});
    const flight = { promise, resolve, reject, attempt: this.#attempt() };
    void this.#fly(flight, flight.attempt.abort.signal);
    return flight;
  }

  #attempt(): Flight["attempt"] {
    return { abort: new AbortController(), beganAt: performance.now() };
  }

  async #fly(flight: Flight, signal: AbortSignal): Promise<void> {
    // The flight is to be known before anything happens in it.
    await undefined;
    let failure: RevcastError | undefined;
    try {
      await this.#read(signal);
    } catch (error) {
      failure = asRevcastError(error);
    }
    if (signal.aborted) return;
    this.#flight = undefined;
    if (failure === undefined) flight.resolve();
    else flight.reject(failure);
  }

  async #read(signal: AbortSignal): Promise<void> {
    const place = this.#place;
    let restarts = 0;
    // One snapshot saves reading many ops; a second one would only show that the log grows fast.
    let mayJump = true;
    const gone = (error: RevcastError): void => {
      if (++restarts > RESTARTS_LAST) throw error;
      place.invalidate();
    };
    for (;;) {
      signal.throwIfAborted();
      const at = place.valid;
      if (at === undefined) {
        await this.#load(signal);
        mayJump = false;
        continue;
      }
      const { known, generation } = place;
      let page: OpsPage;
      try {
        page = await this.#page(at, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        if (mayJump && error instanceof RevcastError && isDamaged(error)) {
          // A snapshot may have been made before what is missing was lost.
          mayJump = false;
          await this.#load(signal);
          if (place.valid === at) throw error;
          continue;
        }
        if (!isGone(error)) throw error;
        if (generation === place.generation) gone(error);
        continue;
      }
      if (generation !== place.generation) continue;
      const meeting = place.meet(page);
      if (meeting === "adopted") this.#events.adopted(lineageOf(page));
      if (meeting === "lost" || meeting === "foreign") {
        gone(new RevcastError("epoch_changed", "the page is of another epoch", { retryable: true }));
        continue;
      }
      if (mayJump && page.latest_revision - at.revision > FAR_BEHIND) {
        mayJump = false;
        await this.#load(signal);
        continue;
      }
      this.#deliver(page.ops, page.epoch);
      if (page.complete) {
        place.settle(known);
        return;
      }
      if (page.to <= at.revision) {
        throw new RevcastError("CONNECTION_FAILED", "a page brings nothing", { retryable: true });
      }
    }
  }

  /** Goes to the head by a snapshot. Without snapshots a valid place stays, and another begins at 0. */
  async #load(signal: AbortSignal): Promise<void> {
    const { generation } = this.#place;
    const snapshot = await this.#snapshot(signal);
    if (generation !== this.#place.generation) return;
    if (snapshot !== undefined) return this.#jump(snapshot);
    if (this.#place.valid !== undefined) return;
    const page = await this.#page({}, signal);
    if (generation !== this.#place.generation) return;
    this.#jump({ ...lineageOf(page), revision: 0, registers: NO_REGISTERS });
    this.#deliver(page.ops, page.epoch);
  }

  async #snapshot(signal: AbortSignal): Promise<Snapshot | undefined> {
    const path = drawingPath(this.#drawingId, "/snapshot");
    try {
      const body = await this.#http.json<SnapshotBody>("GET", path, undefined, { signal });
      signal.throwIfAborted();
      const { revision, registers } = body;
      if (registers === undefined || registers === null) return undefined;
      if (!isNewerFormat(registers)) return { ...lineageOf(body), revision, registers };
      const error = outdatedError(`a snapshot has the format ${registers.format}`);
      this.#events.outdated(error);
      throw error;
    } catch (error) {
      if (error instanceof RevcastError && error.code === "snapshots_unavailable") return undefined;
      throw error;
    }
  }

  async #page(after: Partial<Position>, signal: AbortSignal): Promise<OpsPage> {
    const path = opsPath(this.#drawingId, after);
    const page = await this.#http.json<OpsPage>("GET", path, undefined, { signal });
    signal.throwIfAborted();
    return page;
  }

  #jump(snapshot: Snapshot): void {
    if (!this.#place.jump(snapshot)) return;
    try {
      this.#events.snapshot(snapshot);
    } catch (cause) {
      // What follows on a snapshot that could not be read would be a hole.
      this.#place.invalidate();
      throw new RevcastError("invalid_snapshot", "the snapshot cannot be read", { cause });
    }
    // What was held may follow on it.
    this.#deliver([], snapshot.epoch);
  }

  #deliver(ops: readonly CommittedOp[], epoch: string): void {
    const next = this.#place.take(ops, epoch);
    const at = this.#place.position;
    if (at !== undefined && next.length > 0) this.#events.ops(next, at.epoch);
  }
}
