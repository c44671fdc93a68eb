// The registers of a canvas as JSON: what a snapshot holds, from which a reader goes on with the ops after it.

import type { Json } from "../json.js";
import type { Point } from "../ops.js";
import { type Address, Chain, type Part, type Write } from "./chain.js";
import { Chains } from "./chains.js";
import { type Existence, ObjectRegisters } from "./object.js";
import { isPoints, isText } from "./read.js";
import { State } from "./state.js";
import { CLOSED, type Unit, type Units } from "./units.js";

/** The format of registers that this version reads and writes. */
export const REGISTERS_FORMAT = 2;

/** Whether registers have a format that only a later version reads. */
export function isNewerFormat({ format }: Registers): boolean {
  return format > REGISTERS_FORMAT;
}

/** Objects of which the registers are written in one step. */
const OBJECTS_AT_ONCE = 500;

/** The registers of a log without ops. */
export const NO_REGISTERS: Registers = {
  format: REGISTERS_FORMAT,
  floor: 0,
  canvas: {},
  clear: [],
  objects: {},
  units: {},
};

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
  /** The `ts` of the last op, undo or redo that named it. */
  readonly touched: number;
  /** The last undo (`true`) or redo that changed it; absent when there was none. */
  readonly undone?: readonly [revision: number, isUndo: boolean];
}

/** All registers of a canvas. */
export interface Registers {
  /** `REGISTERS_FORMAT`; of another one nothing else can be told. */
  readonly format: number;
  /** Units that began at or below it are closed; 0 before the first fold. */
  readonly floor: number;
  readonly canvas: ByKey<Register<Json>>;
  readonly clear: Register<never>;
  readonly objects: ByKey<ObjectRegistersJson>;
  readonly units: ByKey<UnitJson>;
}

/** Registers that no log leaves. */
export class InvalidRegistersError extends Error {
  override readonly name = "InvalidRegistersError";
}

/** Registers that another version has written, by rules that this one does not know. */
export class UnknownFormatError extends Error {
  override readonly name = "UnknownFormatError";

  /** `format` is what the registers say. */
  constructor(readonly format: unknown) {
    const named = typeof format === "number" ? `format ${format}` : "no format that can be read";
    const isNewer = typeof format === "number" && format > REGISTERS_FORMAT;
    super(
      `the registers have ${named}, and this version reads format ${REGISTERS_FORMAT}` +
        (isNewer ? ": a newer version is needed" : ""),
    );
  }
}

/** The registers of a state. */
export function writeRegisters(state: State): Registers {
  const steps = writeInSteps(state);
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value;
}

/** The same in steps of so many objects each, between which the state must not change. */
export function* writeInSteps(state: State): Generator<undefined, Registers> {
  const { units, floor } = state;
  const objects: [string, ObjectRegistersJson][] = [];
  for (const [id, object] of state.objects) {
    objects.push([id, writeObject(object, units)]);
    if (objects.length % OBJECTS_AT_ONCE === 0) yield;
  }
  return {
    format: REGISTERS_FORMAT,
    floor,
    canvas: writeChains(state.settings.entries(), units),
    clear: writeChain<never>(state.clear, units),
    objects: Object.fromEntries(objects),
    units: Object.fromEntries(units.all().map((unit) => [unit.id, writeUnit(unit)])),
  };
}

/**
 * The state at `revision`, of which these are the registers.
 *
 * @throws {UnknownFormatError} when they are of another format.
 * @throws {InvalidRegistersError} when they contradict themselves.
 */
export function readRegisters(revision: number, registers: Registers): State {
  const { format, floor } = registers;
  if (format !== REGISTERS_FORMAT) throw new UnknownFormatError(format);
  const isFloor = Number.isInteger(floor) && floor >= 0 && (floor === 0 || floor < revision);
  if (!isFloor) throw new InvalidRegistersError(`the floor ${floor} is impossible at revision ${revision}`);
  const state = new State(revision, floor);
  readUnits(state, registers.units);
  const reader = new Reader(state);
  state.clear = reader.chain({ part: "clear" }, registers.clear, isNothing);
  state.settings = Chains.of(reader.chains({ part: "settings" }, registers.canvas, String, isAnything));
  for (const [id, json] of Object.entries(registers.objects)) state.objects.set(id, reader.object(id, json));
  return state;
}

function writeObject(object: ObjectRegisters, units: Units): ObjectRegistersJson {
  const { exists, kind, z, tool, props, points, ends } = object;
  return {
    ...(exists.isEmpty ? {} : { exists: writeChain(exists, units) }),
    ...(kind.isEmpty ? {} : { kind: writeChain(kind, units) }),
    ...(z.isEmpty ? {} : { z: writeChain(z, units) }),
    ...(tool.isEmpty ? {} : { tool: writeChain(tool, units) }),
    ...(props.size === 0 ? {} : { props: writeChains(props.entries(), units) }),
    ...(points.size === 0 ? {} : { points: writeChains(points.entries(), units) }),
    ...(ends.size === 0 ? {} : { ends: writeChains<never>(ends.entries(), units) }),
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
  const written: RegisterWrite<T>[] = [];
  for (const { revision, unit, value } of chain.writes) {
    const id = unit === CLOSED ? null : (units.get(unit)?.id ?? null);
    written.push(value === undefined ? [revision, id] : [revision, id, value]);
  }
  return written;
}

function writeUnit({ first, actor, draws, touched, toggled }: Unit): UnitJson {
  const unit = { first, actor, draws, touched };
  return toggled === undefined ? unit : { ...unit, undone: [toggled.revision, toggled.isUndo] };
}

function readUnits(state: State, units: ByKey<UnitJson>): void {
  const ascending = Object.entries(units).sort(([, a], [, b]) => a.first - b.first);
  let last = state.floor;
  for (const [id, { first, actor, draws, touched, undone }] of ascending) {
    const isUnit = first > last && first <= state.revision;
    const isToggled = undone === undefined || (undone[0] > first && undone[0] <= state.revision);
    if (!isUnit || !isToggled) throw new InvalidRegistersError(`unit ${id} has impossible revisions`);
    if (!Number.isFinite(touched)) throw new InvalidRegistersError(`unit ${id} was touched at no time`);
    last = first;
    const unit = state.units.add(id.toLowerCase(), first, actor);
    unit.draws = draws;
    unit.touched = touched;
    if (undone !== undefined) unit.toggled = { revision: undone[0], isUndo: undone[1] };
  }
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

  object(id: string, json: ObjectRegistersJson): ObjectRegisters {
    const object = new ObjectRegisters(id);
    const at = (part: Part): Address => ({ part, object });
    object.exists = this.chain<Existence>(at("exists"), json.exists ?? [], isExistence);
    object.kind = this.chain<string>(at("kind"), json.kind ?? [], isText);
    object.z = this.chain<string>(at("z"), json.z ?? [], isText);
    object.tool = this.chain<string>(at("tool"), json.tool ?? [], isText);
    const props = this.chains<string, Json | undefined>(at("props"), json.props ?? {}, String, isAnything);
    const points = this.chains<number, readonly Point[]>(at("points"), json.points ?? {}, Number, isPoints);
    object.props = Chains.of(props);
    object.points = Chains.of(points);
    object.ends = Chains.of(this.chains<number, undefined>(at("ends"), json.ends ?? {}, Number, isNothing));
    if (!object.isSettled) this.#state.doubtful.add(object);
    return object;
  }

  /** `check` tells which values the register may have, and whether `undefined` is one. */
  chain<T>(address: Address, json: Register<unknown>, check: Check): Chain<T> {
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
    const writes = json.map(read);
    const chain = Chain.of<T>(address, writes, this.#state.units);
    for (const { unit } of writes) this.#state.units.get(unit)?.registers.push(chain);
    if (writes.length > 1) this.#state.contested.add(chain);
    return chain;
  }

  chains<K extends string | number, T>(
    { part, object }: Address,
    json: ByKey<Register<unknown>>,
    keyOf: (name: string) => K,
    check: Check,
  ): Map<K, Chain<T>> {
    const chains = new Map<K, Chain<T>>();
    for (const [name, writes] of Object.entries(json)) {
      const key = keyOf(name);
      chains.set(key, this.chain<T>({ part, object, key }, writes, check));
    }
    return chains;
  }

  /** The unit of a write, by its first revision. */
  #firstOf(id: string, revision: number): number | undefined {
    const first = this.#state.units.find(id.toLowerCase())?.first;
    return first !== undefined && first <= revision ? first : undefined;
  }
}
