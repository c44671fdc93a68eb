// A feed, and all that it tells; it fails when the ops have a hole.

import { expect, vi } from "vitest";
import type { RevcastError } from "../../src/errors.js";
import type { Attempts } from "../../src/feed/connector.js";
import { Feed, type FeedEvents, type FeedOptions } from "../../src/feed/feed.js";
import { Http } from "../../src/http.js";
import type { Lineage, Position, Role } from "../../src/protocol.js";
import { DRAWING, type FeedServer } from "./feed_server.js";

export class Watched {
  readonly feed: Feed;
  readonly snapshots: Position[] = [];
  /** Revisions of ops, in the order of telling. */
  readonly revisions: number[] = [];
  /** Epochs in which the log has gone on. */
  readonly adopted: Lineage[] = [];
  readonly states: string[] = [];
  readonly attempts: Attempts[] = [];
  readonly roles: (Role | null)[] = [];
  readonly ids: (string | undefined)[] = [];
  readonly errors: RevcastError[] = [];
  readonly presence: Parameters<FeedEvents["presence"]>[0][] = [];
  readonly latencies: number[] = [];
  /** How often anything was told. */
  told = 0;
  #at: Position | undefined;

  readonly #server: FeedServer;

  constructor(server: FeedServer, options: Partial<FeedOptions> = {}) {
    this.#server = server;
    const http = new Http({
      url: "https://draw.test/",
      getToken: () => server.token,
      fetch: server.fetch as typeof fetch,
    });
    const events: FeedEvents = {
      snapshot: ({ epoch, revision }) => {
        this.#at = { epoch, revision };
        this.snapshots.push(this.#at);
      },
      ops: (ops, epoch) => {
        for (const { revision } of ops) {
          const isNext = epoch === this.#at?.epoch && revision === this.#at.revision + 1;
          if (!isNext) throw new Error(`revision ${revision} of ${epoch} after ${JSON.stringify(this.#at)}`);
          this.#at = { epoch, revision };
          this.revisions.push(revision);
        }
      },
      adopted: (log) => {
        if (this.#at === undefined) throw new Error("there is nothing to go on from");
        this.#at = { epoch: log.epoch, revision: this.#at.revision };
        this.adopted.push(log);
      },
      presence: (change) => this.presence.push(change),
      role: (role) => this.roles.push(role),
      connection: (state) => this.states.push(state),
      attempts: (attempts) => this.attempts.push(attempts),
      connectionId: (id) => this.ids.push(id),
      latency: (ms) => this.latencies.push(ms),
      error: (error) => this.errors.push(error),
    };
    const counted = Object.fromEntries(
      Object.entries(events).map(([name, tell]) => [
        name,
        (...args: unknown[]) => {
          this.told += 1;
          (tell as (...args: unknown[]) => void)(...args);
        },
      ]),
    ) as unknown as FeedEvents;
    const { WebSocket } = server;
    this.feed = new Feed({
      drawingId: DRAWING,
      http,
      events: counted,
      WebSocket,
      random: () => 0.5,
      ...options,
    });
  }

  /** Starts where the caller says that it has a state. */
  startFrom(from: Position): void {
    this.#at = from;
    this.feed.start(from);
  }

  /** Follows over the socket. */
  async live(): Promise<void> {
    this.feed.start();
    await settle();
    expect(this.state).toBe("live");
  }

  /** Follows over the event stream, since sockets are refused. */
  async streaming(): Promise<void> {
    this.#server.sockets.mode = "refused";
    this.feed.start();
    await pass(1_000);
    expect(this.state).toBe("fallback");
    expect(this.#server.streams.all).toHaveLength(1);
  }

  /** The end of a test in `fakeTime`: the feed leaves no timer behind. */
  end(): void {
    this.feed.close();
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  }

  get state(): string | undefined {
    return this.states.at(-1);
  }

  get codes(): string[] {
    return this.errors.map(({ code }) => code);
  }
}

export function fakeTime(): void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] });
}

/** Lets what is under way come to rest, without time passing. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 8; turn++) await vi.advanceTimersByTimeAsync(0);
}

/** Lets time pass. */
export async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  await settle();
}
