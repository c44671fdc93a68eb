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
  return JSON.parse(JSON.stringify(value)) as T;
}
