// Finds texts that were written over, or deleted, by somebody who could not have seen them: they were offline, or two were
// at it in the same moment.
//
// Every reader finds it in the log as it comes. What a snapshot has skipped of the log is looked up in the past of the
// drawing, by whoever wrote over it. Both ways come to the same id. Knows nothing of the board.

import type { AcknowledgedOp, CommittedOp, JsonObject, ViewObject } from "../revcast.js";
import { text } from "../scene/props.js";
import type { Due, DueStore } from "./due.js";

/** Objects whose last writer is remembered, and ops that are to be compared with the past. */
export const MAX_KNOWN = 1_000;
/** Digits of the print of a text. */
const PRINT = 8;
/** Texts of which a mark has room for the prints. */
export const MAX_MARKED = 100;

/** What an op tells of who makes it, and of what they have seen. */
export interface Mark {
  readonly tab: string;
  /** The revision that they saw, and its epoch. */
  readonly seen: number;
  readonly epoch?: string | undefined;
  /** The prints of the texts that it writes over: of as many of its objects, from the first one. */
  readonly over?: string | undefined;
}

/** A text that is seen no more, and that its writer may still want. */
export interface Lost {
  /** The object that had it, or was to have it. */
  readonly object_id: string;
  /** The id under which it is to be kept: the same for all who find it. */
  readonly kept_id: string;
  readonly text: string;
  /** The object as it was before, where that had to be looked up. */
  readonly before?: ViewObject | undefined;
}

export interface OverwrittenOptions {
  userId(): string | undefined;
  epoch(): string | undefined;
  /** The revision of the drawing. */
  revision(): number;
  /** What was seen at a revision. */
  past(revision: number): Promise<readonly ViewObject[]>;
  /** Whether the past may be asked for once more after such an error. */
  mayRetry(error: unknown): boolean;
  lost(lost: Lost): void;
  /** Where it is kept what is still to be looked up; `undefined` until the user is known. */
  store(): Pick<DueStore, "load" | "keep" | "forget"> | undefined;
}

/** Who wrote a text last, or deleted it. */
interface Change {
  readonly revision: number;
  readonly actor: string;
  readonly tab: string | undefined;
  /** None of a deletion. */
  readonly text: string | undefined;
}

/** Short, and another one for nearly every other text. */
export function printOf(written: string): string {
  let print = 0x811c9dc5;
  for (let at = 0; at < written.length; at += 1) {
    print = Math.imul(print ^ written.charCodeAt(at), 0x01000193);
  }
  return (print >>> 0).toString(16).padStart(PRINT, "0");
}

export class Overwritten {
  readonly #options: OverwrittenOptions;
  readonly #changes = new Map<string, Change>();
  /** All changes after this revision are known, but for those that are remembered no more. */
  #from = 0;
  #last: number | undefined;
  #epoch: string | undefined;
  /** By op id. */
  readonly #due = new Map<string, Due>();
  #store: ReturnType<OverwrittenOptions["store"]>;
  #isAsking = false;
  /** Whether the past could not be had, the last time. */
  #hasFailed = false;

  constructor(options: OverwrittenOptions) {
    this.#options = options;
  }

  /** Takes in ops of the log. */
  see(ops: readonly CommittedOp[]): void {
    this.#recall();
    for (const op of ops) {
      this.#follow(op);
      const id = op.op_id.toLowerCase();
      const wasDue = this.#due.delete(id);
      if (this.#see(op)) this.#want(id, { op, revision: op.revision });
      else if (wasDue) this.#store?.forget(id);
    }
    this.look();
  }

  /** The server has these of the user's own. The log tells the rest, unless a snapshot was quicker. */
  acknowledged(ops: readonly AcknowledgedOp[]): void {
    this.#recall();
    for (const op of ops) {
      if (markOf(op)?.over === undefined || op.revision <= 1) continue;
      this.#want(op.op_id.toLowerCase(), { op, revision: op.revision });
    }
    this.look();
  }

  /** Looks up what is due, once the drawing is there. To be called when it has changed. */
  look(): void {
    this.#recall();
    if (this.#isAsking || this.#hasFailed || this.#due.size === 0) return;
    this.#isAsking = true;
    // After those who are told of the same ops.
    queueMicrotask(() => void this.#ask());
  }

  /** The server is in reach again. */
  retry(): void {
    this.#hasFailed = false;
    this.look();
  }

  /** Takes over what was due when the page was closed the last time, once it is known whose it is. */
  #recall(): void {
    if (this.#store !== undefined) return;
    this.#store = this.#options.store();
    for (const [id, due] of this.#store?.load() ?? []) put(this.#due, id, due);
  }

  #want(id: string, due: Due): void {
    this.#store?.keep(due);
    for (const { op } of put(this.#due, id, due)) this.#store?.forget(op.op_id);
  }

  #follow({ revision }: CommittedOp): void {
    const epoch = this.#options.epoch();
    if (revision !== (this.#last ?? Number.NaN) + 1 || epoch !== this.#epoch) {
      this.#changes.clear();
      this.#from = revision - 1;
    }
    this.#last = revision;
    this.#epoch = epoch;
  }

  /** Whether it has to be compared with the past. */
  #see(op: CommittedOp): boolean {
    const { revision, actor } = op;
    const mark = markOf(op);
    const userId = this.#options.userId();
    let isUnsure = false;
    for (const [nth, [object_id, written]] of changesOf(op).entries()) {
      const before = this.#changes.get(object_id);
      this.#remember(object_id, { revision, actor, tab: mark?.tab, text: written });
      if (mark === undefined) continue;
      if (before === undefined) {
        const isKnown = mark.seen >= this.#from && this.#isOfThisEpoch(mark);
        isUnsure ||= actor === userId && !isKnown && overOf(mark, nth) !== undefined;
      } else if (before.actor === userId || actor === userId) {
        if (this.#isBlind(before, mark, nth)) this.#tell(op, nth, before.text, undefined);
      }
    }
    return isUnsure && revision > 1;
  }

  #isBlind(before: Change, mark: Mark, nth: number): boolean {
    if (before.tab === mark.tab) return false;
    const over = overOf(mark, nth);
    if (over !== undefined && before.text !== undefined && printOf(before.text) === over) return false;
    return this.#isOfThisEpoch(mark) ? mark.seen < before.revision : over !== undefined;
  }

  /** Whether the revision that was seen counts in the log as it is now. */
  #isOfThisEpoch({ epoch }: Mark): boolean {
    return epoch === undefined || epoch === this.#options.epoch();
  }

  #tell(op: AcknowledgedOp | CommittedOp, nth: number, was: string | undefined, before?: ViewObject): void {
    const [object_id, written] = changesOf(op)[nth] ?? [""];
    // Of two who write, the later one is seen; of one who writes and one who deletes, nothing is.
    const its = was ?? written;
    if (was === written || its === undefined || its.trim() === "") return;
    const named = op.type === "object.delete" ? `-${nth}` : "";
    const kept_id = `kept-${op.op_id.toLowerCase()}${named}`;
    this.#options.lost({ object_id, kept_id, text: its, before });
  }

  async #ask(): Promise<void> {
    const { revision, past, mayRetry } = this.#options;
    try {
      for (const [id, due] of this.#due) {
        // Until then it may still come by itself.
        if (due.revision > revision()) continue;
        const objects = await past(due.revision - 1);
        if (this.#due.get(id) !== due) continue;
        this.#due.delete(id);
        this.#compare(due.op, objects);
        this.#store?.forget(id);
      }
    } catch (error) {
      this.#hasFailed = mayRetry(error);
      if (!this.#hasFailed) {
        for (const id of this.#due.keys()) this.#store?.forget(id);
        this.#due.clear();
      }
    } finally {
      this.#isAsking = false;
    }
  }

  /** What an op of one's own has written over, and its writer has not seen. */
  #compare(op: AcknowledgedOp | CommittedOp, objects: readonly ViewObject[]): void {
    const mark = markOf(op);
    const byId = new Map(objects.map((object) => [object.object_id, object]));
    for (const [nth, [object_id]] of changesOf(op).entries()) {
      const over = mark && overOf(mark, nth);
      if (over === undefined) break;
      const before = byId.get(object_id);
      const was = before && (text(before.props, "text") ?? "");
      if (was === undefined || printOf(was) !== over) this.#tell(op, nth, was, before);
    }
  }

  #remember(object_id: string, change: Change): void {
    for (const forgotten of put(this.#changes, object_id, change)) {
      this.#from = Math.max(this.#from, forgotten.revision);
    }
  }
}

function overOf({ over }: Mark, nth: number): string | undefined {
  const print = over?.slice(nth * PRINT, (nth + 1) * PRINT);
  return print?.length === PRINT ? print : undefined;
}

function markOf({ meta }: { readonly meta?: JsonObject }): Mark | undefined {
  const { tab, seen, epoch, over } = meta ?? {};
  if (typeof tab !== "string" || typeof seen !== "number") return undefined;
  return { tab, seen, epoch: asText(epoch), over: asText(over) };
}

function asText(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** The texts that an op writes, and the objects that it deletes. */
function changesOf(op: AcknowledgedOp | CommittedOp): (readonly [id: string, text: string | undefined])[] {
  const { type, object_id, object_ids, set, props } = op as Readonly<Record<string, unknown>>;
  if (type === "object.delete" && Array.isArray(object_ids)) {
    return object_ids.flatMap((id: unknown) => (typeof id === "string" ? [[id, undefined] as const] : []));
  }
  const written = type === "object.update" ? set : type === "object.create" ? props : undefined;
  if (typeof written !== "object" || written === null || typeof object_id !== "string") return [];
  const its = Reflect.get(written, "text");
  return typeof its === "string" ? [[object_id, its]] : [];
}

/** The oldest ones are forgotten, and returned. */
export function put<T>(map: Map<string, T>, id: string, value: T): T[] {
  const forgotten: T[] = [];
  map.delete(id);
  map.set(id, value);
  for (const [oldest, its] of map) {
    if (map.size <= MAX_KNOWN) break;
    map.delete(oldest);
    forgotten.push(its);
  }
  return forgotten;
}
