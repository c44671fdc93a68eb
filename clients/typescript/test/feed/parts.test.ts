// The parts of a feed that need no server.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Ladder } from "../../src/feed/ladder.js";
import { Place } from "../../src/feed/place.js";
import { expiryOf } from "../../src/feed/renewal.js";
import { HELD_OPS } from "../../src/limits.js";
import { Timer, Watch } from "../../src/timer.js";
import { op, range } from "../support/feed_server.js";
import { fakeTime } from "../support/feed_watch.js";

describe("the place", () => {
  const at = (revision: number, epoch = "e1"): Place => {
    const place = new Place();
    place.jump({ epoch, revision });
    return place;
  };
  const taken = (place: Place, revisions: number[], epoch = "e1"): number[] =>
    place
      .take(
        revisions.map((revision) => op(revision)),
        epoch,
      )
      .map(({ revision }) => revision);

  test("what is held is bounded, and what did not fit stays known to be missing", () => {
    const place = at(0);
    place.take(range(2, HELD_OPS + 100), "e1");
    expect(place.known).toBe(HELD_OPS + 100);
    expect(taken(place, [1]).at(-1)).toBe(HELD_OPS + 1);
    expect(place.isBehind).toBe(true);
  });

  test("what was held and came otherwise takes no room", () => {
    const place = at(0);
    place.take(range(2, HELD_OPS + 1), "e1");
    place.jump({ epoch: "e1", revision: HELD_OPS + 5 });
    taken(place, []);
    place.take(range(HELD_OPS + 7, 2 * HELD_OPS + 6), "e1");
    expect(taken(place, [HELD_OPS + 6]).at(-1)).toBe(2 * HELD_OPS + 6);
  });

  test("does not jump back, but to another epoch or after an invalidation", () => {
    const place = at(9);
    expect(place.jump({ epoch: "e1", revision: 8 })).toBe(false);
    expect(place.jump({ epoch: "e1", revision: 9 })).toBe(false);
    expect(place.position).toEqual({ epoch: "e1", revision: 9 });
    expect(place.jump({ epoch: "e2", revision: 1 })).toBe(true);
    place.invalidate();
    expect(place.jump({ epoch: "e2", revision: 0 })).toBe(true);
  });

  test("goes on in the next epoch with what the two logs have in common", () => {
    const place = at(5);
    place.take([op(7), op(9)], "e1");
    const { generation } = place;
    expect(place.meet({ epoch: "e2", previous_epoch: "e1", base: 7 })).toBe("adopted");
    expect(place.position).toEqual({ epoch: "e2", revision: 5 });
    // What was asked for before is no answer any more: it may be beyond the base.
    expect(place.generation).toBe(generation + 1);
    expect(place.known).toBe(7);
    // The held 9 was of the other log. What is late of that one is taken up to the base.
    expect(taken(place, [6, 8], "e1")).toEqual([6, 7]);
    expect(taken(place, [8], "e1")).toEqual([]);
    expect(taken(place, [8, 9], "e2")).toEqual([8, 9]);
  });

  test("level with the base it goes on, ahead of it it is lost", () => {
    const log = { epoch: "e2", previous_epoch: "e1", base: 7 };
    expect(at(7).meet(log)).toBe("adopted");
    const ahead = at(8);
    expect(ahead.meet(log)).toBe("lost");
    expect(ahead.valid).toBeUndefined();
  });

  test("an epoch without a word about it, or of two before, is foreign and changes nothing", () => {
    const place = at(5);
    for (const log of [
      { epoch: "e2" },
      { epoch: "e2", previous_epoch: null, base: null },
      { epoch: "e3", previous_epoch: "e2", base: 7 },
    ]) {
      expect(place.meet(log)).toBe("foreign");
    }
    expect(place.meet({ epoch: "e1" })).toBe("same");
    expect(place.valid).toEqual({ epoch: "e1", revision: 5 });
  });

  test("takes nothing while it is not valid, nor of another epoch", () => {
    const place = at(1);
    expect(taken(place, [2], "e2")).toEqual([]);
    place.invalidate();
    expect(taken(place, [2])).toEqual([]);
    expect(place.valid).toBeUndefined();
  });

  test("nothing held survives an invalidation or a change of the epoch", () => {
    const place = at(1);
    taken(place, [3]);
    place.invalidate();
    place.jump({ epoch: "e1", revision: 2 });
    expect(taken(place, [])).toEqual([]);
    taken(place, [4]);
    place.jump({ epoch: "e2", revision: 3 });
    expect(taken(place, [], "e2")).toEqual([]);
    expect(place.isBehind).toBe(false);
  });
});

describe("the ladder", () => {
  test("two misses in a row lead down; one that followed in between does not count", () => {
    const ladder = new Ladder(true);
    ladder.miss();
    ladder.hold();
    expect(ladder.miss()).toBe(false);
    expect(ladder.rung).toBe("socket");
    expect(ladder.miss()).toBe(true);
    expect(ladder.rung).toBe("events");
  });

  test("without sockets it stays where it is, or begins with the stream", () => {
    const ladder = new Ladder(true);
    ladder.forbidSocket();
    expect(ladder.rung).toBe("events");
    const lower = new Ladder(true);
    for (let n = 0; n < 4; n++) lower.miss();
    lower.forbidSocket();
    expect(lower.rung).toBe("poll");
    lower.climb();
    expect(lower.rung).toBe("events");
  });
});

describe("timers", () => {
  beforeEach(fakeTime);
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  test("a time too long for setTimeout does not end at once", () => {
    const act = vi.fn();
    const timer = new Timer();
    timer.start(2 ** 40, act);
    vi.advanceTimersByTime(1_000_000);
    expect(act).not.toHaveBeenCalled();
    timer.stop();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("after a freeze, silence is only what lasts on", () => {
    let frozen = 0;
    const now = performance.now.bind(performance);
    vi.spyOn(performance, "now").mockImplementation(() => now() + frozen);
    const act = vi.fn();
    const watch = new Watch();
    watch.start(6_000, act);
    vi.advanceTimersByTime(3_000);
    frozen = 60_000;
    vi.advanceTimersByTime(3_000);
    expect(act).not.toHaveBeenCalled();
    watch.heard();
    vi.advanceTimersByTime(5_999);
    expect(act).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(act).toHaveBeenCalledOnce();
  });
});

test("only a JWT tells when it ends", () => {
  expect(expiryOf(`a.${btoa('{"exp":12}')}.b`)).toBe(12_000);
  expect(expiryOf(`a.${btoa('{"exp":"12"}')}.b`)).toBeUndefined();
  expect(expiryOf(`a.${btoa("null")}.b`)).toBeUndefined();
  expect(expiryOf("a.%%%.b")).toBeUndefined();
  expect(expiryOf("opaque")).toBeUndefined();
});
