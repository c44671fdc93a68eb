// Random logs: what is kept from op to op is compared with what is computed from nothing.

import { expect, test } from "vitest";
import {
  Canvas,
  type CommittedOp,
  type Fold,
  type History,
  type Scope,
  type UnitJson,
} from "../src/index.js";
import { draw, loaded, type Sent } from "./support/draw.js";
import { ACTORS, type Random, randomLog, randomOf } from "./support/random.js";
import { applyAll } from "./support/replay.js";

const SEEDS = Array.from({ length: 12 }, (_, index) => index + 1);
const MANY_SEEDS = Array.from({ length: 30 }, (_, index) => index + 1);
const OPS = 100;
const MANY_OPS = 250;

test.each(SEEDS)("what is kept is what is computed anew, seed %i", (seed) => {
  const canvas = new Canvas();
  for (const op of randomLog(seed, OPS)) {
    applyAll(canvas, [op]);
    expect(canvas.canonicalView()).toBe(loaded(canvas).canonicalView());
    for (const scope of ["all", ...ACTORS.map((mine) => ({ mine }))] as const) {
      expect(canvas.history(scope)).toEqual(historyByTrying(canvas, scope));
    }
  }
});

test.each(MANY_SEEDS)("a cut anywhere makes no difference, seed %i", (seed) => {
  const whole = new Canvas();
  let relayed = new Canvas();
  for (const op of randomLog(seed, MANY_OPS)) {
    applyAll(whole, [op]);
    applyAll(relayed, [op]);
    if (op.revision % 7 !== 0) continue;
    relayed = loaded(relayed);
    // Much has changed since the last look.
    expect(whole.canonicalView()).toBe(relayed.canonicalView());
    expect(relayed.registers()).toEqual(whole.registers());
    expect(relayed.history("all")).toEqual(whole.history("all"));
  }
  expect(relayed.stateHash()).toBe(whole.stateHash());
});

test.each(MANY_SEEDS)("a fold changes nothing that is seen or that open units can show, seed %i", (seed) => {
  const random = randomOf(seed);
  const canvas = new Canvas();
  for (const op of randomLog(seed, MANY_OPS)) {
    const [before, unfolded] = [canvas.registers().floor, loaded(canvas)];
    applyAll(canvas, [op]);
    if (op.type !== "fold") continue;
    applyAll(unfolded, [{ ...op, type: "custom.nothing", data: null } as CommittedOp]);
    expect(canvas.canonicalView()).toBe(unfolded.canonicalView());
    const { floor } = op as Fold;
    expect(canvas.registers().floor).toBe(before < floor && floor < op.revision ? floor : before);
    toggleAtRandom(loaded(canvas), unfolded, random);
  }
});

/** Undoes and redoes open units of `canvas`, in each of two canvases, and compares what is seen. */
function toggleAtRandom(canvas: Canvas, other: Canvas, random: Random): void {
  const ids = Object.keys(canvas.registers().units);
  for (let nth = 0; nth < 2 * ids.length; nth += 1) {
    const op: Sent = { type: random(2) === 0 ? "undo" : "redo", unit: ids[random(ids.length)] };
    draw(canvas, op);
    draw(other, op);
    expect(canvas.canonicalView()).toBe(other.canonicalView());
  }
}

test.each(SEEDS)("undoing all and redoing all is the identity, seed %i", (seed) => {
  const canvas = new Canvas();
  applyAll(canvas, randomLog(seed, MANY_OPS, { hasFolds: false }));
  const live = Object.entries(canvas.registers().units).filter(([, unit]) => !isUndone(unit));
  const before = canvas.canonicalView();
  for (const type of ["undo", "redo"] as const) {
    for (const [unit] of live) draw(canvas, { type, unit });
    if (type === "undo") expect(canvas.view().objects).toEqual([]);
  }
  expect(canvas.canonicalView()).toBe(before);
});

/** The rules of undo and redo read out: a unit may be picked if the picture differs with it toggled. */
function historyByTrying(canvas: Canvas, scope: Scope): History {
  const registers = canvas.registers();
  const drawing = Object.entries(registers.units).filter(([, unit]) => unit.draws);
  const inScope = drawing.filter(([, unit]) => scope === "all" || unit.actor === scope.mine);
  const without = loaded(canvas);
  for (const [unit] of inScope) draw(without, { type: "undo", unit });

  const shows = ([id, unit]: [string, UnitJson]) =>
    differs(canvas, id, isUndone(unit) ? "redo" : "undo") || differs(without, id, "redo");
  const undoneAt = (unit: UnitJson) => unit.undone?.[0] ?? 0;
  const hasGoneOn = (unit: UnitJson) =>
    drawing.some(([, other]) => other.actor === unit.actor && other.first > undoneAt(unit));
  const live = inScope.filter(([, unit]) => !isUndone(unit));
  const undone = inScope.filter(([, unit]) => isUndone(unit) && !hasGoneOn(unit));
  live.sort(([, a], [, b]) => b.first - a.first);
  undone.sort(([, a], [, b]) => undoneAt(b) - undoneAt(a));
  return { undoUnit: live.find(shows)?.[0] ?? null, redoUnit: undone.find(shows)?.[0] ?? null };
}

/** Whether a picture differs with one unit toggled. */
function differs(canvas: Canvas, unit: string, type: "undo" | "redo"): boolean {
  const trial = loaded(canvas);
  draw(trial, { type, unit });
  return trial.canonicalView() !== canvas.canonicalView();
}

function isUndone(unit: UnitJson): boolean {
  return unit.undone?.[1] === true;
}
