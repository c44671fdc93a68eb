// Order on screen: `z` strings that sort before or after others by their UTF-16 code units. Pure.

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const LAST = DIGITS.length - 1;

/** The `z` of the first object of a drawing: in the middle, with room below and above. */
export const MIDDLE = "V";

/** A short string that sorts after `z`. */
export function above(z: string): string {
  for (let at = 0; at < z.length; at += 1) {
    const digit = DIGITS.indexOf(z.charAt(at));
    if (digit >= 0 && digit < LAST) return z.slice(0, at) + DIGITS.charAt(digit + 1);
  }
  return z + MIDDLE;
}

/** A short string that sorts before `z`; none if there is no room, as before `""`. */
export function below(z: string): string | undefined {
  for (let at = 0; at < z.length; at += 1) {
    const digit = DIGITS.indexOf(z.charAt(at));
    // What is no digit here has most digits below it, or else nothing that can be told.
    if (digit < 0) return z.charAt(at) > "1" ? `${z.slice(0, at)}1` : undefined;
    if (digit > 1) return z.slice(0, at) + DIGITS.charAt(digit - 1);
    if (digit === 1) return `${z.slice(0, at)}0${MIDDLE}`;
  }
  return undefined;
}
