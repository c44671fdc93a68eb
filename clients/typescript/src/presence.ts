// Who is here, and what they show of themselves. Never stored: the last value wins.

import { Emitter } from "./emitter.js";
import type { JsonObject } from "./json.js";
import { PRESENCE_INTERVAL, PRESENCE_RETRY } from "./limits.js";
import type { Present, Roster } from "./protocol.js";

/** One connection that is present. */
export interface Other extends Present {
  readonly connection_id: string;
  /** Whether it is of the same user as this client: another tab or device. */
  readonly isSelf: boolean;
}

/** One user who is present, with however many connections. */
export interface User {
  readonly user_id: string;
  readonly name: string | null;
  readonly isSelf: boolean;
  readonly connections: readonly Other[];
}

/** Sends a state; false when it could not be taken now. */
type Send = (state: JsonObject | null) => boolean;

export class Presence {
  readonly #send: Send;
  /** In the order in which they last changed. */
  #roster = new Map<string, Present>();
  #self: string | undefined;
  #userId: string | undefined;

  #mine: JsonObject | null = null;
  #isUnsent = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  #others: readonly Other[] | undefined;
  #users: readonly User[] | undefined;
  #following: string | null = null;
  #followed: JsonObject | undefined;
  readonly #changed = new Emitter<void>();
  readonly #followedChanged = new Emitter<JsonObject>();

  constructor(send: Send) {
    this.#send = send;
  }

  /** Shows this state, or with `null` nothing any more. It takes the place of the one before. */
  set(state: JsonObject | null): void {
    if (this.#isClosed) return;
    this.#mine = state;
    this.#isUnsent = true;
    // The first goes at once; what follows too soon waits, and only the last of it is sent.
    if (this.#timer === undefined) this.#flush();
  }

  /** Changes these members of the state that is shown. */
  update(part: JsonObject): void {
    this.set({ ...this.#mine, ...part });
  }

  /** The state that is shown of this connection. */
  get mine(): JsonObject | null {
    return this.#mine;
  }

  /** Everybody else's connections, and those of this user elsewhere. The same array until somebody changes. */
  get others(): readonly Other[] {
    this.#others ??= this.#connections().filter((other) => other.connection_id !== this.#self);
    return this.#others;
  }

  /** Everybody by user, oneself included. */
  get users(): readonly User[] {
    this.#users ??= this.#byUser();
    return this.#users;
  }

  /** Whose state `onFollow` tells. */
  get following(): string | null {
    return this.#following;
  }

  /** Follows a user, or with `null` nobody. */
  follow(userId: string | null): void {
    if (userId === this.#following) return;
    this.#following = userId;
    this.#followed = undefined;
    this.#changed.emit();
    this.#tellFollowed();
  }

  /**
   * The state of the user who is followed, at once and whenever it changes: that of the connection that moved last, of
   * those whose state has a `viewport`.
   */
  onFollow(listener: (state: JsonObject) => void): () => void {
    const off = this.#followedChanged.on(listener);
    if (this.#followed !== undefined) listener(this.#followed);
    return off;
  }

  onChange(listener: () => void): () => void {
    return this.#changed.on(listener);
  }

  /** @internal Who this is. */
  identify(userId: string): void {
    this.#userId = userId;
    this.#refresh();
  }

  /** @internal Which connection this is. */
  connected(connectionId: string | undefined): void {
    this.#self = connectionId;
    this.#refresh();
  }

  /** @internal Everybody, in place of those before. */
  roster(roster: Roster): void {
    this.#roster = new Map(Object.entries(roster));
    this.#refresh();
  }

  /** @internal What has changed. */
  diff(set: Roster, gone: readonly string[]): void {
    for (const [id, present] of Object.entries(set)) {
      this.#roster.delete(id);
      this.#roster.set(id, present);
    }
    for (const id of gone) this.#roster.delete(id);
    this.#refresh();
  }

  /** @internal Final. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isUnsent = false;
    this.#changed.clear();
    this.#followedChanged.clear();
  }

  #flush(): void {
    this.#timer = undefined;
    if (!this.#isUnsent) return;
    this.#isUnsent = !this.#send(this.#mine);
    this.#timer = setTimeout(() => this.#flush(), this.#isUnsent ? PRESENCE_RETRY : PRESENCE_INTERVAL);
  }

  #refresh(): void {
    this.#others = undefined;
    this.#users = undefined;
    const isGone = ![...this.#roster.values()].some((present) => present.user_id === this.#following);
    if (this.#following !== null && isGone) {
      this.#following = null;
      this.#followed = undefined;
    }
    this.#changed.emit();
    this.#tellFollowed();
  }

  #tellFollowed(): void {
    if (this.#following === null) return;
    const moved = this.#connections().findLast(
      (other) => other.user_id === this.#following && other.state.viewport,
    );
    if (moved === undefined || moved.state === this.#followed) return;
    this.#followed = moved.state;
    this.#followedChanged.emit(moved.state);
  }

  #connections(): Other[] {
    return [...this.#roster].map(([connection_id, present]) => ({
      ...present,
      connection_id,
      isSelf: present.user_id === this.#userId,
    }));
  }

  #byUser(): User[] {
    const users = new Map<string, Other[]>();
    for (const connection of this.#connections()) {
      const connections = users.get(connection.user_id);
      if (connections === undefined) users.set(connection.user_id, [connection]);
      else connections.push(connection);
    }
    // In an order that does not change with every move of a cursor.
    return [...users]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([user_id, connections]) => ({
        user_id,
        name: connections.find((connection) => connection.name !== null)?.name ?? null,
        isSelf: user_id === this.#userId,
        connections,
      }));
  }
}
