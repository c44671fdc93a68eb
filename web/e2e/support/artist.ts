// A user at the whiteboard: opens pages, draws with a mouse or a finger, and tells what is to be seen.
//
// Acts through the page as a person would. Who the page says that this is it learns from the page's own requests.

import type { BrowserContext, Locator, Page } from "playwright-core";
import { expect, vi } from "vitest";
import type { CommittedOp, Role } from "../../../clients/typescript/src/index.js";
import type { FaultyProxy } from "../../../clients/typescript/test/server/proxy.js";
import type { Person } from "../../../clients/typescript/test/server/testbed.js";
import { inkOf } from "./ink.js";
import type { Device, World } from "./world.js";

/** A place in the page, in CSS pixels. */
export type Place = readonly [x: number, y: number];

/** For what takes the network and a frame or two. */
const PATIENCE = { timeout: 15_000, interval: 50 };
/** Looks at the canvas at which it has to be the same: several frames are drawn in this time. */
const STEADY_LOOKS = 8;
const DESKTOP = { viewport: { width: 1100, height: 700 } };
const PHONE = { viewport: { width: 390, height: 760 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };

/** Waits until `check` does not fail any more. */
export function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(check, PATIENCE);
}

export class Artist {
  /** Errors of pages, and what their policy forbids. */
  readonly mishaps: string[] = [];
  #person: Person | undefined;
  #page: Page | undefined;

  private constructor(
    readonly world: World,
    readonly name: string,
    readonly proxy: FaultyProxy,
    readonly context: BrowserContext,
  ) {
    context.on("response", async (response) => {
      if (!response.url().endsWith("/v1/dev/tokens") || !response.ok()) return;
      const { token } = (await response.json()) as { token: string };
      this.#person = { token, sub: subOf(token) };
    });
    context.on("weberror", (error) => this.mishaps.push(error.error().stack ?? `${error.error()}`));
    context.on("console", (message) => {
      const text = message.text();
      // A network that fails is a part of some scenarios; Chromium tells the console of it by itself.
      const isNetwork = text.includes("Failed to load resource") || text.includes("WebSocket connection to");
      if (message.type() === "error" && !isNetwork) this.mishaps.push(text);
    });
  }

  static async enter(world: World, name: string, proxy: FaultyProxy, device: Device): Promise<Artist> {
    const context = await world.browser.newContext({
      ...(device.isPhone ? PHONE : DESKTOP),
      baseURL: proxy.url,
      reducedMotion: "reduce",
    });
    context.setDefaultTimeout(PATIENCE.timeout);
    return new Artist(world, name, proxy, context);
  }

  /** The page that was opened last. */
  get page(): Page {
    if (this.#page === undefined) throw new Error(`${this.name} has no page`);
    return this.#page;
  }

  /** Whom the server takes this for. */
  get person(): Person {
    if (this.#person === undefined) throw new Error(`${this.name} has no token`);
    return this.#person;
  }

  /** Whom the scenario asks the server as, where there are no guests. */
  actAs(person: Person): void {
    this.#person = person;
  }

  find(testId: string, page = this.page): Locator {
    return page.getByTestId(testId);
  }

  /** Opens a place of the whiteboard in a new tab. */
  async visit(hash = ""): Promise<Page> {
    this.#page = await this.context.newPage();
    await this.#page.goto(`/${hash}`);
    return this.#page;
  }

  /** Makes a drawing by the button on the first page, and returns its id. */
  async create(): Promise<string> {
    await this.visit();
    await this.find("new-drawing").click();
    await this.page.waitForURL(/#\/d\//);
    await this.seesTheBoard();
    return this.drawingId;
  }

  /** Opens a drawing in a new tab. */
  async open(drawingId: string): Promise<Page> {
    await this.visit(`#/d/${drawingId}`);
    await this.seesTheBoard();
    return this.page;
  }

  /** Follows an invitation of the owner's into the drawing. */
  async join(owner: Artist, drawingId: string, role: Role = "editor"): Promise<void> {
    const path = `/v1/drawings/${drawingId}/links`;
    const { token } = await this.world.testbed.call<{ token: string }>(owner.person, "POST", path, { role });
    await this.visit(`#/join/${token}`);
    await this.page.waitForURL(new RegExp(`#/d/${drawingId}`));
    await this.seesTheBoard();
  }

  get drawingId(): string {
    const id = /#\/d\/([0-9a-f-]{36})/.exec(this.page.url())?.[1];
    if (id === undefined) throw new Error(`${this.page.url()} is no drawing`);
    return id;
  }

  async seesTheBoard(): Promise<void> {
    await this.find("canvas-still").waitFor();
    await this.says("connection-badge", /live/i);
  }

  /** Waits until an element has this text, or one like it. */
  async says(testId: string, text: RegExp, page = this.page): Promise<void> {
    const found = this.find(testId, page);
    await eventually(async () => {
      const [label, content] = await Promise.all([found.getAttribute("aria-label"), found.textContent()]);
      expect(`${label ?? ""} ${content ?? ""}`).toMatch(text);
    });
  }

  /** Waits until the server has everything that was drawn here. */
  async isSaved(page = this.page): Promise<void> {
    await this.says("sync-badge", /saved/i, page);
  }

  /** Draws a line with the mouse. */
  async draw(from: Place, to: Place, page = this.page): Promise<void> {
    await this.press(from, page);
    await this.drag(from, to, page);
    await page.mouse.up();
  }

  /** Puts the pen down. */
  async press([x, y]: Place, page = this.page): Promise<void> {
    await page.mouse.move(x, y);
    await page.mouse.down();
  }

  /** Moves the mouse in steps, each of which is a point of its own. */
  async drag(from: Place, to: Place, page = this.page, steps = 12): Promise<void> {
    for (let step = 1; step <= steps; step += 1) {
      const part = step / steps;
      await page.mouse.move(from[0] + (to[0] - from[0]) * part, from[1] + (to[1] - from[1]) * part);
    }
  }

  /** Draws a line with a finger. */
  async touch(from: Place, to: Place, page = this.page): Promise<void> {
    const session = await this.context.newCDPSession(page);
    const send = (type: "touchStart" | "touchMove" | "touchEnd", place?: Place) =>
      session.send("Input.dispatchTouchEvent", {
        type,
        touchPoints: place === undefined ? [] : [{ x: place[0], y: place[1] }],
      });
    await send("touchStart", from);
    for (let step = 1; step <= 12; step += 1) {
      const part = step / 12;
      await send("touchMove", [from[0] + (to[0] - from[0]) * part, from[1] + (to[1] - from[1]) * part]);
    }
    await send("touchEnd");
    await session.detach();
  }

  /** How many pixels of the canvas are inked. */
  ink(page = this.page): Promise<number> {
    return inkOf(page);
  }

  /** Waits until the ink is about `count` pixels; `slack` is the part by which it may differ. */
  async seesInk(count: number, page = this.page, slack = 0.15): Promise<void> {
    await eventually(async () => {
      const ink = await this.ink(page);
      expect(ink, `ink that ${this.name} sees`).toBeGreaterThanOrEqual(count * (1 - slack));
      expect(ink, `ink that ${this.name} sees`).toBeLessThanOrEqual(count * (1 + slack));
    });
  }

  /**
   * Waits until there is some ink, and no more comes for some time. Returns how much. For what was drawn here: others' ink
   * has no time by which it comes.
   */
  async steadyInk(page = this.page): Promise<number> {
    let [before, times] = [-1, 0];
    return eventually(async () => {
      const ink = await this.ink(page);
      times = ink > 0 && ink === before ? times + 1 : 0;
      before = ink;
      expect(times).toBeGreaterThanOrEqual(STEADY_LOOKS);
      return ink;
    });
  }

  /** The log of the drawing, as this user reads it. */
  log(drawingId = this.drawingId): Promise<CommittedOp[]> {
    return this.world.testbed.log(this.person, drawingId);
  }

  /** Cuts the network: what there is breaks, and nothing new comes about. */
  async cut(): Promise<void> {
    this.proxy.mode("refuse");
    this.proxy.drop();
    await eventually(() => expect(this.proxy.open).toBe(0));
  }

  /** Brings the network back. */
  mend(): void {
    this.proxy.mode("pass");
  }

  /** Waits until the browser has the page itself, and the drawing as it is at a revision, for a time without a network. */
  async hasKept(revision: number): Promise<void> {
    await this.page.evaluate(async () => void (await navigator.serviceWorker.ready));
    const kept = () =>
      this.page.evaluate(async () => {
        const page = await caches.match("/");
        const database = await new Promise<IDBDatabase>((resolve, reject) => {
          const request = indexedDB.open("revcast-canvases");
          request.onsuccess = () => resolve(request.result);
          request.onerror = () => reject(request.error);
        });
        const all = await new Promise<{ canvas: { revision: number } }[]>((resolve, reject) => {
          const request = database.transaction("canvases").objectStore("canvases").getAll();
          request.onsuccess = () => resolve(request.result);
          request.onerror = () => reject(request.error);
        });
        database.close();
        return page === undefined ? 0 : Math.max(0, ...all.map(({ canvas }) => canvas.revision));
      });
    await expect.poll(kept, PATIENCE).toBe(revision);
  }
}

function subOf(token: string): string {
  const payload = token.split(".")[1] ?? "";
  return (JSON.parse(Buffer.from(payload, "base64url").toString()) as { sub: string }).sub;
}
