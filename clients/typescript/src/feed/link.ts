// What the feed sees of a transport, whichever it is, and the messages that two of them have in common.

import { isDamaged, outdatedError, type RevcastError } from "../errors.js";
import type { Http } from "../http.js";
import type { JsonObject } from "../json.js";
import { HEARTBEATS_MISSED, SILENCE_LEAST } from "../limits.js";
import type { CommittedOp } from "../ops.js";
import {
  type Hello,
  type LogPosition,
  lineageOf,
  type Position,
  PROTOCOL_VERSION,
  type PresenceDiff,
  type Reset,
  type Role,
  type Roster,
  type ServerMessage,
} from "../protocol.js";

export type LinkKind = "socket" | "events" | "poll";

/** One attempt to follow a drawing, until it ends. After `ended` or `close` it says nothing more. */
export interface Link {
  readonly kind: LinkKind;
  /** Follows from the position as it is now, in place of what it followed before. */
  follow(): void;
  /** Makes sure soon that it still works; ends if it does not. */
  check(): void;
  /** Shows a state on the link itself, where it can; false when it was dropped. */
  present?(state: JsonObject | null): boolean;
  close(): void;
}

/** How a subscription begins. */
export interface Live extends LogPosition {
  readonly role: Role;
  readonly presence?: Roster;
  /** Its name among those present, where it has one by itself. */
  readonly connectionId?: string;
}

/** Why a link is over, and what follows from it. */
export interface End {
  /**
   * `at_once`: the next attempt needs no pause. `denied`: the user has no role. `stop`: no link of this kind is to be
   * tried again. `outdated`: no link is, since this version does not understand the server. `damaged`: ops are missing in
   * the log, and the next attempt is made after a long pause.
   */
  readonly advice: "again" | "at_once" | "denied" | "stop" | "outdated" | "damaged";
  /** Whether the failure is one of this kind of transport, rather than of the server or the network. */
  readonly isOwn: boolean;
  readonly error?: RevcastError;
  /** When the server wants to see us again, in milliseconds. */
  readonly delay?: number;
}

export interface LinkEvents {
  live(live: Live): void;
  /** Anything came. */
  heard(): void;
  ops(ops: readonly CommittedOp[], epoch: string): void;
  /** Where the log is. It comes before the first ops of another epoch. */
  head(head: LogPosition): void;
  /** Nothing is followed any more. `follow` begins again. */
  reset(reset: Pick<Reset, "reason" | keyof LogPosition>): void;
  roster(roster: Roster): void;
  diff(diff: Pick<PresenceDiff, "set" | "gone">): void;
  /** A role that is not the one that `live` told. */
  role(role: Role): void;
  latency(ms: number): void;
  error(error: RevcastError): void;
  ended(end: End): void;
}

export interface LinkContext {
  readonly http: Http;
  readonly drawingId: string;
  readonly position: () => Position;
  readonly random: () => number;
}

/** The end that an error brings. */
export function endOf(error: RevcastError, isOwn: boolean): End {
  if (isDenied(error)) return { advice: "denied", isOwn: false, error };
  if (isDamaged(error)) return { advice: "damaged", isOwn: false, error };
  return { advice: "again", isOwn: isOwn && error.code !== "AUTH_FAILED", error };
}

/** The end that the greeting of a server brings which speaks a newer protocol. */
export function endOfHello({ protocol }: Hello): End | undefined {
  if (!(protocol > PROTOCOL_VERSION)) return undefined;
  const error = outdatedError(`the server speaks version ${protocol} of the protocol`);
  return { advice: "outdated", isOwn: false, error };
}

/** Whether an error says that the user has no role. A page of some proxy does not say so. */
export function isDenied({ code }: RevcastError): boolean {
  return code === "not_found" || code === "forbidden";
}

/** The silence after which a link is dead whose server sends something every `heartbeat`, both in milliseconds. */
export function silenceOf(heartbeat: number): number {
  return Math.max(SILENCE_LEAST, HEARTBEATS_MISSED * heartbeat);
}

/** A message of the server; `undefined` for anything else. */
export function parseMessage(text: unknown): ServerMessage | undefined {
  if (typeof text !== "string") return undefined;
  try {
    const message: unknown = JSON.parse(text);
    const isMessage = typeof message === "object" && message !== null && "type" in message;
    return isMessage ? (message as ServerMessage) : undefined;
  } catch {
    return undefined;
  }
}

/** Takes the messages about the drawing, and knows whether it is followed. */
export class Inbox {
  readonly #drawingId: string;
  readonly #events: LinkEvents;
  #epoch: string | undefined;

  constructor(drawingId: string, events: LinkEvents) {
    this.#drawingId = drawingId.toLowerCase();
    this.#events = events;
  }

  /** Whether the drawing is followed. */
  get isLive(): boolean {
    return this.#epoch !== undefined;
  }

  /** A subscription begins: what comes before its answer belongs to another one. */
  begin(): void {
    this.#epoch = undefined;
  }

  /** Takes a message; returns why the link is over, if it is. */
  take(message: ServerMessage, connectionId?: string): End | undefined {
    const events = this.#events;
    if (!("drawing_id" in message) || message.drawing_id?.toLowerCase() !== this.#drawingId) return undefined;
    if (message.type === "subscribed") {
      const { epoch, revision, role, presence } = message;
      this.#epoch = epoch;
      events.live({
        ...lineageOf(message),
        revision,
        role,
        ...(presence === undefined ? {} : { presence }),
        ...(connectionId === undefined ? {} : { connectionId }),
      });
    } else if (message.type === "reset") {
      this.#epoch = undefined;
      events.reset(message);
    } else if (message.type === "role" && message.role === null) {
      return { advice: "denied", isOwn: false };
    } else if (this.#epoch !== undefined) {
      if (message.type === "ops") events.ops(message.ops, this.#epoch);
      else if (message.type === "head") {
        // Ops do not bear an epoch: they are of that of the last head.
        this.#epoch = message.epoch;
        events.head(message);
      } else if (message.type === "presence") events.diff(message);
      else if (message.type === "role" && message.role !== null) events.role(message.role);
    }
    return undefined;
  }
}
