// Canvases that are kept on the device.

import "fake-indexeddb/auto";
import { openDB } from "idb";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type CachedCanvas, IndexedDbCache } from "../src/cache/cache.js";
import { Keeper } from "../src/cache/keeper.js";
import { NO_REGISTERS } from "../src/canvas/registers.js";
import { CACHE_LATEST, CACHE_QUIET, MAX_CACHED_CANVASES } from "../src/limits.js";

const canvas = (revision: number): CachedCanvas => ({
  epoch: "e1",
  revision,
  registers: NO_REGISTERS,
});

describe("the database", () => {
  let count = 0;
  const cache = () => new IndexedDbCache(`test-${count}`);
  beforeEach(() => {
    count += 1;
  });

  test("gives back what was kept last, by scope", async () => {
    await cache().save("a", canvas(1));
    await cache().save("a", canvas(2));
    await cache().save("b", canvas(3));
    expect(await cache().load("a")).toEqual(canvas(2));
    expect(await cache().load("b")).toEqual(canvas(3));
    await cache().remove("a");
    expect(await cache().load("a")).toBeUndefined();
  });

  test("gives back what an earlier version has kept, whose registers were no JSON", async () => {
    await cache().save("a", canvas(1));
    const database = await openDB(`test-${count}`);
    const kept = await database.get("canvases", "a");
    expect(typeof kept.canvas.registers).toBe("string");
    await database.put("canvases", { ...kept, canvas: canvas(2) });
    database.close();
    expect(await cache().load("a")).toEqual(canvas(2));
  });

  test("keeps the canvases that were saved last", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const one = cache();
    for (let index = 0; index <= MAX_CACHED_CANVASES; index += 1) {
      vi.setSystemTime(1_000 + index);
      await one.save(`d${index}`, canvas(index));
    }
    vi.useRealTimers();
    expect(await one.load("d0")).toBeUndefined();
    expect(await one.load("d1")).toEqual(canvas(1));
    expect(await one.load(`d${MAX_CACHED_CANVASES}`)).toEqual(canvas(MAX_CACHED_CANVASES));
  });
});

test("what is kept under a prefix is erased, and nothing else", async () => {
  const cache = new IndexedDbCache("test-erase");
  for (const scope of ["a", "ab", "abc", "b"]) await cache.save(scope, canvas(1));
  await cache.erase("ab");
  const left = await Promise.all(["a", "ab", "abc", "b"].map((scope) => cache.load(scope)));
  expect(left.map((kept) => kept !== undefined)).toEqual([true, false, false, true]);
});

/** A reading in one step. */
function atOnce(read: () => CachedCanvas | undefined) {
  return () => ({ next: () => ({ done: true as const, value: read() }) });
}

describe("the keeper", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const fake = (kept?: CachedCanvas) => ({
    load: vi.fn(async () => kept),
    save: vi.fn(async () => {}),
    remove: vi.fn(async () => {}),
    erase: vi.fn(async () => {}),
  });

  test("saves once it has been quiet, and not what is kept already", async () => {
    const cache = fake();
    let now = canvas(1);
    const keeper = new Keeper(
      cache,
      "a",
      atOnce(() => now),
    );
    for (let step = 0; step < 5; step += 1) {
      keeper.changed();
      vi.advanceTimersByTime(CACHE_QUIET - 1);
    }
    expect(cache.save).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(cache.save).toHaveBeenCalledExactlyOnceWith("a", canvas(1));
    keeper.save();
    expect(cache.save).toHaveBeenCalledTimes(1);
    now = canvas(2);
    keeper.save();
    expect(cache.save).toHaveBeenLastCalledWith("a", canvas(2));
    expect(vi.getTimerCount()).toBe(0);
  });

  test("saves now and then while it is never quiet", () => {
    const cache = fake();
    let revision = 0;
    const keeper = new Keeper(
      cache,
      "a",
      atOnce(() => canvas(revision)),
    );
    for (let time = 0; time < 2 * CACHE_LATEST; time += 100) {
      revision += 1;
      keeper.changed();
      vi.advanceTimersByTime(100);
    }
    expect(cache.save).toHaveBeenCalledTimes(2);
    keeper.forget();
  });

  test("saves nothing while there is nothing whole, and tries again after a failure", async () => {
    const cache = fake();
    let now: CachedCanvas | undefined;
    const keeper = new Keeper(
      cache,
      "a",
      atOnce(() => now),
    );
    keeper.save();
    expect(cache.save).not.toHaveBeenCalled();
    now = canvas(1);
    cache.save.mockRejectedValueOnce(new Error("full"));
    keeper.save();
    await vi.advanceTimersByTimeAsync(0);
    keeper.save();
    expect(cache.save).toHaveBeenCalledTimes(2);
  });

  test("reads step by step, and anew when the canvas changes in between", () => {
    const cache = fake();
    let [revision, steps] = [1, 0];
    const keeper = new Keeper(cache, "a", function* () {
      const read = canvas(revision);
      for (let step = 0; step < 3; step += 1) {
        steps += 1;
        yield;
      }
      return read;
    });
    keeper.changed();
    vi.advanceTimersByTime(CACHE_QUIET);
    expect(steps).toBe(1);
    vi.advanceTimersToNextTimer();
    expect(steps).toBe(2);
    revision = 2;
    keeper.changed();
    vi.advanceTimersByTime(CACHE_QUIET - 1);
    expect(steps).toBe(2);
    expect(cache.save).not.toHaveBeenCalled();
    vi.runAllTimers();
    expect(steps).toBe(5);
    expect(cache.save).toHaveBeenCalledExactlyOnceWith("a", canvas(2));
    keeper.changed();
    vi.advanceTimersByTime(CACHE_QUIET);
    revision = 3;
    // The page is left: there is no time for steps.
    keeper.save();
    expect(cache.save).toHaveBeenLastCalledWith("a", canvas(3));
    expect(vi.getTimerCount()).toBe(0);
  });

  test("takes a cache that fails for an empty one", async () => {
    const cache = fake();
    cache.load.mockRejectedValueOnce(new Error("no access"));
    expect(
      await new Keeper(
        cache,
        "a",
        atOnce(() => undefined),
      ).load(),
    ).toBeUndefined();
  });

  test("forgets, and saves no more by itself", () => {
    const cache = fake();
    const keeper = new Keeper(
      cache,
      "a",
      atOnce(() => canvas(1)),
    );
    keeper.changed();
    keeper.forget();
    vi.runAllTimers();
    expect(cache.remove).toHaveBeenCalledExactlyOnceWith("a");
    expect(cache.save).not.toHaveBeenCalled();
  });
});
