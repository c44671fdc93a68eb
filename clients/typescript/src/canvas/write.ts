// How an op changes the state. What it may have changed of the picture is told to whoever keeps one.

import type { Json, JsonObject } from "../json.js";
import type { CommittedOp, DrawingOp, ObjectCreate, StrokeBegin, UndoRedo } from "../ops.js";
import type { Chain } from "./chain.js";
import type { ObjectRegisters } from "./object.js";
import { hasNoUnit, hasPayload, isToggle, NO_UNIT, readUnit, unitOf } from "./read.js";
import { STROKE } from "./render.js";
import type { State } from "./state.js";
import type { Unit } from "./units.js";

/** Told what may look otherwise. */
export interface Touched {
  /** An object may look otherwise now, or be there no more. */
  touch(objectId: string): void;
  /** These of its properties may have other values now; all else of how it looks, and its place, are as they were. */
  touchProps(objectId: string, names: readonly string[]): void;
  /** A property of the canvas may have another value now. */
  touchSettings(): void;
  /** The clear may be another one now. */
  touchClear(): void;
}

/** Takes in an op that is newer than all others. One that it cannot read only joins its unit. A fold does nothing here. */
export function write(state: State, op: CommittedOp, touched: Touched): void {
  if (isToggle(op)) {
    toggle(state, op, touched);
    return;
  }
  if (hasNoUnit(op)) return;
  const id = readUnit(op);
  const unit = state.units.join(id ?? NO_UNIT, op);
  if (id === undefined || !hasPayload(op)) return;
  unit.draws = true;
  new Writer(state, unit, op, touched).write(op);
}

function toggle(state: State, op: UndoRedo, touched: Touched): void {
  const unit = state.units.toggle(unitOf(op), op, op.type === "undo");
  for (const { part, object } of unit?.registers ?? []) {
    if (object !== undefined) touched.touch(object.id);
    else if (part === "clear") touched.touchClear();
    else touched.touchSettings();
  }
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
        this.#put(object.once("tool"), op.tool);
        this.#put(object.stretch(0), op.points);
        break;
      }
      case "stroke.append":
        this.#put(this.#object(op.object_id).stretch(op.index), op.points);
        break;
      case "stroke.end":
        this.#put(this.#object(op.object_id).end(op.count), undefined);
        break;
      case "object.update": {
        const { object_id, z, set = {}, unset = [] } = op;
        const names = Object.keys(set);
        // It may write nothing, and of what nobody has written to nothing is known.
        if (z === undefined && unset.length === 0 && names.length === 0) break;
        if (z !== undefined) this.touched.touch(object_id);
        else this.touched.touchProps(object_id, unset.length === 0 ? names : [...names, ...unset]);
        const object = this.state.objects.toWrite(object_id);
        if (z !== undefined) this.#put(object.once("z"), z);
        for (const name of names) this.#put<Json | undefined>(object.prop(name), set[name]);
        for (const name of unset) this.#put<Json | undefined>(object.prop(name), undefined);
        break;
      }
      case "object.delete":
        for (const id of op.object_ids) this.#put(this.#object(id).once("exists"), "delete");
        break;
      case "canvas.set":
        for (const [key, value] of Object.entries(op.set)) this.#put(this.state.setting(key), value);
        this.touched.touchSettings();
        break;
      case "canvas.clear":
        this.#put(this.state.clear, undefined);
        this.touched.touchClear();
        break;
    }
  }

  /** Writes what all ops write that create an object. */
  #create(op: ObjectCreate | StrokeBegin, kind: string): ObjectRegisters {
    const object = this.#object(op.object_id);
    this.#put(object.once("exists"), "create");
    this.#put(object.once("kind"), kind);
    if (op.z !== undefined) this.#put(object.once("z"), op.z);
    this.#props(object, op.props);
    return object;
  }

  /** The object of that id, to be written to. */
  #object(id: string): ObjectRegisters {
    this.touched.touch(id);
    return this.state.objects.toWrite(id);
  }

  #props(object: ObjectRegisters, set: JsonObject): void {
    for (const [key, value] of Object.entries(set)) this.#put<Json | undefined>(object.prop(key), value);
  }

  #put<T>(chain: Chain<T>, value: T): void {
    const { op, unit, state } = this;
    const isFirst = chain.write({ revision: op.revision, unit: unit.first, value }, state.units);
    if (isFirst) unit.registers.push(chain);
    state.note(chain);
  }
}
