// The picture: what is seen of objects and of the canvas, as plain values.

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import type { Json, JsonObject } from "../json.js";
import type { Point } from "../ops.js";
import type { ObjectRegisters, Props } from "./object.js";
import type { Liveness } from "./units.js";

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
export function renderObject(id: string, object: ObjectRegisters, liveness: Liveness): ViewObject {
  const kind = object.kind.top(liveness)?.value ?? "";
  const z = object.z.top(liveness)?.value ?? "";
  const shape = { object_id: id, kind, z, props: renderProps(object.props, liveness) };
  if (kind !== STROKE) return shape;
  const tool = object.tool.top(liveness)?.value;
  const joined = joinedPoints(object, liveness);
  // The first stretch is of the begin, the others are the appends.
  const end = object.ends.get(joined.length - 1)?.top(liveness);
  const stroke = { ...shape, points: joined.flat(), complete: end !== undefined };
  return tool === undefined ? stroke : { ...stroke, tool };
}

/** The properties that have a value. */
export function renderProps(props: Props, liveness: Liveness): JsonObject {
  const entries: [string, Json][] = [];
  for (const [key, chain] of props) {
    const value = chain.top(liveness)?.value;
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
function joinedPoints(object: ObjectRegisters, liveness: Liveness): (readonly Point[])[] {
  const joined: (readonly Point[])[] = [];
  for (;;) {
    const points = object.points.get(joined.length)?.top(liveness);
    if (points === undefined) return joined;
    joined.push(points.value);
  }
}
