// How an op changes the state. What it may have changed of the picture is told to whoever keeps one.

import type { JsonObject } from "../json.js";
import type { CommittedOp, DrawingOp, ObjectCreate, StrokeBegin } from "../ops.js";
import { chainOf, type Write } from "./chain.js";
import type { ObjectRegisters, Props } from "./object.js";
import { isDrawing, isToggle, unitOf } from "./read.js";
import { STROKE } from "./render.js";
import type { State } from "./state.js";
import type { Unit } from "./units.js";

/** Told what may look otherwise. */
export interface Touched {
  /** An object may look otherwise now, or be there no more. */
  touch(objectId: string): void;
  /** A property of the canvas may have another value now. */
  touchSettings(): void;
  /** The clear may be another one now. */
  touchClear(): void;
}

/** Takes in an op that is newer than all others. One that it cannot read only joins its unit. */
export function write(state: State, op: CommittedOp, touched: Touched): void {
  if (isToggle(op)) {
    toggle(state, unitOf(op), op.revision, op.type === "undo", touched);
    return;
  }
  const unit = state.units.join(unitOf(op), op.revision, op.actor);
  if (!isDrawing(op)) return;
  unit.draws = true;
  new Writer(state, unit, op, touched).write(op);
}

function toggle(state: State, id: string, revision: number, isUndo: boolean, touched: Touched): void {
  const unit = state.units.toggle(id, revision, isUndo);
  if (unit === undefined) return;
  for (const objectId of unit.objects) touched.touch(objectId);
  if (unit.settings.size > 0) touched.touchSettings();
  if (state.clear.writes.some((write) => write.unit === unit.first)) touched.touchClear();
}

/** Writes one op of a unit. */
class Writer {
  constructor(
    readonly state: State,
    readonly unit: Unit,
    readonly op: CommittedOp,
    readonly touched: Touched,
  ) {}

  write(op: DrawingOp): void {
    switch (op.type) {
      case "object.create":
        this.#create(op, op.kind);
        break;
      case "stroke.begin": {
        const object = this.#create(op, STROKE);
        object.tool.write(this.#at(op.tool));
        chainOf(object.points, 0).write(this.#at(op.points));
        break;
      }
      case "stroke.append":
        chainOf(this.#object(op.object_id).points, op.index).write(this.#at(op.points));
        break;
      case "stroke.end":
        chainOf(this.#object(op.object_id).ends, op.count).write(this.#at(undefined));
        break;
      case "object.update": {
        const { z, set = {}, unset = [] } = op;
        // It may write nothing, and of what nobody has written to nothing is known.
        if (z === undefined && unset.length === 0 && Object.keys(set).length === 0) break;
        const object = this.#object(op.object_id);
        if (z !== undefined) object.z.write(this.#at(z));
        this.#props(object.props, set);
        for (const key of unset) chainOf(object.props, key).write(this.#at(undefined));
        break;
      }
      case "object.delete":
        for (const id of op.object_ids) this.#object(id).exists.write(this.#at("delete"));
        break;
      case "canvas.set":
        this.#props(this.state.settings, op.set);
        for (const key of Object.keys(op.set)) this.unit.settings.add(key);
        this.touched.touchSettings();
        break;
      case "canvas.clear":
        this.state.clear.write(this.#at(undefined));
        this.touched.touchClear();
        break;
    }
  }

  /** Writes what all ops write that create an object. */
  #create(op: ObjectCreate | StrokeBegin, kind: string): ObjectRegisters {
    const object = this.#object(op.object_id);
    object.exists.write(this.#at("create"));
    object.kind.write(this.#at(kind));
    if (op.z !== undefined) object.z.write(this.#at(op.z));
    this.#props(object.props, op.props);
    return object;
  }

  /** The object of that id, to be written to. */
  #object(id: string): ObjectRegisters {
    this.unit.objects.add(id);
    this.touched.touch(id);
    return this.state.objects.toWrite(id);
  }

  #props(props: Props, set: JsonObject): void {
    for (const [key, value] of Object.entries(set)) chainOf(props, key).write(this.#at(value));
  }

  #at<T>(value: T): Write<T> {
    return { revision: this.op.revision, unit: this.unit.first, value };
  }
}
