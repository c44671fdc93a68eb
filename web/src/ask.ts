// Asks the server for a change that is not one of the canvas: who is in, by which links, and whether it is there at all.

/** Returns why the server did not do it, in words for the user; nothing if it did. */
export async function ask(request: () => Promise<{ error?: unknown }>): Promise<string | undefined> {
  const { error } = await request().catch((failure: unknown) => ({ error: failure ?? {} }));
  if (error === undefined) return undefined;
  const { code, detail } = error as { code?: string; detail?: string };
  // What is gone need not be removed, and a drawing that is gone says so by itself.
  if (code === "not_found") return undefined;
  return code === "last_owner" ? "A drawing needs an owner." : (detail ?? "That did not work.");
}
