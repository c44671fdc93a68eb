// A bad network: a TCP proxy in front of a server, with faults by hand or by chance.
//
// Knows bytes alone, not what they mean. Owns its connections and ends them all with `close()`.

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { type Random, randomOf } from "../support/random.js";

/** What is done with connections, new ones and those there are. */
export type Mode =
  /** All bytes go through. */
  | "pass"
  /** New connections are reset; those there are go on. */
  | "refuse"
  /** Connections are taken, and nothing goes through. Those that lost bytes are reset when this ends. */
  | "blackhole"
  /** Requests go through; the first bytes that the server answers are lost, and the connection with them. */
  | "lose-answers"
  /** Of the next bytes in either direction one half goes through, then the connection is closed. */
  | "halve";

export interface Chaos {
  /** The same seed makes the same choices; which bytes they meet depends on time. */
  readonly seed: number;
  /** How often something happens, from 0 to 1: the share of all chunks, and of new connections. 0.1 by default. */
  readonly rate?: number;
}

type Way = "up" | "down";
type Fault = "pass" | "delay" | "reset" | "halve" | "lose" | "hold";

/** Delays by chance are below this. */
const CHAOS_DELAY = 60;
/** A connection that is held by chance says nothing for so long, and is reset then. */
const CHAOS_HOLD = 500;
/** What happens to a chunk by chance. Delays are the most common, as they are outside. */
const CHUNK_FAULTS: readonly Fault[] = ["delay", "delay", "delay", "reset", "halve", "lose", "hold"];

export class FaultyProxy {
  readonly #server: Server;
  readonly #target: number;
  readonly #links = new Set<Link>();
  #mode: Mode = "pass";
  #delay = 0;
  #random: Random | undefined;
  #rate = 0;
  /** How often bytes or connections were tampered with. */
  faults = 0;
  /** How many connections were taken. */
  accepted = 0;

  constructor(server: Server, target: number) {
    this.#server = server;
    this.#target = target;
    server.on("connection", (client) => this.#accept(client));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The address to give to clients. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** How many connections there are. */
  get open(): number {
    return this.#links.size;
  }

  /** From now on; ends chaos. */
  mode(mode: Mode): void {
    this.#random = undefined;
    this.#mode = mode;
    if (mode === "blackhole") return;
    for (const link of this.#links) if (link.hasLost) link.reset();
  }

  /** Lets each chunk wait for so many milliseconds, in every mode. */
  delay(ms: number): void {
    this.#delay = ms;
  }

  /** Resets the connections that there are. */
  drop(): void {
    for (const link of this.#links) {
      this.faults += 1;
      link.reset();
    }
  }

  /** Faults by chance, until `mode` is called. */
  chaos({ seed, rate = 0.1 }: Chaos): void {
    this.mode("pass");
    this.#random = randomOf(seed);
    this.#rate = rate;
  }

  /** Resets all connections and takes no more. Final. */
  async close(): Promise<void> {
    for (const link of this.#links) link.reset();
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    await closed;
  }

  #accept(client: Socket): void {
    this.accepted += 1;
    if (this.#mode === "refuse" || this.#happens()) {
      this.faults += 1;
      client.on("error", ignore).resetAndDestroy();
      return;
    }
    const link = new Link(client, connect({ port: this.#target, host: "127.0.0.1", allowHalfOpen: true }));
    this.#links.add(link);
    const relays = [this.#relay(link, "up"), this.#relay(link, "down")];
    void Promise.all(relays)
      .catch(() => link.reset())
      .finally(() => this.#links.delete(link));
  }

  /** Carries bytes one way until that way is closed. Fails when the connection does. */
  async #relay(link: Link, way: Way): Promise<void> {
    const [from, to] = way === "up" ? [link.client, link.server] : [link.server, link.client];
    for await (const chunk of from as AsyncIterable<Buffer>) {
      const fault = this.#faultOf(way);
      if (fault !== "pass" && fault !== "delay") this.faults += 1;
      const wait = this.#delay + (fault === "delay" ? (this.#random?.(CHAOS_DELAY) ?? 0) : 0);
      if (wait > 0) await link.wait(wait);
      if (fault === "reset" || fault === "lose") return link.reset();
      if (fault === "halve") {
        to.end(chunk.subarray(0, Math.ceil(chunk.length / 2)));
        from.destroy();
        return;
      }
      if (fault === "hold") {
        link.hasLost = true;
        if (this.#random === undefined) continue;
        await link.wait(CHAOS_HOLD);
        return link.reset();
      }
      if (to.destroyed) return link.reset();
      if (!to.write(chunk)) await link.drained(to);
    }
    to.end();
  }

  #faultOf(way: Way): Fault {
    switch (this.#mode) {
      case "blackhole":
        return "hold";
      case "halve":
        return "halve";
      case "lose-answers":
        return way === "down" ? "lose" : "pass";
      default: {
        if (!this.#happens()) return "pass";
        const fault = CHUNK_FAULTS[this.#random?.(CHUNK_FAULTS.length) ?? 0] ?? "pass";
        // A request that does not get there is as good as a reset.
        return fault === "lose" && way === "up" ? "reset" : fault;
      }
    }
  }

  #happens(): boolean {
    return this.#random !== undefined && this.#random(1000) < this.#rate * 1000;
  }
}

/** The two connections that are one to the client. */
class Link {
  readonly client: Socket;
  readonly server: Socket;
  readonly #ended = new AbortController();
  /** Whether bytes of it are gone, so that it must not go on. */
  hasLost = false;

  constructor(client: Socket, server: Socket) {
    this.client = client;
    this.server = server;
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on("error", ignore);
    }
  }

  reset(): void {
    this.#ended.abort();
    for (const socket of [this.client, this.server]) {
      if (!socket.destroyed) socket.resetAndDestroy();
    }
  }

  /** Fails when the connection is reset meanwhile. */
  async wait(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#ended.signal });
  }

  async drained(socket: Socket): Promise<void> {
    await Promise.race([once(socket, "drain"), once(socket, "close")]);
  }
}

/** The reader of a socket hears of its errors; an error nobody listens to would end the process. */
function ignore(): void {}

/** A proxy on a free port, which passes everything on to `target` at first. */
export async function startProxy(target: number | string): Promise<FaultyProxy> {
  const port = typeof target === "number" ? target : Number(new URL(target).port);
  const server = createServer({ allowHalfOpen: true });
  const proxy = new FaultyProxy(server, port);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return proxy;
}
