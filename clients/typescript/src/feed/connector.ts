// Which link is followed, when the next attempt is made, and with which transport.
//
// Owns the links and their backoff. Knows nothing of what they bring: the host takes that.

import { backoff, spread } from "../backoff.js";
import { asRevcastError, type RevcastError } from "../errors.js";
import {
  CLIMB_INTERVAL,
  DAMAGED_INTERVAL,
  DENIED_INTERVAL,
  RESETS_LAST,
  SHORT_LINKS,
  STEADY_AFTER,
  WAKE_FRESH,
} from "../limits.js";
import { Timer } from "../timer.js";
import type { Ladder } from "./ladder.js";
import { type End, endOf, type Link, type LinkEvents, type LinkKind, type Live } from "./link.js";

/** `outdated`: for good, since this version does not understand the server. */
export type ConnectionState = "connecting" | "live" | "fallback" | "offline" | "outdated";

type Reset = Parameters<LinkEvents["reset"]>[0];

/** What a connector works for. */
export interface Host extends Omit<LinkEvents, "live" | "heard" | "reset" | "ended"> {
  /** Makes a link, which does nothing yet. */
  link(kind: LinkKind, events: LinkEvents): Link;
  /** Sees to a position to follow from. */
  load(): Promise<void>;
  /** Sees to a position from which a subscription that was reset can begin again. */
  recover(reset: Reset): Promise<void>;
  live(live: Live, link: Link): void;
  /** The link that was live is over. */
  lost(): void;
  /** The user has no role. */
  denied(error?: RevcastError): void;
  /** This version does not understand the server: the connector is to be closed. */
  outdated(error: RevcastError): void;
  connection(state: ConnectionState): void;
  /** How the attempts stand has changed. */
  attempts(attempts: Attempts): void;
}

/** How the drawing is followed, and how it stands with the attempts to do so. */
export interface Attempts {
  /** What follows the drawing: a socket, an event stream, or long-polls; `undefined` while nothing does. */
  readonly transport: LinkKind | undefined;
  /** Attempts to connect again since the drawing was followed or, before that, since it was opened; 0 while it is. */
  readonly reconnectAttempts: number;
  /** When the next one begins, in milliseconds since 1970; `undefined` while one is under way, and while none is due. */
  readonly nextAttemptAt: number | undefined;
}

export const NO_ATTEMPTS: Attempts = {
  transport: undefined,
  reconnectAttempts: 0,
  nextAttemptAt: undefined,
};

/** A link, and how it does. */
interface Tried {
  readonly link: Link;
  readonly beganAt: number;
  liveAt: number | undefined;
  /** Whether it has brought something since it was live. */
  hasDelivered: boolean;
  /** Resets since it was live. */
  resets: number;
  isRecovering: boolean;
}

export class Connector {
  readonly #host: Host;
  readonly #ladder: Ladder;
  readonly #random: () => number;
  readonly #retry = new Timer();
  readonly #climb = new Timer();
  #current: Tried | undefined;
  /** A socket that is tried while a fallback works. */
  #probe: Tried | undefined;
  #isLoading = false;
  #isSaidOffline = false;
  #isClosed = false;
  /** Ends in a row, the last one included, of links that have brought nothing. */
  #ends = 0;
  /** Links in a row that lived for less than `STEADY_AFTER`. */
  #shortLinks = 0;
  #attempts: Attempts = NO_ATTEMPTS;
  #state: ConnectionState | undefined;

  constructor(host: Host, ladder: Ladder, random: () => number) {
    this.#host = host;
    this.#ladder = ladder;
    this.#random = random;
  }

  /** The link that follows the drawing. */
  get live(): Link | undefined {
    return this.#current?.liveAt === undefined ? undefined : this.#current.link;
  }

  /** Whether there is a link, even if it does not follow yet. */
  get hasLink(): boolean {
    return this.#current !== undefined;
  }

  start(): void {
    this.#show("connecting");
    void this.#attempt();
  }

  /** Forgets all pauses. A link that works is checked; any other gives way to a new attempt. */
  wake(): void {
    this.#isSaidOffline = false;
    this.#ends = 0;
    this.#shortLinks = 0;
    const current = this.#current;
    if (current?.liveAt !== undefined) {
      this.#showLive(current.link);
      current.link.check();
      if (current.link.kind !== "socket") this.#tryToClimb();
    } else {
      if (this.#state === "offline") this.#show("connecting");
      if (this.#isLoading || (current && performance.now() - current.beganAt < WAKE_FRESH)) return;
      this.#drop();
      this.#ladder.climb();
      this.#attemptAgain();
    }
  }

  /** Believed until something comes. */
  offline(): void {
    this.#isSaidOffline = true;
    this.#show("offline");
  }

  /** The log is another one: all links follow it anew. */
  refollow(): void {
    for (const tried of [this.#current, this.#probe]) {
      if (tried && !tried.isRecovering) tried.link.follow();
    }
  }

  /** A request has shown that the user has no role. */
  deny(error: RevcastError): void {
    if (!this.#isClosed) this.#onDenied(error);
  }

  close(): void {
    this.#isClosed = true;
    this.#drop();
    this.#attempts = NO_ATTEMPTS;
  }

  get attempts(): Attempts {
    return this.#attempts;
  }

  /** Ends links and pauses. */
  #drop(): void {
    const links = [this.#current?.link, this.#probe?.link];
    this.#current = undefined;
    this.#probe = undefined;
    this.#retry.stop();
    this.#climb.stop();
    for (const link of links) link?.close();
  }

  /** Makes an attempt at its time. */
  #attemptIn(delay: number): void {
    this.#retry.start(delay, () => this.#attemptAgain());
    this.#note({ transport: undefined, nextAttemptAt: Date.now() + delay });
  }

  #attemptAgain(): void {
    if (!this.#isLoading) {
      const reconnectAttempts = this.#attempts.reconnectAttempts + 1;
      this.#note({ transport: undefined, reconnectAttempts, nextAttemptAt: undefined });
    }
    void this.#attempt();
  }

  #note(change: Partial<Attempts>): void {
    if (this.#isClosed) return;
    const attempts = { ...this.#attempts, ...change };
    const { transport, reconnectAttempts, nextAttemptAt } = this.#attempts;
    const isSame =
      attempts.transport === transport &&
      attempts.reconnectAttempts === reconnectAttempts &&
      attempts.nextAttemptAt === nextAttemptAt;
    if (isSame) return;
    this.#attempts = attempts;
    this.#host.attempts(attempts);
  }

  async #attempt(): Promise<void> {
    if (this.#isLoading) return;
    this.#retry.stop();
    this.#isLoading = true;
    let failure: RevcastError | undefined;
    try {
      await this.#host.load();
    } catch (error) {
      failure = asRevcastError(error);
    }
    this.#isLoading = false;
    if (this.#isClosed || this.#current !== undefined) return;
    if (failure !== undefined) {
      this.#ends += 1;
      this.#onFailed(endOf(failure, false), false);
      return;
    }
    const { rung } = this.#ladder;
    if (rung === "socket") this.#endProbe();
    this.#current = this.#begin(rung);
    this.#current.link.follow();
  }

  #tryToClimb(): void {
    if (this.#probe !== undefined || !this.#ladder.hasSocket) return;
    this.#climb.stop();
    this.#probe = this.#begin("socket");
    this.#probe.link.follow();
  }

  #endProbe(): void {
    this.#climb.stop();
    const probe = this.#probe;
    this.#probe = undefined;
    probe?.link.close();
  }

  #begin(kind: LinkKind): Tried {
    const host = this.#host;
    // What a superseded link says changes nothing.
    const mine = (act: (tried: Tried) => void): void => {
      if (!this.#isClosed && (tried === this.#current || tried === this.#probe)) act(tried);
    };
    const link = host.link(kind, {
      live: (live) => mine(() => this.#onLive(tried, live)),
      heard: () => mine(() => this.#onHeard(tried)),
      reset: (reset) => mine(() => this.#onReset(tried, reset)),
      ended: (end) => mine(() => this.#onEnded(tried, end)),
      ops: (ops, epoch) =>
        mine(() => {
          tried.hasDelivered = true;
          host.ops(ops, epoch);
        }),
      head: (head) => mine(() => host.head(head)),
      roster: (roster) => mine(() => host.roster(roster)),
      diff: (diff) => mine(() => host.diff(diff)),
      role: (role) => mine(() => host.role(role)),
      latency: (ms) => mine(() => host.latency(ms)),
      error: (error) => mine(() => host.error(error)),
    });
    const tried: Tried = {
      link,
      beganAt: performance.now(),
      liveAt: undefined,
      hasDelivered: false,
      resets: 0,
      isRecovering: false,
    };
    return tried;
  }

  #onLive(tried: Tried, live: Live): void {
    const { link } = tried;
    tried.liveAt ??= performance.now();
    tried.resets = 0;
    if (tried === this.#probe) {
      const fallback = this.#current?.link;
      this.#probe = undefined;
      this.#current = tried;
      this.#retry.stop();
      this.#ladder.climb();
      fallback?.close();
    }
    this.#ladder.hold();
    if (link.kind === "socket") this.#climb.stop();
    else if (this.#probe === undefined) this.#climbLater();
    this.#isSaidOffline = false;
    this.#note({ transport: link.kind, reconnectAttempts: 0, nextAttemptAt: undefined });
    this.#showLive(link);
    this.#host.live(live, link);
  }

  #onHeard(tried: Tried): void {
    if (!this.#isSaidOffline || tried.liveAt === undefined) return;
    this.#isSaidOffline = false;
    this.#showLive(tried.link);
  }

  #onReset(tried: Tried, reset: Reset): void {
    const give = (end: End): void => {
      if (tried !== this.#current && tried !== this.#probe) return;
      tried.link.close();
      this.#onEnded(tried, end);
    };
    tried.resets += 1;
    if (tried.resets > RESETS_LAST) {
      give({ advice: "again", isOwn: true });
      return;
    }
    tried.isRecovering = true;
    this.#host.recover(reset).then(
      () => {
        tried.isRecovering = false;
        if (!this.#isClosed) tried.link.follow();
      },
      (error: unknown) => {
        if (!this.#isClosed) give(endOf(asRevcastError(error), false));
      },
    );
  }

  #onEnded(tried: Tried, end: End): void {
    if (end.advice === "outdated" && end.error !== undefined) {
      this.#host.outdated(end.error);
      return;
    }
    if (end.advice === "stop") this.#ladder.forbidSocket();
    if (tried === this.#probe) {
      this.#probe = undefined;
      if (end.advice === "denied") this.#onDenied(end.error);
      else {
        if (end.error !== undefined) this.#report(end);
        this.#climbLater();
      }
      return;
    }
    this.#current = undefined;
    const { liveAt } = tried;
    const isSteady = liveAt !== undefined && performance.now() - liveAt >= STEADY_AFTER;
    this.#shortLinks = isSteady ? 0 : this.#shortLinks + 1;
    // A link that ends with its first message each time has worked, too, but not for ever.
    const hasWorked = isSteady || (tried.hasDelivered && this.#shortLinks <= SHORT_LINKS);
    this.#ends = hasWorked ? 1 : this.#ends + 1;
    const isLower = liveAt === undefined && end.isOwn && end.advice !== "stop" && this.#ladder.miss();
    if (liveAt !== undefined) this.#host.lost();
    if (!this.#isClosed) this.#onFailed(end, isLower);
  }

  #onFailed(end: End, isLower: boolean): void {
    if (end.advice === "denied") {
      this.#onDenied(end.error);
      return;
    }
    const isOffline = end.error?.code === "CONNECTION_FAILED";
    // An attempt under way does not say that the network is back.
    if (isOffline) this.#show("offline");
    else if (this.#state !== "offline" || end.error !== undefined) this.#show("connecting");
    if (end.error !== undefined) this.#report(end);
    if (!this.#isClosed) this.#attemptIn(this.#pause(end, isLower));
  }

  #pause({ advice, delay, error }: End, isLower: boolean): number {
    if (delay !== undefined) return delay;
    if (advice === "damaged") return spread(DAMAGED_INTERVAL, this.#random);
    if (isLower || advice === "stop" || (advice === "at_once" && this.#ends === 1 && this.#shortLinks <= 1))
      return 0;
    return Math.max(backoff(this.#ends, this.#random), error?.retryAfter ?? 0);
  }

  #onDenied(error: RevcastError | undefined): void {
    const wasLive = this.live !== undefined;
    this.#drop();
    if (wasLive) this.#host.lost();
    this.#show("connecting");
    this.#host.denied(error);
    if (!this.#isClosed) this.#attemptIn(spread(DENIED_INTERVAL, this.#random));
  }

  /** Tells of an error, unless it will pass by itself. */
  #report({ advice, error }: End): void {
    if (error === undefined) return;
    const isPassing = error.retryable && error.code !== "AUTH_FAILED";
    if (advice === "stop" || !isPassing) this.#host.error(error);
  }

  #climbLater(): void {
    if (!this.#ladder.hasSocket || this.#climb.isSet) return;
    this.#climb.start(spread(CLIMB_INTERVAL, this.#random), () => this.#tryToClimb());
  }

  #showLive(link: Link): void {
    this.#show(link.kind === "socket" ? "live" : "fallback");
  }

  #show(state: ConnectionState): void {
    if (this.#isClosed || state === this.#state) return;
    if (this.#isSaidOffline && state !== "offline") return;
    this.#state = state;
    this.#host.connection(state);
  }
}
