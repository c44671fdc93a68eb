// Which drawings are open for which components.
//
// Rendering has to give a drawing at once, and may be done twice, thrown away, or done on a server. So the first render
// makes a drawing that does nothing; it is followed from when a component is mounted with it, and closed a moment after
// none is.

import type { Drawing, RevcastClient } from "@revcast/client";

interface Entry {
  readonly drawing: Drawing;
  holders: number;
  wasHeld: boolean;
  closing: ReturnType<typeof setTimeout> | undefined;
}

/** For a component to be mounted again, in milliseconds. */
const GRACE = 2_000;
/** Drawings of a client that were rendered and never mounted; the oldest are forgotten. */
const MAX_RENDERED = 100;

const open = new WeakMap<RevcastClient, Map<string, Entry>>();

/** The drawing, which is not followed yet unless some component holds it. */
export function borrow(client: RevcastClient, id: string): Drawing {
  return entryOf(client, id).drawing;
}

/** Follows the drawing, and keeps it open until the result is called. */
export function hold(client: RevcastClient, id: string): () => void {
  const entry = entryOf(client, id);
  clearTimeout(entry.closing);
  entry.closing = undefined;
  entry.holders += 1;
  entry.wasHeld = true;
  entry.drawing.start();
  return () => {
    entry.holders -= 1;
    if (entry.holders === 0) closeSoon(client, id, entry);
  };
}

function entryOf(client: RevcastClient, id: string): Entry {
  let entries = open.get(client);
  if (entries === undefined) {
    entries = new Map();
    open.set(client, entries);
  }
  let entry = entries.get(id);
  if (entry === undefined || entry.drawing.connection === "closed") {
    const drawing = reopen(client, id, entry?.drawing);
    if (entry?.drawing === drawing) return entry;
    entry = { drawing, holders: 0, wasHeld: false, closing: undefined };
    entries.set(id, entry);
    forgetRendered(entries);
  }
  return entry;
}

/** A new drawing. The old one where the client was closed as a whole: what still shows it must not fail for that. */
function reopen(client: RevcastClient, id: string, old: Drawing | undefined): Drawing {
  try {
    return client.open(id, { start: false });
  } catch (error) {
    if (old === undefined) throw error;
    return old;
  }
}

/** What was never followed need not be closed. */
function forgetRendered(entries: Map<string, Entry>): void {
  const rendered = [...entries].filter(([, entry]) => !entry.wasHeld);
  for (const [id] of rendered.slice(0, -MAX_RENDERED)) entries.delete(id);
}

function closeSoon(client: RevcastClient, id: string, entry: Entry): void {
  clearTimeout(entry.closing);
  entry.closing = setTimeout(() => {
    const entries = open.get(client);
    if (entries?.get(id) === entry) entries.delete(id);
    void entry.drawing.close();
  }, GRACE);
}
