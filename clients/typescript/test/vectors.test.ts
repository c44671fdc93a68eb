// The rules of the canvas by example, which the reducers of all languages share.

import { describe, expect, test } from "vitest";
import { canonical } from "../src/canvas/canonical.js";
import { Canvas, type Json, type Registers } from "../src/index.js";
import { randomOf } from "./support/random.js";
import { applyAll, replay } from "./support/replay.js";
import { historyJson, loadVectors } from "./support/vectors.js";

/** Fewer would not cover the rules. */
const MIN_VECTORS = 160;
/** Places at which each log is cut. */
const CUTS = 4;

const vectors = loadVectors();

test("the corpus is there", () => {
  expect(vectors.length).toBeGreaterThanOrEqual(MIN_VECTORS);
});

describe.each(vectors)("$name", ({ rule, log, steps }) => {
  test(rule, () => {
    const canvas = new Canvas();
    let applied = 0;
    for (const step of steps) {
      applyAll(canvas, log.slice(applied, step.revision));
      applied = step.revision;
      const place = `at revision ${step.revision}`;
      expect(canvas.revision, place).toBe(step.revision);
      expect(canvas.canonicalView(), place).toBe(canonical(step.view as unknown as Json));
      expect(canonical(canvas.view() as unknown as Json), place).toBe(canvas.canonicalView());
      expect(canvas.stateHash(), place).toBe(step.state_hash);
      expect(historyJson(canvas.history("all")), place).toEqual(step.history.all);
      const actors = Object.keys(step.history.mine);
      const mine = actors.map((actor) => [actor, historyJson(canvas.history({ mine: actor }))]);
      expect(Object.fromEntries(mine), place).toEqual(step.history.mine);
    }
    expect(applied).toBe(log.length);
  });

  test("a snapshot and the ops after it come to what the whole log comes to", () => {
    const whole = replay(log);
    const random = randomOf(log.length);
    const cuts = [0, log.length, ...Array.from({ length: CUTS }, () => random(log.length + 1))];
    for (const cut of cuts) {
      const before = replay(log.slice(0, cut));
      const registers = toJson(before.registers());
      const loaded = Canvas.fromSnapshot({ revision: cut, registers });
      expect(canonicalRegisters(loaded), `loaded at ${cut}`).toBe(canonicalRegisters(before));
      expect(loaded.canonicalView(), `loaded at ${cut}`).toBe(before.canonicalView());
      applyAll(loaded, log.slice(cut));
      expectSame(loaded, whole, `cut at ${cut}`);
    }
  });

  test("ops that come again change nothing, and none is taken in after a gap", () => {
    const random = randomOf(log.length + 1);
    const canvas = new Canvas();
    const refused: string[] = [];
    for (const op of log) {
      const afterGap = log[op.revision];
      if (afterGap !== undefined) refused.push(canvas.apply(afterGap));
      applyAll(canvas, [op]);
      const earlier = log[random(op.revision)];
      if (earlier !== undefined) refused.push(canvas.apply(earlier));
    }
    expect(refused.filter((applied) => applied === "gap")).toHaveLength(log.length - 1);
    expect(refused.filter((applied) => applied === "stale")).toHaveLength(log.length);
    expectSame(canvas, replay(log), "with repetitions");
  });
});

/** As a snapshot that came over the wire. */
function toJson(registers: Registers): Registers {
  return JSON.parse(JSON.stringify(registers)) as Registers;
}

function canonicalRegisters(canvas: Canvas): string {
  return canonical(canvas.registers() as unknown as Json);
}

function expectSame(canvas: Canvas, other: Canvas, place: string): void {
  expect(canvas.revision, place).toBe(other.revision);
  expect(canvas.canonicalView(), place).toBe(other.canonicalView());
  expect(canvas.stateHash(), place).toBe(other.stateHash());
  expect(canonicalRegisters(canvas), place).toBe(canonicalRegisters(other));
  expect(canvas.history("all"), place).toEqual(other.history("all"));
}
