// What the scenarios play in: a server with the whiteboard in it, and a browser. Owns both, and the users in it.

import { type Browser, chromium } from "playwright-core";
import { type FaultyProxy, startProxy } from "../../../clients/typescript/test/server/proxy.js";
import { startTestbed, type Testbed } from "../../../clients/typescript/test/server/testbed.js";
import { Artist } from "./artist.js";

/** How a user's browser is. */
export interface Device {
  /** A telephone: small, and touched. */
  readonly isPhone?: boolean;
}

export class World {
  readonly #artists: Artist[] = [];
  readonly #proxies: FaultyProxy[] = [];

  private constructor(
    readonly testbed: Testbed,
    readonly browser: Browser,
  ) {}

  /** With flags of `revcast serve` beside those of all scenarios. With `--jwt-secret` there are no guests. */
  static async open(more: readonly string[] = []): Promise<World> {
    // Nobody waits for readers to leave; and a test writes as fast as it can.
    const limits = ["write-ops", "write-requests", "drawing-bytes", "drawing-units"];
    const unlimited = limits.flatMap((limit) => [`--${limit}-per-second`, "0"]);
    const flags = ["--drain-window", "0s", ...unlimited, ...more];
    const [testbed, browser] = await Promise.all([startTestbed({ flags }), launch()]);
    return new World(testbed, browser);
  }

  /** A user with a browser profile and a network of their own, on the first page of the whiteboard. */
  async artist(name: string, device: Device = {}): Promise<Artist> {
    const proxy = await startProxy(this.testbed.url);
    this.#proxies.push(proxy);
    const artist = await Artist.enter(this, name, proxy, device);
    this.#artists.push(artist);
    return artist;
  }

  /** Ends the users' browsers. What went wrong in their pages fails the test that calls it. */
  async leave(): Promise<void> {
    const artists = this.#artists.splice(0);
    await Promise.all(artists.map((artist) => artist.context.close()));
    await Promise.all(this.#proxies.splice(0).map((proxy) => proxy.close()));
    const mishaps = artists.flatMap(({ name, mishaps }) => mishaps.map((mishap) => `${name}: ${mishap}`));
    if (mishaps.length > 0) throw new Error(`in the pages:\n${mishaps.join("\n")}`);
  }

  async close(): Promise<void> {
    await this.browser.close();
    await this.testbed.close();
  }
}

function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
