// The registers of a canvas as JSON: what a snapshot holds, from which a reader goes on with the ops after it.

import type { Json } from "../json.js";
import type { Point } from "../ops.js";
import { Chain, type Write } from "./chain.js";
import { type Existence, ObjectRegisters } from "./object.js";
import { isPoints, isText } from "./read.js";
import { State } from "./state.js";
import { CLOSED, floorOf, type Unit, type Units } from "./units.js";

/**
 * One write: its revision, its unit (`null` for the folded write), and its value. A write without a value (an unset, a
 * clear, an end) has no third member.
 */
export type RegisterWrite<T> =
  | readonly [revision: number, unit: string | null]
  | readonly [revision: number, unit: string | null, value: T];

/** The writes to one register, ascending by revision. */
export type Register<T> = readonly RegisterWrite<T>[];

type ByKey<T> = Readonly<Record<string, T>>;

/** Of one object. Members without a write are left out. */
export interface ObjectRegistersJson {
  readonly exists?: Register<Existence>;
  readonly kind?: Register<string>;
  readonly z?: Register<string>;
  readonly tool?: Register<string>;
  readonly props?: ByKey<Register<Json>>;
  /** By index: those of `stroke.begin` at 0. */
  readonly points?: ByKey<Register<readonly Point[]>>;
  /** By the count that the end has told. */
  readonly ends?: ByKey<Register<never>>;
}

/** An open undo unit. */
export interface UnitJson {
  readonly first: number;
  readonly actor: string;
  readonly draws: boolean;
  /** The last undo (`true`) or redo that changed it; absent when there was none. */
  readonly undone?: readonly [revision: number, isUndo: boolean];
}

/** All registers of a canvas. */
export interface Registers {
  readonly canvas: ByKey<Register<Json>>;
  readonly clear: Register<never>;
  readonly objects: ByKey<ObjectRegistersJson>;
  readonly units: ByKey<UnitJson>;
}

/** Registers that no log leaves. */
export class InvalidRegistersError extends Error {
  override readonly name = "InvalidRegistersError";
}

/** The registers of a state. */
export function writeRegisters(state: State): Registers {
  const { units } = state;
  return {
    canvas: writeChains(state.settings, units),
    clear: writeChain<never>(state.clear, units),
    objects: Object.fromEntries([...state.objects].map(([id, object]) => [id, writeObject(object, units)])),
    units: Object.fromEntries(units.all().map((unit) => [unit.id, writeUnit(unit)])),
  };
}

/**
 * The state at `revision`, of which these are the registers.
 *
 * @throws {InvalidRegistersError} when they contradict themselves.
 */
export function readRegisters(revision: number, registers: Registers): State {
  const state = new State(revision);
  readUnits(state, registers.units);
  const reader = new Reader(state);
  state.clear = reader.chain(registers.clear, isNothing);
  state.settings = reader.chains(registers.canvas, (key) => key, isAnything);
  for (const [key, chain] of state.settings) {
    for (const unit of openUnits(state, chain)) unit.settings.add(key);
  }
  for (const [id, json] of Object.entries(registers.objects)) {
    const object = reader.object(json);
    state.objects.set(id, object);
    for (const chain of object.chains()) {
      for (const unit of openUnits(state, chain)) unit.objects.add(id);
    }
  }
  return state;
}

function writeObject(object: ObjectRegisters, units: Units): ObjectRegistersJson {
  const { exists, kind, z, tool, props, points, ends } = object;
  return {
    ...(exists.isEmpty ? {} : { exists: writeChain(exists, units) }),
    ...(kind.isEmpty ? {} : { kind: writeChain(kind, units) }),
    ...(z.isEmpty ? {} : { z: writeChain(z, units) }),
    ...(tool.isEmpty ? {} : { tool: writeChain(tool, units) }),
    ...(props.size === 0 ? {} : { props: writeChains(props, units) }),
    ...(points.size === 0 ? {} : { points: writeChains(points, units) }),
    ...(ends.size === 0 ? {} : { ends: writeChains<never>(ends, units) }),
  };
}

function writeChains<T>(
  chains: ReadonlyMap<string | number, Chain<T | undefined>>,
  units: Units,
): ByKey<Register<T>> {
  // Any key becomes a property of its own this way, `__proto__` too.
  return Object.fromEntries([...chains].map(([key, chain]) => [key, writeChain(chain, units)]));
}

function writeChain<T>(chain: Chain<T | undefined>, units: Units): Register<T> {
  return chain.writes.map(({ revision, unit, value }) => {
    const id = units.get(unit)?.id ?? null;
    return value === undefined ? [revision, id] : [revision, id, value];
  });
}

function writeUnit({ first, actor, draws, toggled }: Unit): UnitJson {
  const unit = { first, actor, draws };
  return toggled === undefined ? unit : { ...unit, undone: [toggled.revision, toggled.isUndo] };
}

function readUnits(state: State, units: ByKey<UnitJson>): void {
  const ascending = Object.entries(units).sort(([, a], [, b]) => a.first - b.first);
  let last = floorOf(state.revision);
  for (const [id, { first, actor, draws, undone }] of ascending) {
    const isUnit = first > last && first <= state.revision;
    const isToggled = undone === undefined || (undone[0] > first && undone[0] <= state.revision);
    if (!isUnit || !isToggled) throw new InvalidRegistersError(`unit ${id} has impossible revisions`);
    last = first;
    const unit = state.units.add(id.toLowerCase(), first, actor);
    unit.draws = draws;
    if (undone !== undefined) unit.toggled = { revision: undone[0], isUndo: undone[1] };
  }
}

function openUnits(state: State, chain: Chain<unknown>): Unit[] {
  return chain.writes.flatMap((write) => state.units.get(write.unit) ?? []);
}

type Check = (value: unknown) => boolean;
const isNothing: Check = (value) => value === undefined;
const isAnything: Check = () => true;
const isExistence: Check = (value) => value === "create" || value === "delete";

/** Knows the units that writes may name. */
class Reader {
  readonly #state: State;

  constructor(state: State) {
    this.#state = state;
  }

  object(json: ObjectRegistersJson): ObjectRegisters {
    const object = new ObjectRegisters();
    object.exists = this.chain<Existence>(json.exists ?? [], isExistence);
    object.kind = this.chain<string>(json.kind ?? [], isText);
    object.z = this.chain<string>(json.z ?? [], isText);
    object.tool = this.chain<string>(json.tool ?? [], isText);
    object.props = this.chains(json.props ?? {}, (key) => key, isAnything);
    object.points = this.chains<number, readonly Point[]>(json.points ?? {}, Number, isPoints);
    object.ends = this.chains(json.ends ?? {}, Number, isNothing);
    return object;
  }

  /** `check` tells which values the register may have, and whether `undefined` is one. */
  chain<T>(writes: Register<unknown>, check: Check): Chain<T> {
    let last = 0;
    const units = new Set<number>();
    const read = ([revision, id, value]: RegisterWrite<unknown>): Write<T> => {
      // Only the first may be folded.
      const unit = id === null ? (last === 0 ? CLOSED : undefined) : this.#firstOf(id, revision);
      const ascends = revision > last && revision <= this.#state.revision;
      if (unit === undefined || units.has(unit) || !ascends || !check(value)) {
        throw new InvalidRegistersError(`a write at revision ${revision} is impossible`);
      }
      last = revision;
      units.add(unit);
      return { revision, unit, value: value as T };
    };
    return new Chain(writes.map(read));
  }

  chains<K, T>(json: ByKey<Register<unknown>>, key: (name: string) => K, check: Check): Map<K, Chain<T>> {
    return new Map(Object.entries(json).map(([name, writes]) => [key(name), this.chain<T>(writes, check)]));
  }

  /** The unit of a write, by its first revision. */
  #firstOf(id: string, revision: number): number | undefined {
    const first = this.#state.units.find(id.toLowerCase())?.first;
    return first !== undefined && first <= revision ? first : undefined;
  }
}
