// The request with which a page leaves: what is unsent, as far as it fits, while there is still a page.

import { MAX_BATCH_OPS, MAX_LEAVE_BYTES } from "../limits.js";
import { requestBody } from "./batch.js";
import type { Entry } from "./queue.js";
import { type CommitAnswer, isAnswerTo } from "./sender.js";

/** Entries that are in such a request now. */
export type Leaving = Set<Entry>;

/**
 * Posts the oldest entries in one request, begun at once. Resolves with its answer if the page lives on, and with
 * `undefined` if it failed: the usual way of sending goes on in any case. It is for the log of an `epoch` alone, where that
 * is known: in another one, what was lost with the epoch before goes first.
 */
export function leaveWith(
  entries: readonly Entry[],
  leaving: Leaving,
  epoch: string | undefined,
  post: (body: string) => Promise<unknown>,
): Promise<CommitAnswer | undefined> | undefined {
  const batch: Entry[] = [];
  let bytes = requestBody([], epoch).length;
  for (const entry of entries) {
    // Its body is about to change, and is stored both before and after. What follows may depend on it.
    if (entry.changing) break;
    bytes += entry.bytes + 1;
    if (bytes > MAX_LEAVE_BYTES || batch.length === MAX_BATCH_OPS) break;
    batch.push(entry);
  }
  // Those that are on their way go once more: requests may overtake each other, and what follows may depend on them.
  if (batch.every((entry) => leaving.has(entry))) return undefined;
  for (const entry of batch) {
    entry.sent = "maybe";
    leaving.add(entry);
  }
  return outcome(post(requestBody(batch, epoch)), batch, leaving);
}

async function outcome(
  posted: Promise<unknown>,
  batch: readonly Entry[],
  leaving: Leaving,
): Promise<CommitAnswer | undefined> {
  try {
    const answer = await posted;
    return isAnswerTo(answer, batch) ? answer : undefined;
  } catch {
    return undefined;
  } finally {
    for (const entry of batch) leaving.delete(entry);
  }
}
