// Following over an event stream: by `fetch`, since `EventSource` sets no headers and is not everywhere.
//
// One object is one stream after another, from reset to reset; when it ends otherwise, the link is over.

import { createParser } from "eventsource-parser";
import { asRevcastError } from "../errors.js";
import { drawingPath } from "../http.js";
import { BACKOFF_LAST, EVENTS_BUFFER, EVENTS_SILENCE, PING_TIMEOUT, SUBSCRIBE_TIMEOUT } from "../limits.js";
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

export class EventsLink implements Link {
  readonly kind = "events";
  readonly #context: LinkContext;
  readonly #events: LinkEvents;
  readonly #inbox: Inbox;
  /** For the answer and the `subscribed` in it. */
  readonly #deadline = new Timer();
  readonly #silence = new Watch();
  /** For any sign of life. */
  readonly #doubt = new Timer();
  #stream: AbortController | undefined;
  #isOver = false;

  constructor(context: LinkContext, events: LinkEvents) {
    this.#context = context;
    this.#events = events;
    this.#inbox = new Inbox(context.drawingId, events);
  }

  follow(): void {
    if (this.#isOver) return;
    this.#leave();
    this.#stream = new AbortController();
    this.#deadline.start(SUBSCRIBE_TIMEOUT, () => this.#end({ advice: "again", isOwn: true }));
    void this.#read(this.#stream.signal);
  }

  /** Nothing can be asked on a stream, but heads come all the time: without them, another stream takes its place. */
  check(): void {
    if (this.#inbox.isLive && !this.#doubt.isSet) this.#doubt.start(PING_TIMEOUT, () => this.follow());
  }

  close(): void {
    this.#isOver = true;
    this.#leave();
  }

  async #read(signal: AbortSignal): Promise<void> {
    const { http, drawingId, position } = this.#context;
    const { epoch, revision } = position();
    const query = new URLSearchParams({ after: String(revision), epoch });
    const init = { headers: { Accept: "text/event-stream" }, cache: "no-store", signal } as const;
    try {
      const response = await http.fetch(drawingPath(drawingId, `/events?${query}`), init);
      const reader = response.body?.getReader();
      if (signal.aborted || reader === undefined) {
        await reader?.cancel();
        if (!signal.aborted) this.#end({ advice: "again", isOwn: true });
        return;
      }
      this.#watch(EVENTS_SILENCE);
      await this.#parse(reader, signal);
      if (!signal.aborted) this.#end({ advice: "again", isOwn: true });
    } catch (error) {
      if (signal.aborted) return;
      // A stream that has followed broke off: the next attempt tells whether the server can be reached.
      const end: End = this.#inbox.isLive
        ? { advice: "again", isOwn: true }
        : endOf(asRevcastError(error), true);
      this.#end(end);
    }
  }

  /** The stream is over once nothing has come for so long. */
  #watch(silence: number): void {
    this.#silence.start(silence, () => this.#end({ advice: "again", isOwn: true }));
  }

  async #parse(reader: ReadableStreamDefaultReader<Uint8Array>, signal: AbortSignal): Promise<void> {
    const decoder = new TextDecoder();
    const parser = createParser({
      onEvent: ({ data }) => {
        if (!signal.aborted) this.#onMessage(data);
      },
      maxBufferSize: EVENTS_BUFFER,
    });
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) return;
      this.#silence.heard();
      this.#doubt.stop();
      this.#events.heard();
      parser.feed(decoder.decode(value, { stream: true }));
    }
  }

  #onMessage(data: string): void {
    const message = parseMessage(data);
    if (message === undefined) return;
    if (message.type === "goaway") {
      // The stream ends here, and the server has spread the moments of coming back.
      const delay = Math.min(message.reconnect_in_ms, BACKOFF_LAST);
      this.#end({ advice: "again", isOwn: false, delay });
      return;
    }
    if (message.type === "hello") {
      const end = endOfHello(message);
      if (end !== undefined) this.#end(end);
      return;
    }
    if (message.type === "subscribed") {
      this.#deadline.stop();
      const { heartbeat_ms: heartbeat } = message;
      if (heartbeat !== undefined) this.#watch(silenceOf(heartbeat));
    }
    // The stream ends after it; the end is not to be taken for a failure.
    if (message.type === "reset") this.#leave();
    const end = this.#inbox.take(message);
    if (end !== undefined) this.#end(end);
  }

  /** Lets go of the stream, if there is one. */
  #leave(): void {
    this.#stream?.abort();
    this.#stream = undefined;
    this.#inbox.begin();
    this.#deadline.stop();
    this.#silence.stop();
    this.#doubt.stop();
  }

  #end(end: End): void {
    if (this.#isOver) return;
    this.close();
    this.#events.ended(end);
  }
}
