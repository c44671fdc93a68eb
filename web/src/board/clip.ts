// Objects on the clipboard, under a type of their own. Anybody may have put anything there. Pure.

import type { Json, JsonObject, Point, ViewObject } from "../revcast.js";

/** Browsers keep it between their pages; to other programs it means nothing. */
export const CLIP_TYPE = "application/vnd.revcast.objects+json";
const FORMAT = 1;
const KIND = /^.{1,32}$/u;

/** What was copied at once, from the back to the front. */
export interface Clip {
  /** Names the act of copying: the same objects may be copied again. */
  readonly id: string;
  readonly objects: readonly ViewObject[];
}

export function writeClip({ id, objects }: Clip): string {
  return JSON.stringify({ format: FORMAT, id, objects });
}

/** None where it is no clip, or that of a later version. What in it is no object is passed over. */
export function readClip(written: string): Clip | undefined {
  let value: unknown;
  try {
    value = JSON.parse(written);
  } catch {
    return undefined;
  }
  if (!isObject(value) || value.format !== FORMAT || typeof value.id !== "string") return undefined;
  if (!Array.isArray(value.objects)) return undefined;
  const objects = value.objects.flatMap((object: unknown) => readObject(object) ?? []);
  return objects.length === 0 ? undefined : { id: value.id, objects };
}

/** None of what a clip cannot hold. */
export function readObject(value: unknown): ViewObject | undefined {
  if (!isObject(value)) return undefined;
  const { object_id, kind, props, tool, points } = value;
  if (typeof object_id !== "string" || typeof kind !== "string" || !KIND.test(kind)) return undefined;
  if (!isObject(props)) return undefined;
  const common = { object_id, kind, z: "", props };
  if (kind !== "stroke") return common;
  if (!Array.isArray(points) || points.length === 0 || !points.every(isPoint)) return undefined;
  return {
    ...common,
    tool: typeof tool === "string" && KIND.test(tool) ? tool : "pen",
    points,
    complete: true,
  };
}

function isPoint(value: unknown): value is Point {
  if (!Array.isArray(value) || value.length < 2 || value.length > 3) return false;
  return value.every((item: unknown) => typeof item === "number" && Number.isFinite(item));
}

/** What comes out of JSON is JSON. */
function isObject(value: unknown): value is JsonObject & Record<string, Json> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What other programs paste as text: the texts among the objects. */
export function plainTextOf(objects: readonly ViewObject[]): string {
  return objects
    .flatMap(({ kind, props }) => (kind === "text" && typeof props.text === "string" ? [props.text] : []))
    .join("\n");
}
