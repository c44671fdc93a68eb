// Full-jitter backoff: clients that failed together do not come back together.

import { BACKOFF_FIRST, BACKOFF_LAST } from "./limits.js";

/** About an interval: a quarter more or less of it. */
export function spread(interval: number, random: () => number): number {
  return interval * (0.75 + random() / 2);
}

/** The pause before a further attempt, in milliseconds; `failures` counts those in a row, from 1. */
export function backoff(failures: number, random: () => number = Math.random): number {
  return random() * Math.min(BACKOFF_LAST, BACKOFF_FIRST * 2 ** (failures - 1));
}
