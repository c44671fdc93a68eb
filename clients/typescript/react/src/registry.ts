// Which drawings are open for which components.
//
// Rendering has to give a drawing at once, and may be done twice or thrown away. So a drawing is opened by the first
// render that wants it, kept while a mounted component holds it, and closed a moment after none does.

import type { Drawing, RevcastClient } from "@revcast/client";

interface Entry {
  readonly drawing: Drawing;
  holders: number;
  closing: ReturnType<typeof setTimeout> | undefined;
}

/** For a render to be mounted, or for a component to be mounted again, in milliseconds. */
const GRACE = 2_000;

const open = new WeakMap<RevcastClient, Map<string, Entry>>();

/** The drawing, which stays open for a moment at least. */
export function borrow(client: RevcastClient, id: string): Drawing {
  return entryOf(client, id).drawing;
}

/** Keeps the drawing open until the result is called. */
export function hold(client: RevcastClient, id: string): () => void {
  const entry = entryOf(client, id);
  clearTimeout(entry.closing);
  entry.closing = undefined;
  entry.holders += 1;
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
    entry = { drawing, holders: 0, closing: undefined };
    entries.set(id, entry);
    closeSoon(client, id, entry);
  }
  return entry;
}

/** A new drawing. The old one where the client was closed as a whole: what still shows it must not fail for that. */
function reopen(client: RevcastClient, id: string, old: Drawing | undefined): Drawing {
  try {
    return client.open(id);
  } catch (error) {
    if (old === undefined) throw error;
    return old;
  }
}

function closeSoon(client: RevcastClient, id: string, entry: Entry): void {
  clearTimeout(entry.closing);
  entry.closing = setTimeout(() => {
    const entries = open.get(client);
    if (entries?.get(id) === entry) entries.delete(id);
    void entry.drawing.close();
  }, GRACE);
}
