// The ids of ops: UUIDs that ascend, of one moment each or of many made at once.

import { v7 as uuid } from "uuid";

/** Bytes of randomness of one id, and how many a browser gives at once. */
const ID_BYTES = 16;
const RANDOM_BYTES = 65_536;

/** So many ids, ascending. Asks for randomness once for thousands of them. */
export function newIds(count: number): string[] {
  if (count === 1) return [uuid()];
  const ids: string[] = [];
  const msecs = Date.now();
  let seq = 0;
  for (let left = count; left > 0; ) {
    const part = Math.min(left, RANDOM_BYTES / ID_BYTES);
    const random = crypto.getRandomValues(new Uint8Array(part * ID_BYTES));
    // From somewhere in the lower half of its range, so that it does not run over.
    if (ids.length === 0) seq = new DataView(random.buffer).getUint32(0) >>> 1;
    for (let nth = 0; nth < part; nth += 1) {
      ids.push(uuid({ msecs, seq: seq + ids.length, random: random.subarray(nth * ID_BYTES) }));
    }
    left -= part;
  }
  return ids;
}
