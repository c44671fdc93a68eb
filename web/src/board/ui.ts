// What the board looks like to this user now: tool, colours, dialogs. Never sent, but for what presence shows of it.

import type { ConnectionState } from "@revcast/client";
import { createStore, type StoreApi, useStore } from "zustand";
import type { Role } from "../revcast.js";
import { readObject, write } from "../storage.js";

export const TOOLS = [
  "select",
  "hand",
  "pen",
  "rect",
  "ellipse",
  "arrow",
  "text",
  "image",
  "eraser",
] as const;
export type ToolName = (typeof TOOLS)[number];
export type DialogName = "share" | "help" | "export" | "clear" | "rejected";

export const COLOURS = [
  { value: "#1e1e1e", name: "Ink" },
  { value: "#e03131", name: "Red" },
  { value: "#f08c00", name: "Orange" },
  { value: "#2f9e44", name: "Green" },
  { value: "#0c8599", name: "Teal" },
  { value: "#1971c2", name: "Blue" },
  { value: "#7048e8", name: "Violet" },
  { value: "#d6336c", name: "Pink" },
] as const;

export const WIDTHS = [
  { value: 2, name: "Thin" },
  { value: 4, name: "Medium" },
  { value: 8, name: "Thick" },
  { value: 16, name: "Very thick" },
] as const;

/** A text that is being written. */
export interface Writing {
  /** The object that is changed; none for a new one. */
  readonly objectId: string | undefined;
  readonly x: number;
  readonly y: number;
  readonly text: string;
  readonly fontSize: number;
  /** A line that becomes broader is broken, in world units. */
  readonly width: number;
  readonly colour: string;
}

/** A state of the past that is shown in place of the drawing. */
export interface Past {
  readonly revision: number;
  readonly head: number;
  readonly time: number | undefined;
  readonly isPlaying: boolean;
  readonly isLoading: boolean;
}

/** A share link that was made here. Only now its token is known: the server tells it once. */
export interface MadeLink {
  readonly link_id: string;
  readonly role: Role;
  readonly url: string;
}

export interface Ui {
  readonly tool: ToolName;
  readonly colour: string;
  readonly width: number;
  readonly isFilled: boolean;
  readonly isHighlighter: boolean;
  readonly hasArrowhead: boolean;
  readonly selection: readonly string[];
  readonly writing: Writing | undefined;
  /** What was written and could not be taken into the drawing: the user may copy it. */
  readonly rescued: string | undefined;
  readonly dialog: DialogName | undefined;
  readonly past: Past | undefined;
  readonly zoom: number;
  /** A word to the user that goes away by itself. */
  readonly notice: string | undefined;
  readonly isStyleOpen: boolean;
  /** Whether there is something on the drawing, and nothing of it in view. */
  readonly isAstray: boolean;
  /** The object that has the focus of the keyboard. */
  readonly focused: string | undefined;
  /** What is told last to those who hear the page. */
  readonly spoken: string;
  /** The newest last. */
  readonly madeLinks: readonly MadeLink[];
}

export type UiStore = StoreApi<Ui>;

const KEPT = "revcast.pen";

export function createUi(): UiStore {
  const store = createStore<Ui>(() => ({
    tool: "pen",
    colour: COLOURS[0].value,
    width: 4,
    isFilled: false,
    isHighlighter: false,
    hasArrowhead: true,
    selection: [],
    writing: undefined,
    rescued: undefined,
    dialog: undefined,
    past: undefined,
    zoom: 1,
    notice: undefined,
    isStyleOpen: false,
    isAstray: false,
    focused: undefined,
    spoken: "",
    madeLinks: [],
    ...kept(),
  }));
  store.subscribe(({ colour, width, isFilled }, before) => {
    if (colour === before.colour && width === before.width && isFilled === before.isFilled) return;
    write("device", KEPT, JSON.stringify({ colour, width, isFilled }));
  });
  return store;
}

/** Whether a user of this role may draw now. Not known yet counts as yes: what is refused is told later. */
export function mayEdit(role: Role | null | undefined, connection: ConnectionState): boolean {
  return role !== "viewer" && role !== null && connection !== "outdated";
}

export function useUi<T>(store: UiStore, select: (ui: Ui) => T): T {
  return useStore(store, select);
}

function kept(): Partial<Ui> {
  const { colour, width, isFilled } = readObject("device", KEPT) ?? {};
  return {
    ...(typeof colour === "string" && /^#[0-9a-f]{6}$/i.test(colour) ? { colour } : {}),
    ...(typeof width === "number" && width > 0 && width <= 64 ? { width } : {}),
    ...(typeof isFilled === "boolean" ? { isFilled } : {}),
  };
}
