// What a bearer token says of itself. It is not verified here: the server does that.

export interface Claims {
  /** The user id. */
  readonly sub?: string;
  /** The user's name. */
  readonly name?: string;
  /** When it expires, in seconds since 1970. */
  readonly exp?: number;
}

/** The claims of a JWT; `undefined` for a token of another kind. */
export function claimsOf(token: string): Claims | undefined {
  const payload = token.split(".")[1];
  if (payload === undefined) return undefined;
  try {
    const bytes = atob(payload.replace(/-/g, "+").replace(/_/g, "/"));
    // Not `TextDecoder`, which not every platform has: a token would seem to be none for that.
    const escaped = Array.from(bytes, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, "0")}`).join(
      "",
    );
    const claims: unknown = JSON.parse(decodeURIComponent(escaped));
    return typeof claims === "object" && claims !== null ? (claims as Claims) : undefined;
  } catch {
    return undefined;
  }
}
