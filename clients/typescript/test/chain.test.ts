// A register to which very many open units have written: what is right, and what it costs.

import { describe, expect, test } from "vitest";
import { Bits } from "../src/canvas/bits.js";
import { Chain, type Write } from "../src/canvas/chain.js";
import type { Liveness } from "../src/canvas/units.js";
import { type Random, randomOf } from "./support/random.js";

/** Which units are live, and how often that was asked. */
class Living implements Liveness {
  readonly toggled = new Set<number>();
  asked = 0;

  constructor(
    readonly dead = new Set<number>(),
    readonly base?: Living,
  ) {}

  isLive(unit: number): boolean {
    this.asked += 1;
    return !this.dead.has(unit);
  }

  /** On top of the log, of which `chain` cannot know. */
  toggle(unit: number): void {
    this.toggled.add(unit);
    if (!this.dead.delete(unit)) this.dead.add(unit);
  }
}

/** The rules of a register, read out. */
class Naive {
  writes: Write<number>[] = [];

  write(write: Write<number>): void {
    this.writes = [...this.writes.filter((other) => other.unit !== write.unit), write];
  }

  top(living: Living): Write<number> | undefined {
    return this.writes.findLast((write) => !living.dead.has(write.unit));
  }

  fold(floor: number, living: Living): void {
    const base = this.writes.findLast((write) => write.unit <= floor && !living.dead.has(write.unit));
    this.writes = this.writes.filter(
      (write) => write === base || (write.unit > floor && write.revision > (base?.revision ?? 0)),
    );
  }
}

/** Writes of the units above `floor`, few of which are new. */
function writeAtRandom(
  random: Random,
  living: Living,
  chains: readonly (Chain<number> | Naive)[],
  at: At,
): void {
  at.revision += 1;
  const isNew = random(3) > 0 || at.units.length === 0;
  const unit = isNew ? at.revision : (at.units[random(at.units.length)] as number);
  if (isNew) at.units.push(unit);
  for (const chain of chains) chain.write({ revision: at.revision, unit, value: at.revision }, living);
}

interface At {
  revision: number;
  floor: number;
  units: number[];
}

describe("a register", () => {
  const SEEDS = Array.from({ length: 20 }, (_, index) => index + 1);

  test.each(SEEDS)("is what its rules say, short or long, and so is a copy, seed %i", (seed) => {
    const random = randomOf(seed);
    const [chain, naive, living] = [new Chain<number>({ part: "clear" }), new Naive(), new Living()];
    const at: At = { revision: 0, floor: 0, units: [] };
    for (let step = 0; step < 400; step += 1) {
      const unit = at.units[random(at.units.length)];
      if (random(3) > 0 || unit === undefined) {
        writeAtRandom(random, living, [chain, naive], at);
      } else if (random(60) === 0) {
        at.floor = unit;
        naive.fold(at.floor, living);
        chain.fold(at.floor, living);
        at.units = at.units.filter((open) => open > at.floor);
      } else {
        const isLive = living.dead.delete(unit);
        if (!isLive) living.dead.add(unit);
        chain.turn(unit, isLive);
      }
      expect(chain.writes).toEqual(naive.writes);
      expect(chain.top(living)).toEqual(naive.top(living));
      expect(chain.base(at.floor)).toEqual(naive.writes.find((write) => write.unit <= at.floor));
      if (step % 40 === 0) expectSameCopy(random, chain, naive, living, at);
    }
  });

  /** What is written to a copy, and what is toggled for it, changes nothing in the original. */
  function expectSameCopy(random: Random, chain: Chain<number>, naive: Naive, living: Living, at: At): void {
    const [before, size] = [chain.writes, chain.size];
    const [copy, other] = [chain.copy(), new Naive()];
    other.writes = naive.writes;
    const onTop = new Living(new Set(living.dead));
    const atTop: At = { ...at, units: [...at.units], revision: 2 ** 48 };
    for (let step = 0; step < 30; step += 1) {
      const unit = atTop.units[random(atTop.units.length)];
      if (unit !== undefined && random(2) === 0) onTop.toggle(unit);
      else writeAtRandom(random, onTop, [copy, other], atTop);
      expect(copy.top(onTop)).toEqual(other.top(onTop));
      expect(copy.writes).toEqual(other.writes);
      expect(copy.size).toBe(other.writes.length);
      expect(copy.last((open) => open % 2 === 0)).toEqual(
        other.writes.findLast((write) => write.unit % 2 === 0),
      );
    }
    expect(chain.writes).toEqual(before);
    expect(chain.size).toBe(size);
  }
});

describe("what a long one costs", () => {
  /** How often the unit of a write was read, or asked whether it is live, while `act` ran on `size` units. */
  function stepsOf(
    size: number,
    act: (chain: Chain<number>, living: Living, write: (unit: number) => void) => void,
  ) {
    let [steps, revision] = [0, size];
    const living = new Living();
    const counted = (at: number, unit: number): Write<number> => ({
      revision: at,
      value: 0,
      get unit() {
        steps += 1;
        return unit;
      },
    });
    const writes = Array.from({ length: size }, (_, index) => counted(index + 1, index + 1));
    const chain = Chain.of({ part: "clear" }, writes, living);
    [steps, living.asked] = [0, 0];
    act(chain, living, (unit) => {
      revision += 1;
      chain.write(counted(revision, unit), living);
    });
    return steps + living.asked;
  }

  const turn = (chain: Chain<number>, living: Living, unit: number) => {
    const isLive = living.dead.delete(unit);
    if (!isLive) living.dead.add(unit);
    chain.turn(unit, isLive);
    chain.top(living);
  };

  const rows: [string, Parameters<typeof stepsOf>[1]][] = [
    ["a write of a new unit", (_chain, _living, write) => write(1_000_000)],
    [
      "a drag of its first unit",
      (_chain, _living, write) => {
        for (let nth = 0; nth < 20; nth += 1) write(1);
      },
    ],
    [
      "an undo and a redo of the newest unit with all others undone",
      (chain, living) => {
        for (let unit = 1; unit < 4000; unit += 1) living.dead.add(unit);
        for (const write of chain.writes.slice(0, -1)) chain.turn(write.revision, false);
        const newest = chain.writes.at(-1)?.revision ?? 0;
        for (let nth = 0; nth < 10; nth += 1) turn(chain, living, newest);
      },
    ],
    [
      "a copy, and writes to it",
      (chain, living) => {
        for (let unit = 1; unit < 8; unit += 1) {
          const copy = chain.copy();
          copy.write({ revision: 2 ** 48, unit, value: 0 }, living);
          copy.top(living);
        }
      },
    ],
  ];

  test.each(rows)("%s looks at no more writes than with fewer units", (_, act) => {
    expect(stepsOf(4000, act)).toBeLessThanOrEqual(stepsOf(500, act) + 8);
  });

  test("a fold looks at each write a few times", () => {
    const folded = (size: number) => stepsOf(size, (chain, living) => chain.fold(size / 2, living));
    expect(folded(4000)).toBeLessThanOrEqual(9 * folded(500));
    expect(folded(4000)).toBeLessThan(8 * 4000);
  });
});

test("a set of bits knows its largest member below a bound, also beyond its levels", () => {
  const bits = new Bits();
  const members = [0, 31, 32, 1023, 1024, 40_000, 1_048_575, 1_048_576, 3_000_000];
  for (const member of members) bits.set(member, true);
  for (const [index, member] of members.entries()) {
    expect(bits.last(member)).toBe(members[index - 1] ?? -1);
    expect(bits.last(member + 1)).toBe(member);
    expect(bits.has(member)).toBe(true);
    expect(bits.has(member + 1)).toBe(members.includes(member + 1));
  }
  for (const member of members.toReversed()) {
    expect(bits.last(4_000_000)).toBe(member);
    bits.set(member, false);
  }
  expect(bits.last(4_000_000)).toBe(-1);
});
