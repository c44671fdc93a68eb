// Objects on the clipboard, under a type of their own. Anybody may have put anything there. Pure.

import type { Json, JsonObject, Point, ViewObject } from "../revcast.js";

/** Browsers keep it between their pages; to other programs it means nothing. */
export const CLIP_TYPE = "application/vnd.revcast.objects+json";
/** Of an element in HTML, which every browser keeps: the same as the type, encoded as a part of a URL. */
const CLIP_ATTRIBUTE = "data-revcast-objects";
const IN_HTML = new RegExp(`\\s${CLIP_ATTRIBUTE}="([^"<>\\s]*)"`, "i");
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

/** A clip as HTML, for browsers that keep no types but common ones. `plain` is what other programs show of it. */
export function htmlOfClip(written: string, plain: string): string {
  const shown = plain.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const lines = shown.split(/\r?\n/).join("<br>");
  return `<meta charset="utf-8"><span ${CLIP_ATTRIBUTE}="${encodeURIComponent(written)}">${lines}</span>`;
}

/** The clip in HTML, if there is one. Nothing else of the HTML is looked at, and nothing becomes a part of the page. */
export function readHtmlClip(html: string): Clip | undefined {
  const encoded = IN_HTML.exec(html)?.[1];
  if (encoded === undefined) return undefined;
  try {
    return readClip(decodeURIComponent(encoded));
  } catch {
    // It is no part of a URL.
    return undefined;
  }
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
