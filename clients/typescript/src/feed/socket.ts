// Following over a socket: the ticket, the handshake, the subscription, signs of life, renewal.
//
// One object is one socket. When it is over, whatever that socket still says changes nothing.

import { asRevcastError, type ErrorCode, RevcastError } from "../errors.js";
import type { JsonObject } from "../json.js";
import { PING_INTERVAL, PING_TIMEOUT, PRESENCE_BUFFERED, SUBSCRIBE_TIMEOUT } from "../limits.js";
import {
  adviceOf,
  type ClientMessage,
  type ErrorMessage,
  type ServerMessage,
  SUBPROTOCOL,
} from "../protocol.js";
import { Timer, Watch } from "../timer.js";
import {
  type End,
  endOf,
  endOfHello,
  Inbox,
  type Link,
  type LinkContext,
  type LinkEvents,
  parseMessage,
  silenceOf,
} from "./link.js";
import { Renewal } from "./renewal.js";

/** `WebSocket.OPEN`, which not every implementation has as a static member. */
const OPEN = 1;

/** Errors of a subscription that another attempt may not have. */
const PASSING: ReadonlySet<string> = new Set(["overloaded", "store_unavailable", "draining"]);

const STOP_CODES: Readonly<Record<number, ErrorCode>> = {
  4200: "AUTH_FAILED",
  4201: "INVALID_SESSION",
  4202: "MESSAGE_TOO_LARGE",
  4203: "RATE_LIMITED",
};

export class SocketLink implements Link {
  readonly kind = "socket";
  readonly #context: LinkContext;
  readonly #events: LinkEvents;
  readonly #WebSocket: typeof WebSocket;
  readonly #inbox: Inbox;
  readonly #abort = new AbortController();
  /** For the handshake and the answer to `subscribe`. */
  readonly #deadline = new Timer();
  readonly #silence = new Watch();
  readonly #pings = new Timer();
  /** For the answer to a ping in doubt. */
  readonly #answer = new Timer();
  readonly #renewal: Renewal;
  #socket: WebSocket | undefined;
  #isOpening = false;
  #isGoingAway = false;
  #connectionId: string | undefined;
  #heartbeat = 0;

  constructor(context: LinkContext, WebSocketClass: typeof WebSocket, events: LinkEvents) {
    this.#context = context;
    this.#events = events;
    this.#WebSocket = WebSocketClass;
    this.#inbox = new Inbox(context.drawingId, events);
    this.#renewal = new Renewal({
      http: context.http,
      signal: this.#abort.signal,
      random: context.random,
      onTicket: (ticket) => this.#send({ type: "auth", ticket }),
      onError: (error) => events.error(error),
    });
  }

  follow(): void {
    if (this.#isOver) return;
    this.#inbox.begin();
    // Heads come only while the drawing is followed.
    this.#silence.stop();
    this.#deadline.start(SUBSCRIBE_TIMEOUT, () => this.#end({ advice: "again", isOwn: true }));
    if (this.#socket?.readyState === OPEN) this.#subscribe();
    else if (!this.#isOpening) void this.#open();
  }

  check(): void {
    // An attempt under way has its own limit.
    if (!this.#inbox.isLive || this.#answer.isSet) return;
    this.#ping();
    this.#answer.start(PING_TIMEOUT, () => this.#end({ advice: "again", isOwn: true }));
  }

  present(state: JsonObject | null): boolean {
    const socket = this.#socket;
    if (!this.#inbox.isLive || socket === undefined || socket.bufferedAmount > PRESENCE_BUFFERED)
      return false;
    return this.#send({ type: "presence", drawing_id: this.#context.drawingId, state });
  }

  close(): void {
    if (this.#isOver) return;
    this.#abort.abort();
    for (const timer of [this.#deadline, this.#silence, this.#pings, this.#answer, this.#renewal])
      timer.stop();
    this.#inbox.begin();
    this.#socket?.close(1000);
  }

  get #isOver(): boolean {
    return this.#abort.signal.aborted;
  }

  async #open(): Promise<void> {
    this.#isOpening = true;
    const { http } = this.#context;
    let url: string;
    try {
      // Asked before the ticket: what it says of its end is not later than the truth.
      const token = await http.token();
      const ticket = await http.ticket(this.#abort.signal);
      url = `${(await http.url()).replace(/^http/, "ws")}/v1/ws?ticket=${encodeURIComponent(ticket)}`;
      if (this.#isOver) return;
      this.#renewal.start(token);
    } catch (thrown) {
      const error = asRevcastError(thrown);
      // Without HTTP the other transports would not do better.
      this.#end(endOf(error, !error.retryable));
      return;
    }
    try {
      this.#listen(new this.#WebSocket(url, SUBPROTOCOL));
    } catch {
      // Forbidden by the page's policy, for one.
      this.#end({ advice: "again", isOwn: true });
    }
  }

  #listen(socket: WebSocket): void {
    this.#socket = socket;
    socket.onopen = () => {
      if (this.#isOver) return;
      this.#subscribe();
      this.#pings.start(PING_INTERVAL, () => this.#pingAgain());
    };
    socket.onmessage = ({ data }) => {
      if (this.#isOver) return;
      const message = parseMessage(data);
      if (message !== undefined) this.#onMessage(message);
    };
    socket.onclose = ({ code, reason }) => {
      if (!this.#isOver) this.#onClose(code, reason);
    };
    // `close` follows. The listener stays: without one, an error in Node ends the process.
    socket.onerror = () => {};
  }

  #onMessage(message: ServerMessage): void {
    this.#silence.heard();
    this.#answer.stop();
    this.#events.heard();
    switch (message.type) {
      case "hello": {
        const end = endOfHello(message);
        if (end !== undefined) this.#end(end);
        this.#connectionId = message.connection_id;
        this.#heartbeat = message.heartbeat_ms;
        return;
      }
      case "pong":
        this.#events.latency(performance.now() - message.t);
        return;
      case "goaway":
        this.#isGoingAway = true;
        return;
      case "error":
        this.#onError(message);
        return;
      case "subscribed":
        this.#deadline.stop();
        this.#silence.start(silenceOf(this.#heartbeat), () => this.#end({ advice: "again", isOwn: true }));
        break;
      case "reset":
        this.#silence.stop();
        break;
    }
    const end = this.#inbox.take(message, this.#connectionId);
    if (end !== undefined) this.#end(end);
  }

  #onError({ code, detail }: ErrorMessage): void {
    const isPassing = PASSING.has(code);
    const error = new RevcastError(code, detail, { retryable: isPassing });
    if (code === "not_found") this.#end({ advice: "denied", isOwn: false, error });
    else if (!this.#inbox.isLive && isPassing) this.#end({ advice: "again", isOwn: false, error });
    // A state that crossed with a reset; it is shown again when the drawing is followed.
    else if (code !== "not_subscribed") this.#events.error(error);
  }

  #onClose(code: number, reason: string): void {
    const advice = adviceOf(code);
    if (advice === "stop") {
      const error = new RevcastError(STOP_CODES[code] ?? "INVALID_SESSION", reason || `closed with ${code}`);
      this.#end({ advice: "stop", isOwn: true, error });
    } else {
      const isAtOnce = advice === "renew" || this.#isGoingAway;
      this.#end({ advice: isAtOnce ? "at_once" : "again", isOwn: !this.#isGoingAway });
    }
  }

  #subscribe(): void {
    const { drawingId, position } = this.#context;
    const { epoch, revision } = position();
    this.#send({ type: "subscribe", drawing_id: drawingId, after: revision, epoch, presence: true });
  }

  #pingAgain(): void {
    this.#ping();
    this.#pings.start(PING_INTERVAL, () => this.#pingAgain());
  }

  #ping(): void {
    this.#send({ type: "ping", t: performance.now() });
  }

  #send(message: ClientMessage): boolean {
    if (this.#socket?.readyState !== OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  #end(end: End): void {
    if (this.#isOver) return;
    this.close();
    this.#events.ended(end);
  }
}
