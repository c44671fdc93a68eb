// Agreement among the tabs that share a storage: one of them sends, all of them hear of what changed.
//
// Messages are hints. A lost or repeated one does no harm: ops themselves are read from the storage.

import type { Position } from "../protocol.js";

/** What a tab tells the others. */
export type TabMessage =
  /** There are new ops in the storage. */
  | { readonly type: "added" }
  /** Stored ops were merged, removed, rejected or dismissed. */
  | { readonly type: "changed" }
  /** The server has these: it has answered so, or they were seen in the log. */
  | {
      readonly type: "acknowledged";
      readonly acks: readonly { readonly op_id: string; readonly revision: number }[];
      readonly head: Position;
    }
  /** What is left of a gesture goes on in another undo unit. */
  | { readonly type: "continued" }
  /** How the last attempt to send went. */
  | { readonly type: "attempted"; readonly failed: boolean }
  /** Whoever sends is to try now. */
  | { readonly type: "wake" };

/** What the platform has for it: by default, that of the browser. */
export interface TabsPlatform {
  readonly locks: Pick<LockManager, "request"> | undefined;
  readonly BroadcastChannel: typeof BroadcastChannel | undefined;
}

export interface TabsOptions {
  readonly name: string;
  readonly platform?: TabsPlatform | undefined;
  /** This tab sends from now on, until it closes. */
  lead(): void;
  receive(message: TabMessage): void;
}

/** What the tabs of a scope agree by. */
export function lockName(scope: string): string {
  return `revcast:${scope}`;
}

export class Tabs {
  readonly #options: TabsOptions;
  #channel: BroadcastChannel | undefined;
  readonly #waiting = new AbortController();
  #release: (() => void) | undefined;
  #isLeading = false;
  #isAlone = true;

  constructor(options: TabsOptions) {
    this.#options = options;
  }

  /** Whether this tab is the one that sends. */
  get isLeading(): boolean {
    return this.#isLeading;
  }

  /** Whether no other tab can be sending meanwhile. */
  get isExclusive(): boolean {
    return this.#isLeading && !this.#isAlone;
  }

  /** Joins the others. Without locks or a channel each tab sends for itself, which is safe: ids are the same. */
  join(): void {
    const { name, platform = browser() } = this.#options;
    const { locks, BroadcastChannel: Channel } = platform;
    if (locks === undefined || Channel === undefined) {
      this.#lead();
      return;
    }
    this.#isAlone = false;
    void this.#queueUp(name, locks, Channel);
  }

  async #queueUp(name: string, locks: Pick<LockManager, "request">, Channel: typeof BroadcastChannel) {
    try {
      this.#channel = new Channel(name);
      this.#channel.onmessage = ({ data }) => {
        if (isTabMessage(data)) this.#options.receive(data);
      };
      await locks.request(name, { signal: this.#waiting.signal }, () => this.#hold());
    } catch {
      // Closed while waiting; or they are not allowed here, and then no other tab has any.
      if (this.#waiting.signal.aborted || this.#isLeading) return;
      this.#isAlone = true;
      this.#lead();
    }
  }

  tell(message: TabMessage): void {
    this.#channel?.postMessage(message);
  }

  /** Hears of nothing any more. The lock is still held, and others may still be told. */
  leave(): void {
    if (this.#channel !== undefined) this.#channel.onmessage = null;
    this.#waiting.abort();
  }

  /** Final: the next in line sends. */
  close(): void {
    this.leave();
    this.#channel?.close();
    this.#channel = undefined;
    this.#isLeading = false;
    this.#release?.();
  }

  #hold(): Promise<void> {
    if (this.#waiting.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#release = resolve;
      this.#lead();
    });
  }

  #lead(): void {
    this.#isLeading = true;
    this.#options.lead();
  }
}

/** What the browser has for it. */
export function browser(): TabsPlatform {
  return {
    locks: typeof navigator === "undefined" ? undefined : navigator.locks,
    BroadcastChannel: globalThis.BroadcastChannel,
  };
}

/** Another tab may run another version. */
function isTabMessage(data: unknown): data is TabMessage {
  const { type, acks } = (data ?? {}) as { type?: unknown; acks?: unknown };
  return (
    type === "added" ||
    type === "changed" ||
    type === "continued" ||
    type === "attempted" ||
    type === "wake" ||
    (type === "acknowledged" && Array.isArray(acks))
  );
}
