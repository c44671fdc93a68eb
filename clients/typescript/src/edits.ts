// The edits of a drawing, in terms of single ops.

import { v7 as uuid } from "uuid";
import { newIds } from "./ids.js";
import type { JsonObject } from "./json.js";
import { MAX_DELETED, MAX_FRESH_UNITS } from "./limits.js";
import type { NewOp, PendingOp, Point } from "./ops.js";
import { partsOf, Stroke } from "./stroke.js";

export interface NewObject {
  readonly kind: string;
  readonly props?: JsonObject;
  readonly z?: string;
  readonly object_id?: string;
  readonly unit?: string;
}

export interface ObjectChange {
  readonly set?: JsonObject;
  readonly unset?: readonly string[];
  readonly z?: string;
}

export interface NewStroke {
  readonly tool: string;
  readonly props?: JsonObject;
  readonly points?: readonly Point[];
  readonly z?: string;
  readonly object_id?: string;
}

/** What can be done to a drawing that can take in an op. */
export abstract class Edits {
  /** Units that no op has begun yet. */
  readonly #fresh = new Set<string>();

  /** Makes ops, all of them or none where this client refuses it, and returns their ids. */
  abstract editAll(ops: readonly NewOp[]): readonly string[];

  /** Makes an op and returns its id. */
  edit(op: NewOp): string {
    return this.editAll([op])[0] ?? "";
  }

  /** Whether the user may make an op of that type now. */
  protected abstract isAllowed(type: string): boolean;

  /** Adds points to the newest append of a stroke, if that may still change. */
  protected abstract extend(objectId: string, points: readonly Point[]): boolean;

  /** A unit for a gesture of several ops, which are undone as one. */
  newUnit(): string {
    const unit = uuid();
    for (const oldest of this.#fresh) {
      if (this.#fresh.size < MAX_FRESH_UNITS) break;
      this.#fresh.delete(oldest);
    }
    this.#fresh.add(unit);
    return unit;
  }

  /** Returns the object's id. */
  createObject({ kind, props = {}, object_id = uuid(), ...rest }: NewObject): string {
    this.edit({ type: "object.create", object_id, kind, props, ...rest });
    return object_id;
  }

  updateObject(object_id: string, change: ObjectChange, unit?: string): string {
    return this.edit(updateOf(object_id, change, unit));
  }

  /**
   * Changes many objects at once, in one unit: all of them, or none where this client refuses it. They go out in requests of
   * at most 500 ops, each whole. Costs far less than as many calls of `updateObject`. Returns the ids of the ops.
   */
  updateObjects(
    changes: readonly (ObjectChange & { readonly object_id: string })[],
    unit?: string,
  ): readonly string[] {
    if (changes.length === 0) return [];
    const whole = unit ?? this.newUnit();
    return this.editAll(changes.map(({ object_id, ...change }) => updateOf(object_id, change, whole)));
  }

  /** More than `MAX_DELETED` become several ops of one unit. Returns the id of the first op. */
  deleteObjects(object_ids: readonly string[], unit?: string): string {
    if (object_ids.length > MAX_DELETED) {
      const whole = unit ?? this.newUnit();
      const first = this.deleteObjects(object_ids.slice(0, MAX_DELETED), whole);
      this.deleteObjects(object_ids.slice(MAX_DELETED), whole);
      return first;
    }
    return this.edit({ type: "object.delete", object_ids, ...(unit === undefined ? {} : { unit }) });
  }

  beginStroke({ tool, props = {}, points = [], object_id = uuid(), ...rest }: NewStroke): Stroke {
    const unit = this.newUnit();
    const [first = [], ...further] = partsOf(points);
    this.edit({
      type: "stroke.begin",
      object_id,
      tool,
      props,
      points: first,
      unit,
      ...rest,
    });
    const sink = {
      // Nobody draws on once the role or the drawing is gone; what was drawn is ended by whoever still may.
      edit: (op: NewOp) => (this.isAllowed(op.type) ? this.edit(op) : ""),
      extend: (id: string, more: readonly Point[]) =>
        this.isAllowed("stroke.append") && this.extend(id, more),
    };
    const stroke = new Stroke(sink, object_id, unit);
    for (const part of further) stroke.append(part);
    return stroke;
  }

  setCanvas(set: JsonObject): string {
    return this.edit({ type: "canvas.set", set });
  }

  clear(): string {
    return this.edit({ type: "canvas.clear" });
  }

  /** The ops with ids. The first op of a unit that `newUnit` gave has the id of the unit. */
  protected name(ops: readonly NewOp[]): PendingOp[] {
    const ids = newIds(ops.length);
    return ops.map((op, nth) => {
      const begins = op.unit !== undefined && this.#fresh.delete(op.unit);
      const op_id = op.op_id ?? (begins ? op.unit : ids[nth]);
      return { ...op, op_id } as PendingOp;
    });
  }

  /** The named ops could not be made: others may begin their units. */
  protected unname(named: readonly PendingOp[]): void {
    for (const { op_id, unit } of named) if (unit === op_id) this.#fresh.add(unit);
  }
}

function updateOf(object_id: string, change: ObjectChange, unit: string | undefined): NewOp {
  return { type: "object.update", object_id, ...change, ...(unit === undefined ? {} : { unit }) };
}
