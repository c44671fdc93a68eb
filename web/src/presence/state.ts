// The presence state as this board writes it, and how it reads that of others: anything may be in there. Pure.

import type { Json, JsonObject } from "../revcast.js";
import type { Box, Vec } from "../scene/geometry.js";

/** Ids of a selection that are shown to others: a state is 1 KiB at most. */
const MAX_SELECTED = 20;
/** Bytes of them all, at most: an id may have 64. */
const MAX_SELECTED_BYTES = 700;

export interface Mine {
  readonly cursor: Vec | null;
  readonly viewport: Box;
  readonly selection: readonly string[];
  readonly tool: string;
  readonly colour: string;
  /** The object whose text is being changed. */
  readonly editing: string | undefined;
}

export function stateOf({ cursor, viewport, selection, tool, colour, editing }: Mine): JsonObject {
  const ids: string[] = [];
  let bytes = 0;
  for (const id of selection.slice(0, MAX_SELECTED)) {
    bytes += id.length + 3;
    if (bytes > MAX_SELECTED_BYTES) break;
    ids.push(id);
  }
  return {
    cursor: cursor === null ? null : { x: Math.round(cursor.x), y: Math.round(cursor.y) },
    viewport: {
      x: Math.round(viewport.minX),
      y: Math.round(viewport.minY),
      width: Math.round(viewport.maxX - viewport.minX),
      height: Math.round(viewport.maxY - viewport.minY),
    },
    selection: ids,
    tool,
    colour,
    ...(editing === undefined ? {} : { editing }),
  };
}

export function cursorOf(state: JsonObject | null | undefined): Vec | undefined {
  const [x, y] = numbers(state?.cursor, ["x", "y"]);
  return x === undefined || y === undefined ? undefined : { x, y };
}

export function viewportIn(state: JsonObject | null | undefined): Box | undefined {
  const [x, y, width, height] = numbers(state?.viewport, ["x", "y", "width", "height"]);
  if (x === undefined || y === undefined || width === undefined || height === undefined) return undefined;
  return width > 0 && height > 0 ? { minX: x, minY: y, maxX: x + width, maxY: y + height } : undefined;
}

export function selectionOf(state: JsonObject | null | undefined): readonly string[] {
  const ids = state?.selection;
  if (!Array.isArray(ids)) return [];
  return ids.slice(0, MAX_SELECTED).filter((id: unknown) => typeof id === "string");
}

/** The object whose text somebody is changing. */
export function editingOf(state: JsonObject | null | undefined): string | undefined {
  return typeof state?.editing === "string" ? state.editing : undefined;
}

function numbers(value: Json | undefined, names: readonly string[]): (number | undefined)[] {
  if (typeof value !== "object" || value === null) return [];
  const items = Array.isArray(value) ? value : names.map((name) => Reflect.get(value, name));
  return items.map((item: unknown) => (typeof item === "number" && Number.isFinite(item) ? item : undefined));
}
