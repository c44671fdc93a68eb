// Asks the server for a change that is not one of the canvas: who is in, by which links, and whether it is there at all.

import { type RestAnswer, RevcastError, unwrap } from "@revcast/client";

/** Returns why the server did not do it, in words for the user; nothing if it did. */
export async function ask(request: () => Promise<RestAnswer<unknown>>): Promise<string | undefined> {
  try {
    unwrap(await request());
    return undefined;
  } catch (failure) {
    const problem = failure instanceof RevcastError ? failure.problem : undefined;
    // What is gone need not be removed, and a drawing that is gone says so by itself.
    if (problem?.code === "not_found") return undefined;
    return problem?.code === "last_owner"
      ? "A drawing needs an owner."
      : (problem?.detail ?? "That did not work.");
  }
}
