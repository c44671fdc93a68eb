// The picture: what is seen of objects and of the canvas, as plain values.

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import type { Json, JsonObject } from "../json.js";
import type { Point } from "../ops.js";
import type { Top } from "./chain.js";
import type { ObjectRegisters, Props } from "./object.js";

/** An object that is seen. */
export interface ViewObject {
  readonly object_id: string;
  readonly kind: string;
  readonly z: string;
  readonly props: JsonObject;
  /** The tool of a stroke. Nothing but a stroke has this field or those below. */
  readonly tool?: string;
  /** The points of a stroke up to the first append that is missing. */
  readonly points?: readonly Point[];
  /** Whether a stroke has ended and has all its appends. */
  readonly complete?: boolean;
}

/** What is seen of a canvas. */
export interface View {
  /** The properties of the canvas itself. */
  readonly canvas: JsonObject;
  /** In screen order: the last is on top. */
  readonly objects: readonly ViewObject[];
}

/** The kind of the objects that have points. */
export const STROKE = "stroke";

/** What is seen of an object whose create has decided that it is there. */
export function renderObject(id: string, object: ObjectRegisters, top: Top): ViewObject {
  const kind = top(object.kind)?.value ?? "";
  const z = top(object.z)?.value ?? "";
  const shape = { object_id: id, kind, z, props: renderProps(object.props, top) };
  if (kind !== STROKE) return shape;
  const tool = top(object.tool)?.value;
  const stroke = { ...shape, ...renderPoints(object, top) };
  return tool === undefined ? stroke : { ...stroke, tool };
}

/** What is seen of the points of a stroke. */
export function renderPoints(
  object: ObjectRegisters,
  top: Top,
): { readonly points: readonly Point[]; readonly complete: boolean } {
  const joined = joinedPoints(object, top);
  // The first stretch is of the begin, the others are the appends.
  const end = object.ends.get(joined.length - 1);
  return { points: joined.flat(), complete: end !== undefined && top(end) !== undefined };
}

/** The properties that have a value. */
export function renderProps(props: Props, top: Top): JsonObject {
  const entries: [string, Json][] = [];
  for (const [key, chain] of props.entries()) {
    const value = top(chain)?.value;
    if (value !== undefined) entries.push([key, value]);
  }
  // Any key becomes a property of its own this way, `__proto__` too.
  return Object.fromEntries(entries);
}

/** The SHA-256 of a canonical view, as lower-case hexadecimal digits. */
export function hashOf(canonicalView: string): string {
  return bytesToHex(sha256(utf8ToBytes(canonicalView)));
}

/** The points of a stroke, stretch by stretch, up to the first missing index. */
export function joinedPoints(object: ObjectRegisters, top: Top): (readonly Point[])[] {
  const joined: (readonly Point[])[] = [];
  for (;;) {
    const chain = object.points.get(joined.length);
    const points = chain === undefined ? undefined : top(chain);
    if (points === undefined) return joined;
    joined.push(points.value);
  }
}
