// What the browser keeps for the page. Where it keeps nothing, or no more, the page itself does, as long as it is there.

/** `device`: until it is removed, for all tabs. `tab`: until the tab is closed, for it alone. */
export type Where = "device" | "tab";

/** What could not be stored; `undefined` is what could not be removed. */
const unstored: Readonly<Record<Where, Map<string, string | undefined>>> = {
  device: new Map(),
  tab: new Map(),
};

export function read(where: Where, key: string): string | undefined {
  if (unstored[where].has(key)) return unstored[where].get(key);
  try {
    return storage(where).getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Keeps a value, or without one nothing any more. */
export function write(where: Where, key: string, value: string | undefined): void {
  try {
    if (value === undefined) storage(where).removeItem(key);
    else storage(where).setItem(key, value);
    unstored[where].delete(key);
  } catch {
    // Forbidden or full: the page goes on with what it knows.
    unstored[where].set(key, value);
  }
}

/** The names that begin so of all that is kept. */
export function keys(where: Where, prefix: string): string[] {
  const names = new Set<string>();
  try {
    for (const name of Object.keys(storage(where))) names.add(name);
  } catch {
    // Blocked: the page has what it has.
  }
  for (const [name, value] of unstored[where]) {
    if (value === undefined) names.delete(name);
    else names.add(name);
  }
  return [...names].filter((name) => name.startsWith(prefix));
}

/** Reads a JSON object, whose members may be anything. */
export function readObject(where: Where, key: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(read(where, key) ?? "null");
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** To be asked for where it is used: where site data are blocked, even the name of a storage throws. */
function storage(where: Where): Storage {
  return where === "device" ? localStorage : sessionStorage;
}
