// Brings the queue in step with the storage, which other tabs change too.

import { MAX_SETTLED_IDS } from "../limits.js";
import type { PendingOp } from "../ops.js";
import type { Journal } from "./journal.js";
import type { Held, Place, Quarantine, RejectedOp } from "./quarantine.js";
import type { Queue } from "./queue.js";
import type { StoredOp } from "./store.js";
import type { OutboxEvents } from "./types.js";

/**
 * The ids of ops that are settled: the newest `MAX_SETTLED_IDS` of them at least, and up to twice as many. They go by
 * the whole generation: thousands may come at once, and to look for the oldest with each would take longer each time.
 */
export class Settled {
  #ids = new Set<string>();
  #older: ReadonlySet<string> = new Set();

  add(id: string): void {
    this.#ids.add(id);
    if (this.#ids.size < MAX_SETTLED_IDS) return;
    this.#older = this.#ids;
    this.#ids = new Set();
  }

  has(id: string): boolean {
    return this.#ids.has(id) || this.#older.has(id);
  }

  /** It is pending again. */
  delete(id: string): void {
    this.#ids.delete(id);
    if (!this.#older.has(id)) return;
    this.#older = new Set([...this.#older].filter((older) => older !== id));
  }
}

/** What was new in the storage. */
interface Found {
  readonly added: PendingOp[];
  readonly amended: PendingOp[];
  readonly removed: string[];
  readonly rejected: RejectedOp[];
  /** Keys of records that are settled, and only not removed yet; and of those that nobody can read. */
  readonly leftovers: number[];
}

interface Parts {
  readonly queue: Queue;
  readonly quarantine: Quarantine;
  readonly settled: Settled;
}

/** Looks into the storage, and tells what was new there. */
export class Reconciler {
  readonly #parts: Parts;
  readonly #journal: Journal;
  readonly #events: OutboxEvents;
  /** The greatest key that was read. */
  #lastKey = 0;
  #isLoaded = false;

  constructor(parts: Parts, journal: Journal, events: OutboxEvents) {
    this.#parts = parts;
    this.#journal = journal;
    this.#events = events;
  }

  /** Whether a look has ended, be it that nothing could be read. */
  get isLoaded(): boolean {
    return this.#isLoaded;
  }

  /** The keys of what may be removed; `undefined`, and nothing is changed, if it is closed meanwhile. */
  async look(extent: "all" | "new", isClosed: () => boolean): Promise<readonly number[] | undefined> {
    // What is written from now on is not in what is read.
    const known = extent === "all" ? this.#stored() : undefined;
    const records = await this.#journal.load(extent === "all" ? undefined : this.#lastKey);
    if (isClosed()) return undefined;
    this.#isLoaded = true;
    if (records === undefined) return [];
    this.#lastKey = records.reduce((last, { key }) => Math.max(last, key), this.#lastKey);
    const found = reconcile(this.#parts, records, known);
    tellFound(found, this.#events);
    return found.leftovers;
  }

  #stored(): ReadonlySet<Place> {
    const { queue, quarantine } = this.#parts;
    // What was refused of late may still be as it was there.
    const held = quarantine.held.filter(({ isStored }) => isStored).map(({ place }) => place);
    return new Set([...queue.entries, ...held].filter(({ key }) => key !== undefined));
  }
}

/** Takes in what was read. `known`, when that is all: what was stored before; nothing else can be missing. */
function reconcile(parts: Parts, records: readonly StoredOp[], known: ReadonlySet<Place> | undefined): Found {
  const { queue, quarantine, settled } = parts;
  const found: Found = { added: [], amended: [], removed: [], rejected: [], leftovers: [] };
  const stored = new Set<string>();
  for (const record of records) {
    const id = record.op_id.toLowerCase();
    stored.add(id);
    const op = parse(record.body);
    if (op === undefined || settled.has(id)) found.leftovers.push(record.key);
    else if (record.rejected !== undefined)
      takeRejected(parts, found, { id, op, error: record.rejected, place: record, isStored: true });
    else {
      const held = quarantine.get(id);
      // Another tab sends it again, unless it was refused just now.
      if (held !== undefined && known?.has(held.place)) quarantine.dismiss([held]);
      if (quarantine.get(id) === undefined) takePending(queue, found, record, id, op);
    }
  }
  for (const { id, place } of quarantine.trim()) {
    settled.add(id);
    if (place.key !== undefined) found.leftovers.push(place.key);
  }
  if (known === undefined) return found;
  const missing = queue.entries.filter(
    (entry) => known.has(entry) && entry.state === "stored" && !stored.has(entry.id),
  );
  queue.remove(missing);
  for (const entry of missing) found.removed.push(entry.op.op_id);
  // Another tab has dismissed them.
  const dismissed = quarantine.held.filter((held) => known.has(held.place) && !stored.has(held.id));
  for (const { op } of quarantine.dismiss(dismissed)) found.removed.push(op.op_id);
  return found;
}

function tellFound(found: Found, events: OutboxEvents): void {
  for (const op of found.added) events.added(op);
  for (const op of found.amended) events.amended(op);
  if (found.removed.length > 0) events.removed(found.removed);
  if (found.rejected.length > 0) events.rejected(found.rejected);
}

function takeRejected({ queue, quarantine }: Parts, found: Found, held: Held): void {
  if (quarantine.get(held.id) !== undefined) return;
  const entry = queue.get(held.id);
  // It is sent again, and about to be stored so, or cannot be.
  if (entry?.state === "writing" || entry?.state === "memory") return;
  // It is sent again under another id.
  if (queue.entries.some(({ key, id }) => key !== undefined && key === held.place.key && id !== held.id))
    return;
  if (entry !== undefined) queue.remove([entry]);
  quarantine.add(held);
  found.rejected.push(held);
}

function takePending(queue: Queue, found: Found, record: StoredOp, id: string, op: PendingOp): void {
  const entry = queue.get(id);
  if (entry === undefined) {
    queue.insert(op, record.body, record.key);
    found.added.push(op);
  } else if (entry.key !== undefined && entry.key !== record.key) {
    // It is there twice: stored by a page that left it as its will, too.
    found.leftovers.push(record.key);
  } else if (entry.state === "stored" && !entry.changing && entry.body !== record.body) {
    queue.replace(entry, op, record.body);
    found.amended.push(op);
  }
}

/** One unreadable record keeps nothing else from being sent. */
function parse(body: string): PendingOp | undefined {
  try {
    const op: unknown = JSON.parse(body);
    return typeof op === "object" && op !== null ? (op as PendingOp) : undefined;
  } catch {
    return undefined;
  }
}
