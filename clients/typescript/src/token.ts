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
    const bytes = Uint8Array.from(atob(payload.replace(/-/g, "+").replace(/_/g, "/")), (char) =>
      char.charCodeAt(0),
    );
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof claims === "object" && claims !== null ? (claims as Claims) : undefined;
  } catch {
    return undefined;
  }
}
