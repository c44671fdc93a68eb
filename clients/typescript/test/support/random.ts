// Random numbers and logs that are the same for the same seed, so that a failure can be repeated.

import type { CommittedOp, DrawingOp, Fold, JsonObject, UndoRedo } from "../../src/index.js";

/** Gives whole numbers below a bound. */
export type Random = (bound: number) => number;

/** The generator "mulberry32". */
export function randomOf(seed: number): Random {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  };
}

export const ACTORS = ["gm", "alice", "bob"] as const;

type Payload<T> = T extends unknown ? Omit<T, "revision" | "actor" | "ts" | "op_id" | "unit"> : never;

/** Ops between two folds of a random log. */
const FOLD_EVERY = 15;

/** A log of `size` ops on few objects, so that they collide, with folds, of which some are not valid. */
export function randomLog(seed: number, size: number, { hasFolds = true } = {}): CommittedOp[] {
  const random = randomOf(seed);
  const pick = <T>(items: readonly T[]): T => items[random(items.length)] as T;
  const log: CommittedOp[] = [];
  const units: string[] = [];
  while (log.length < size) {
    const revision = log.length + 1;
    const op_id = `00000000-0000-7000-8000-a${revision.toString(16).padStart(11, "0")}`;
    const fields = { revision, actor: pick(ACTORS), ts: revision, op_id };
    if (random(FOLD_EVERY) === 0 && hasFolds) {
      const floor = random(4) === 0 ? random(revision + 2) : Math.max(0, revision - 1 - random(30));
      const fold: Fold = { ...fields, actor: "revcast:fold", type: "fold", floor };
      log.push(fold);
      continue;
    }
    const unit = units.length > 0 && random(3) === 0 ? pick(units.slice(-12)) : undefined;
    if (unit !== undefined && random(2) === 0) {
      log.push({ ...fields, unit, type: pick<UndoRedo["type"]>(["undo", "undo", "redo"]) });
      continue;
    }
    const op = { ...fields, ...randomPayload(random, pick) };
    log.push(unit === undefined ? op : { ...op, unit });
    units.push(unit ?? op_id);
  }
  return log;
}

function randomPayload(random: Random, pick: <T>(items: readonly T[]) => T): Payload<DrawingOp> {
  const object_id = pick(["a", "b", "s", "t"]);
  const props = (): JsonObject => ({ [pick(["x", "y", "__proto__"])]: random(3) });
  const z = random(3) === 0 ? { z: pick(["", "a", "b"]) } : {};
  const points = [[random(2), random(2)]] as const;
  switch (random(9)) {
    case 0:
      return { type: "object.create", object_id, kind: pick(["rect", "stroke"]), ...z, props: props() };
    case 1:
      return { type: "stroke.begin", object_id, ...z, tool: pick(["pen", "marker"]), props: props(), points };
    case 2:
    case 3:
      return { type: "stroke.append", object_id, index: 1 + random(3), points };
    case 4:
      return { type: "stroke.end", object_id, count: random(4) };
    case 5:
      return { type: "object.delete", object_ids: [object_id, pick(["a", "b"])] };
    case 6:
      return random(3) === 0 ? { type: "canvas.clear" } : { type: "canvas.set", set: props() };
    case 7:
      return { type: "object.update", object_id, unset: [pick(["x", "y"])], ...z };
    default:
      return { type: "object.update", object_id, set: props(), ...z };
  }
}
