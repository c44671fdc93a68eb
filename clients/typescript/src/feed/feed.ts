// The reads of one drawing: from the first state on, each op once and in order, whichever way it comes.
//
// Invariant: what `events` is told is a snapshot, then the ops after it without a hole, until the next snapshot.

import { backoff, spread } from "../backoff.js";
import { asRevcastError, closedError, isDamaged, RevcastError } from "../errors.js";
import type { Http } from "../http.js";
import type { JsonObject } from "../json.js";
import { DAMAGED_INTERVAL, EXPECT_WITHIN } from "../limits.js";
import type { CommittedOp } from "../ops.js";
import {
  type Lineage,
  type LogPosition,
  lineageOf,
  type Position,
  type Role,
  type Roster,
} from "../protocol.js";
import { Timer } from "../timer.js";
import { CatchUp, type Snapshot } from "./catch_up.js";
import { type Attempts, type ConnectionState, Connector, NO_ATTEMPTS } from "./connector.js";
import { EventsLink } from "./events.js";
import { Ladder } from "./ladder.js";
import { isDenied, type Link, type LinkContext, type LinkEvents, type Live } from "./link.js";
import { Place } from "./place.js";
import { PollLink } from "./poll.js";
import { Poster } from "./poster.js";
import { SocketLink } from "./socket.js";

export interface FeedEvents {
  /** The state at a position, in place of all before: first load, another epoch, far behind. */
  snapshot(snapshot: Snapshot): void;
  /** Ops that continue the position, in order, each once. */
  ops(ops: readonly CommittedOp[], epoch: string): void;
  /** The log goes on in another epoch: the state is one of its log, too, and the position is in it from now on. */
  adopted(log: Lineage): void;
  presence(
    change:
      | { readonly kind: "roster"; readonly roster: Roster }
      | { readonly kind: "diff"; readonly set: Roster; readonly gone: readonly string[] },
  ): void;
  /** `null`: no access. Only changes are told. */
  role(role: Role | null): void;
  /** Only changes are told. */
  connection(state: ConnectionState): void;
  /** How the drawing is followed, and how it stands with the attempts to do so. Only changes are told. */
  attempts(attempts: Attempts): void;
  /** My own name among those present; `undefined` while there is none. Only changes are told. */
  connectionId(id: string | undefined): void;
  /** The last round trip on the socket, in milliseconds. */
  latency(ms: number): void;
  /** What will not pass by itself; and `AUTH_FAILED`, for each attempt. The feed goes on trying all the same. */
  error(error: RevcastError): void;
}

export interface FeedOptions {
  readonly drawingId: string;
  readonly http: Http;
  readonly events: FeedEvents;
  /** That of the platform by default. Where there is none, the event stream comes first. */
  readonly WebSocket?: typeof WebSocket | undefined;
  readonly random?: () => number;
}

export class Feed {
  readonly #events: FeedEvents;
  readonly #random: () => number;
  readonly #place = new Place();
  readonly #catchUp: CatchUp;
  readonly #connector: Connector;
  readonly #poster: Poster;
  /** Until a committed op is missed. */
  readonly #expecting = new Timer();
  readonly #repair = new Timer();
  #isRepairing = false;
  #repairs = 0;
  /** That of the place at the last snapshot. */
  #generation = 0;
  #isStarted = false;
  /** Why nothing is read any more, once that is so. */
  #over: RevcastError | undefined;
  #role: Role | null | undefined;
  #connectionId: string | undefined;
  /** What I show; shown again with each new subscription. */
  #shown: JsonObject | null = null;

  constructor({ drawingId, http, events, ...options }: FeedOptions) {
    this.#events = events;
    this.#random = options.random ?? Math.random;
    const random = this.#random;
    const WebSocketClass = options.WebSocket ?? globalThis.WebSocket;
    this.#catchUp = new CatchUp(http, drawingId, this.#place, {
      snapshot: (snapshot) => this.#onSnapshot(snapshot),
      ops: (ops, epoch) => events.ops(ops, epoch),
      adopted: (log) => this.#onAdopted(log),
      outdated: (error) => this.#onOutdated(error),
    });
    this.#poster = new Poster({
      http,
      drawingId,
      random,
      onConnectionId: (id) => {
        if (this.#connector.live?.present === undefined) this.#setConnectionId(id);
      },
      onError: (error) => events.error(error),
    });
    const position = (): Position => this.#place.position ?? { epoch: "", revision: 0 };
    const context: LinkContext = { http, drawingId, position, random };
    this.#connector = new Connector(
      {
        link: (kind, told) => linkOf(context, kind, WebSocketClass, told),
        load: async () => {
          if (this.#place.valid === undefined) await this.#catchUp.run();
        },
        recover: (reset) => this.#recover(reset),
        live: (live, link) => this.#onLive(live, link),
        // What was posted stays for a while, whatever becomes of the link.
        lost: () => this.#setConnectionId(this.#poster.connectionId),
        ops: (ops, epoch) => this.#onOps(ops, epoch),
        head: (head) => this.#onHead(head),
        roster: (roster) => events.presence({ kind: "roster", roster }),
        diff: ({ set, gone }) => events.presence({ kind: "diff", set, gone }),
        role: (role) => this.#setRole(role),
        latency: (ms) => events.latency(ms),
        error: (error) => events.error(error),
        denied: (error) => this.#onDenied(error),
        outdated: (error) => this.#onOutdated(error),
        connection: (state) => events.connection(state),
        attempts: (attempts) => events.attempts(attempts),
      },
      new Ladder(WebSocketClass !== undefined),
      random,
    );
  }

  /** Where the reader stands: everything up to here was told. */
  get position(): Position | undefined {
    return this.#place.position;
  }

  /** Begins, at once. `from`: the caller has the state of that position already, so that no snapshot is needed. */
  start(from?: Position): void {
    if (this.#isStarted || this.#isClosed) return;
    this.#isStarted = true;
    if (from !== undefined) this.#place.jump(from);
    this.#connector.start();
  }

  /**
   * Reads what is missing over REST. Calls share one flight. A rejection needs no handler.
   *
   * @throws {RevcastError} when it did not work; `closed` after `close`, `client_outdated` once this version is too old.
   */
  catchUp(): Promise<void> {
    if (this.#over === undefined) return this.#catchUp.run();
    const over = Promise.reject(this.#over);
    over.catch(() => {});
    return over;
  }

  /** A commit was answered with this head: what does not come by itself soon is read. */
  expect(position: Position): void {
    const at = this.#place.valid;
    if (this.#isClosed || at === undefined) return;
    if (position.epoch !== at.epoch) {
      // The answer may be older than the epoch that we have: the server tells, and a snapshot follows if it must.
      this.#read(this.#catchUp.run());
      return;
    }
    this.#place.hear(position);
    if (this.#place.isBehind && !this.#expecting.isSet) {
      this.#expecting.start(EXPECT_WITHIN, () => this.#mend());
    }
  }

  /** The page woke up, or the network came back: reads over HTTP at once, and sees to the transport. */
  wake(): void {
    if (!this.#isStarted || this.#isClosed) return;
    this.#repairs = 0;
    // Without a position, the connector reads one before anything else.
    const isKnown = this.#place.valid !== undefined;
    const reading = this.#role === null && isKnown ? undefined : this.#catchUp.refresh();
    this.#connector.wake();
    if (isKnown && reading !== undefined) this.#read(reading);
  }

  /** The network is said to be gone. */
  offline(): void {
    if (this.#isStarted && !this.#isClosed) this.#connector.offline();
  }

  /**
   * Shows my state; `null` leaves. False when it was dropped, because nothing is followed or the socket is behind. A new
   * subscription shows the last state by itself.
   */
  present(state: JsonObject | null): boolean {
    if (this.#isClosed) return false;
    this.#shown = state;
    const link = this.#connector.live;
    if (link === undefined) return false;
    if (link.present !== undefined) return link.present(state);
    this.#poster.show(state);
    return true;
  }

  /** Final: nothing is told after it. */
  close(): void {
    this.#end(closedError());
  }

  get #isClosed(): boolean {
    return this.#over !== undefined;
  }

  #end(error: RevcastError): void {
    if (this.#isClosed) return;
    this.#over = error;
    this.#connector.close();
    this.#catchUp.stop(error);
    this.#poster.close();
    this.#expecting.stop();
    this.#repair.stop();
  }

  // --- What the links bring ---

  #onLive(live: Live, link: Link): void {
    this.#setRole(live.role);
    const isSocket = link.present !== undefined;
    this.#setConnectionId(isSocket ? live.connectionId : this.#poster.connectionId);
    if (live.presence !== undefined) this.#events.presence({ kind: "roster", roster: live.presence });
    if (this.#isClosed) return;
    if (isSocket) {
      this.#poster.show(null);
      if (this.#shown !== null) link.present?.(this.#shown);
    } else if (this.#shown !== null) {
      this.#poster.show(this.#shown);
    }
    this.#onHead(live);
  }

  #onOps(ops: readonly CommittedOp[], epoch: string): void {
    const next = this.#place.take(ops, epoch);
    // Those of the epoch before are of the log of this one, too.
    const at = this.#place.position;
    if (at !== undefined && next.length > 0) this.#events.ops(next, at.epoch);
    this.#mend();
  }

  #onHead(head: LogPosition): void {
    const meeting = this.#place.meet(head);
    if (meeting === "adopted") this.#onAdopted(lineageOf(head));
    this.#place.hear(head);
    // A log of an epoch of which nothing is known, or one that is over: REST has the last word.
    if (meeting === "foreign" && this.#place.valid !== undefined) this.#read(this.#catchUp.run());
    else this.#mend();
  }

  /** The links go on, too: they tell by themselves when they are there. */
  #onAdopted(log: Lineage): void {
    this.#generation = this.#place.generation;
    this.#events.adopted(log);
  }

  /** What comes is not understood here. What is there stays, and nothing is read or followed any more. */
  #onOutdated(error: RevcastError): void {
    if (this.#isClosed) return;
    this.#end(error);
    this.#events.attempts(NO_ATTEMPTS);
    this.#events.connection("outdated");
    this.#events.error(error);
  }

  #onSnapshot(snapshot: Snapshot): void {
    const { generation } = this.#place;
    const isElsewhere = generation !== this.#generation;
    this.#generation = generation;
    this.#events.snapshot(snapshot);
    // The links follow a position that is not one of the log.
    if (isElsewhere && !this.#isClosed) this.#connector.refollow();
  }

  #recover(reset: Parameters<LinkEvents["reset"]>[0]): Promise<void> {
    const { reason, epoch, revision } = reset;
    if (this.#place.meet(reset) === "adopted") {
      // What is missing comes with the subscription from the position.
      this.#onAdopted(lineageOf(reset));
      return reason === "epoch_changed" ? Promise.resolve() : this.#catchUp.run();
    }
    const at = this.#place.valid;
    // A reset may cross with a catch-up that has moved on already.
    const isLost = at?.epoch !== epoch || (reason === "revision_ahead" && revision < at.revision);
    if (isLost) this.#place.invalidate();
    return this.#catchUp.run();
  }

  #onDenied(error: RevcastError | undefined): void {
    this.#catchUp.stop(error ?? new RevcastError("not_found", "the user has no role on the drawing"));
    this.#repair.stop();
    this.#expecting.stop();
    if (this.#role === null) return;
    this.#setRole(null);
    if (error !== undefined && !this.#isClosed) this.#events.error(error);
  }

  // --- What is missing ---

  /** Reads what is known to be missing, until it is there. */
  #mend(): void {
    const isBroken = this.#place.valid === undefined ? this.#connector.hasLink : this.#place.isBehind;
    if (!isBroken || this.#isRepairing || this.#repair.isSet || this.#isClosed) return;
    this.#read(this.#catchUp.run());
  }

  #read(reading: Promise<void>): void {
    this.#isRepairing = true;
    reading.then(
      () => this.#onRead(undefined),
      (error: unknown) => this.#onRead(asRevcastError(error)),
    );
  }

  #onRead(error: RevcastError | undefined): void {
    this.#isRepairing = false;
    if (this.#isClosed || this.#role === null) return;
    if (error !== undefined && isDenied(error)) {
      this.#connector.deny(error);
      return;
    }
    if (error !== undefined && (error.code === "AUTH_FAILED" || !error.retryable)) this.#events.error(error);
    const isWhole = error === undefined && this.#place.valid !== undefined && !this.#place.isBehind;
    this.#repairs = isWhole ? 0 : this.#repairs + 1;
    if (isWhole) return;
    const isLasting = error !== undefined && isDamaged(error);
    const pause = isLasting ? spread(DAMAGED_INTERVAL, this.#random) : backoff(this.#repairs, this.#random);
    this.#repair.start(pause, () => this.#mend());
  }

  // --- What is told only when it changes ---

  #setRole(role: Role | null): void {
    if (role === this.#role || this.#isClosed) return;
    this.#role = role;
    this.#events.role(role);
  }

  #setConnectionId(id: string | undefined): void {
    if (id === this.#connectionId || this.#isClosed) return;
    this.#connectionId = id;
    this.#events.connectionId(id);
  }
}

function linkOf(
  context: LinkContext,
  kind: Link["kind"],
  WebSocketClass: typeof WebSocket | undefined,
  events: LinkEvents,
): Link {
  if (kind === "socket" && WebSocketClass !== undefined)
    return new SocketLink(context, WebSocketClass, events);
  return kind === "poll" ? new PollLink(context, events) : new EventsLink(context, events);
}
