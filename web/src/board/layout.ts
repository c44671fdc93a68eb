// Which letter and which sign a key stands for, on keyboards of all languages. Pure.

type Key = Pick<KeyboardEvent, "key" | "code">;

/** Letters of other scripts, and the marks that some of them are written with. */
const FOREIGN = /^(?!\p{Script=Latin})[\p{L}\p{M}]/u;

/**
 * The Latin letter of a key, in lower case: the one that it types, so that AZERTY, QWERTZ and Dvorak stay as they are. Where
 * it types a letter of another script, as Cyrillic and Arabic keyboards do, its place tells which Latin one is beside it.
 */
export function letterOf({ key, code }: Key): string | undefined {
  if (/^[a-z]$/i.test(key)) return key.toLowerCase();
  return FOREIGN.test(key) ? /^Key([A-Z])$/.exec(code)?.[1]?.toLowerCase() : undefined;
}

/** What a key types; the digit on it where that is no plain sign, as on AZERTY (`à`) and Persian (`۰`) keyboards. */
export function signOf({ key, code }: Key): string {
  if (/^[ -~]+$/.test(key)) return key;
  return /^Digit(\d)$/.exec(code)?.[1] ?? key;
}
