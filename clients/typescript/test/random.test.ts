// Random logs: what is kept from op to op is compared with what is computed from nothing.

import { expect, test } from "vitest";
import { Canvas, type History, type Registers, type Scope, type UnitJson } from "../src/index.js";
import { ACTORS, randomLog } from "./support/random.js";
import { applyAll } from "./support/replay.js";

const SEEDS = Array.from({ length: 12 }, (_, index) => index + 1);
const OPS = 100;

/** Whether toggling a unit can be seen, by its id; found out once. */
type Seen = Map<string, boolean>;

test.each(SEEDS)("what is kept is what is computed anew, seed %i", (seed) => {
  const canvas = new Canvas();
  for (const op of randomLog(seed, OPS)) {
    applyAll(canvas, [op]);
    if (op.actor === "filler") continue;
    const registers = canvas.registers();
    const loaded = Canvas.fromSnapshot({ revision: op.revision, registers });
    expect(canvas.canonicalView()).toBe(loaded.canonicalView());
    const seen: Seen = new Map();
    for (const scope of ["all", ...ACTORS.map((mine) => ({ mine }))] as const) {
      expect(canvas.history(scope)).toEqual(historyByTrying(op.revision, registers, scope, seen));
    }
  }
});

test.each(SEEDS)("a cut anywhere makes no difference, seed %i", (seed) => {
  const log = randomLog(seed, OPS);
  const whole = new Canvas();
  let relayed = new Canvas();
  for (const op of log) {
    applyAll(whole, [op]);
    applyAll(relayed, [op]);
    if (op.revision % 97 === 0) {
      relayed = Canvas.fromSnapshot({ revision: op.revision, registers: relayed.registers() });
      // Much has changed since the last look.
      expect(whole.canonicalView()).toBe(relayed.canonicalView());
    }
  }
  expect(relayed.registers()).toEqual(whole.registers());
  expect(relayed.stateHash()).toBe(whole.stateHash());
});

test.each(SEEDS)("undoing all and redoing all is the identity, seed %i", (seed) => {
  const canvas = new Canvas();
  applyAll(canvas, randomLog(seed, OPS).slice(0, 500));
  const live = Object.entries(canvas.registers().units).filter(([, unit]) => unit.undone?.[1] !== true);
  const before = canvas.canonicalView();
  for (const type of ["undo", "redo"] as const) {
    for (const [unit] of live) {
      const revision = canvas.revision + 1;
      canvas.apply({ revision, actor: "gm", ts: 0, op_id: unit, unit, type });
    }
    if (type === "undo") expect(canvas.view().objects).toEqual([]);
  }
  expect(canvas.revision).toBeLessThan(2048);
  expect(canvas.canonicalView()).toBe(before);
});

/** The rules of undo and redo read out: a unit may be picked if the picture differs with it toggled. */
function historyByTrying(revision: number, registers: Registers, scope: Scope, seen: Seen): History {
  const shows = ([id, unit]: [string, UnitJson]) => {
    const known = seen.get(id);
    if (known !== undefined) return known;
    const trial = Canvas.fromSnapshot({ revision, registers });
    const before = trial.canonicalView();
    const type = isUndone(unit) ? "redo" : "undo";
    trial.apply({ revision: revision + 1, actor: "gm", ts: 0, op_id: id, unit: id, type });
    const differs = trial.canonicalView() !== before;
    seen.set(id, differs);
    return differs;
  };
  const drawing = Object.entries(registers.units).filter(([, unit]) => unit.draws);
  const inScope = drawing.filter(([, unit]) => scope === "all" || unit.actor === scope.mine);
  const undoneAt = (unit: UnitJson) => unit.undone?.[0] ?? 0;
  const hasGoneOn = (unit: UnitJson) =>
    drawing.some(([, other]) => other.actor === unit.actor && other.first > undoneAt(unit));
  const live = inScope.filter(([, unit]) => !isUndone(unit));
  const undone = inScope.filter(([, unit]) => isUndone(unit) && !hasGoneOn(unit));
  live.sort(([, a], [, b]) => b.first - a.first);
  undone.sort(([, a], [, b]) => undoneAt(b) - undoneAt(a));
  return { undoUnit: live.find(shows)?.[0] ?? null, redoUnit: undone.find(shows)?.[0] ?? null };
}

function isUndone(unit: UnitJson): boolean {
  return unit.undone?.[1] === true;
}
