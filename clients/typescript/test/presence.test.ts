// Presence: throttled, the last value wins, and a user's connections are one user.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { JsonObject, Roster } from "../src/index.js";
import { PRESENCE_INTERVAL, PRESENCE_RETRY } from "../src/limits.js";
import { Presence } from "../src/presence.js";

let sent: (JsonObject | null)[];
let isTaken: boolean;
let presence: Presence;
beforeEach(() => {
  vi.useFakeTimers();
  sent = [];
  isTaken = true;
  presence = new Presence((state) => {
    if (isTaken) sent.push(state);
    return isTaken;
  });
});
afterEach(() => {
  presence.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const user = (user_id: string, state: JsonObject = {}, name: string | null = null) => ({
  user_id,
  name,
  state,
});
const roster: Roster = { c1: user("me"), c2: user("bob", {}, "Bob"), c3: user("me"), c4: user("bob") };

describe("what is shown", () => {
  test("goes at once, and then the last value of each interval", () => {
    presence.set({ n: 0 });
    expect(sent).toEqual([{ n: 0 }]);
    for (let n = 1; n <= 100; n += 1) {
      presence.set({ n });
      vi.advanceTimersByTime(PRESENCE_INTERVAL / 10);
    }
    vi.runAllTimers();
    expect(sent.length).toBeLessThanOrEqual(12);
    expect(sent.at(-1)).toEqual({ n: 100 });
  });

  test("is dropped while the socket is behind, but for the last value", () => {
    isTaken = false;
    for (let n = 0; n < 10; n += 1) presence.set({ n });
    vi.advanceTimersByTime(10 * PRESENCE_RETRY);
    isTaken = true;
    vi.advanceTimersByTime(PRESENCE_RETRY);
    expect(sent).toEqual([{ n: 9 }]);
  });

  test("is final with the drawing: nothing is sent or tried any more", () => {
    const sent = vi.fn(() => false);
    const closed = new Presence(sent);
    closed.close();
    closed.set({ x: 1 });
    closed.update({ x: 2 });
    expect(sent).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("can be changed in part, and taken back", () => {
    presence.set({ a: 1, b: 1 });
    presence.update({ b: 2 });
    vi.runAllTimers();
    presence.set(null);
    vi.runAllTimers();
    expect(sent).toEqual([{ a: 1, b: 1 }, { a: 1, b: 2 }, null]);
  });
});

describe("who is here", () => {
  beforeEach(() => {
    presence.identify("me");
    presence.connected("c1");
    presence.roster(roster);
  });

  test("all connections but this one; another tab of mine is mine", () => {
    expect(presence.others.map((other) => [other.connection_id, other.isSelf])).toEqual([
      ["c2", false],
      ["c3", true],
      ["c4", false],
    ]);
    expect(presence.others).toBe(presence.others);
  });

  test("several connections of a user are one user", () => {
    expect(presence.users.map((u) => [u.user_id, u.name, u.isSelf, u.connections.length])).toEqual([
      ["bob", "Bob", false, 2],
      ["me", null, true, 2],
    ]);
  });

  test("follows what is told", () => {
    const changed = vi.fn();
    const off = presence.onChange(changed);
    presence.diff({ c5: user("eve") }, ["c2", "c4"]);
    expect(presence.users.map((u) => u.user_id)).toEqual(["eve", "me"]);
    expect(changed).toHaveBeenCalledTimes(1);
    off();
    presence.roster({});
    expect(changed).toHaveBeenCalledTimes(1);
    expect(presence.users).toEqual([]);
  });
});

describe("to follow somebody", () => {
  const at = (x: number) => ({ viewport: { x, y: 0, width: 1, height: 1 } });
  test("tells the state of the connection that moved last", () => {
    presence.roster({ c2: user("bob", at(1)), c3: user("bob"), c4: user("eve", at(9)) });
    const seen: unknown[] = [];
    presence.follow("bob");
    presence.onFollow((state) => seen.push(state));
    presence.diff({ c3: user("bob", at(2)) }, []);
    presence.diff({ c4: user("eve", at(8)) }, []);
    presence.diff({ c2: user("bob", at(3)) }, []);
    expect(seen).toEqual([at(1), at(2), at(3)]);
    presence.follow(null);
    presence.diff({ c2: user("bob", at(4)) }, []);
    expect(seen).toHaveLength(3);
  });

  test("ends when they have gone", () => {
    presence.roster({ c2: user("bob", at(1)) });
    presence.follow("bob");
    presence.diff({}, ["c2"]);
    expect(presence.following).toBeNull();
  });
});
