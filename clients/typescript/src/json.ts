// JSON values as types. What an op holds is shared with the canvas that took it in, so all of it is readonly.

/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

/** A JSON object. */
export interface JsonObject {
  readonly [key: string]: Json;
}

/**
 * A value as JSON tells it, with nothing in it that the caller may still change.
 *
 * @throws {TypeError} for what JSON cannot hold, such as a cycle.
 */
export function asJson<T>(value: T): T {
  const copy = copyOf(value, 0);
  return (copy === NONE ? JSON.parse(JSON.stringify(value)) : copy) as T;
}

/** Stands for what is no plain data, or too deep to be looked at here. */
const NONE = Symbol();
const MAX_DEPTH = 32;

/** A copy of plain data: several times as quick as to spell and read it, and with the strings that are there already. */
function copyOf(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      // JSON knows no `-0`.
      return Number.isFinite(value) ? value + 0 : null;
    case "object":
      if (value === null) return null;
      if (depth > MAX_DEPTH) return NONE;
      return Array.isArray(value) ? copyOfArray(value, depth + 1) : copyOfObject(value, depth + 1);
    default:
      return NONE;
  }
}

function copyOfArray(array: readonly unknown[], depth: number): unknown {
  if ("toJSON" in array) return NONE;
  const copy: unknown[] = [];
  for (let at = 0; at < array.length; at += 1) {
    const item = copyOf(array[at], depth);
    if (item === NONE) return NONE;
    copy.push(item);
  }
  return copy;
}

function copyOfObject(object: object, depth: number): unknown {
  if (Object.getPrototypeOf(object) !== Object.prototype || "toJSON" in object) return NONE;
  const copy: Record<string, unknown> = {};
  for (const name of Object.keys(object)) {
    const member = (object as Readonly<Record<string, unknown>>)[name];
    if (member === undefined) continue;
    const its = copyOf(member, depth);
    if (its === NONE || name === "__proto__") return NONE;
    copy[name] = its;
  }
  return copy;
}
