// The shared corpus: logs, and what every reducer must make of them.

import { readdirSync, readFileSync } from "node:fs";
import type { CommittedOp, History, View } from "../../src/index.js";

interface HistoryJson {
  readonly can_undo: boolean;
  readonly can_redo: boolean;
  readonly undo_unit: string | null;
  readonly redo_unit: string | null;
}

interface Step {
  readonly revision: number;
  readonly view: View;
  readonly state_hash: string;
  readonly history: { readonly all: HistoryJson; readonly mine: Readonly<Record<string, HistoryJson>> };
}

interface WrittenVector {
  readonly name: string;
  /** What it pins. */
  readonly rule: string;
  readonly log: readonly (CommittedOp | { readonly fill_to: number })[];
  /** What is seen after each entry of the log. */
  readonly steps: readonly Step[];
}

export interface Vector {
  readonly name: string;
  readonly rule: string;
  /** The whole log, fillers included. */
  readonly log: readonly CommittedOp[];
  readonly steps: readonly Step[];
}

const DIRECTORY = new URL("../../../../tests/vectors/", import.meta.url);

/** The vectors of all files. */
export function loadVectors(): Vector[] {
  const names = readdirSync(DIRECTORY).filter((name) => name.endsWith(".json"));
  return names.sort().flatMap((name) => {
    const file = JSON.parse(readFileSync(new URL(name, DIRECTORY), "utf8")) as WrittenVector[];
    return file.map((vector) => ({ ...vector, log: expand(vector) }));
  });
}

/** A history as the vectors spell it. */
export function historyJson({ undoUnit, redoUnit }: History): HistoryJson {
  return {
    can_undo: undoUnit !== null,
    can_redo: redoUnit !== null,
    undo_unit: undoUnit,
    redo_unit: redoUnit,
  };
}

/** The op that stands for nothing in particular at a revision. */
export function filler(revision: number): CommittedOp {
  return {
    revision,
    actor: "filler",
    ts: 1_700_000_000_000,
    op_id: `00000000-0000-7000-8000-${revision.toString(16).padStart(12, "0")}`,
    type: "custom.fill",
    data: null,
  };
}

/** Puts fillers where an entry `{"fill_to": R}` stands for them. */
function expand({ log }: WrittenVector): CommittedOp[] {
  const ops: CommittedOp[] = [];
  for (const entry of log) {
    if ("fill_to" in entry) {
      while (ops.length < Number(entry.fill_to)) ops.push(filler(ops.length + 1));
    } else {
      ops.push(entry);
    }
  }
  return ops;
}
