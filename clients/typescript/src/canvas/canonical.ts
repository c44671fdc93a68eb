// Canonical JSON (RFC 8785): one spelling for each value, so that equal pictures have equal bytes.

import type { Json, JsonObject } from "../json.js";

/** The canonical spelling of a value. */
export function canonical(value: Json): string {
  // RFC 8785 spells numbers and strings as ECMAScript does; this makes `-0` a `0`, too.
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join(",")}}`;
}

/** Whether two values have the same canonical spelling. `undefined` stands for no value. */
export function isEqual(a: Json | undefined, b: Json | undefined): boolean {
  // Most values that are equal are the very same, and so are the points that two renderings share.
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (isArray(a) || isArray(b)) {
    if (!isArray(a) || !isArray(b) || a.length !== b.length) return false;
    return a.every((item, index) => isEqual(item, b[index]));
  }
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length && keys.every((key) => isEqual(member(a, key), member(b, key)))
  );
}

/** A member of an object, which may have any name: that of what all objects inherit, too. */
export function member(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
