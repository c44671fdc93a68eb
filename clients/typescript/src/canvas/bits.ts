// A set of small whole numbers that knows its largest member, however many there are.

/** Bits of a word, as a power of two: JavaScript computes with 32 at once. */
const WORD = 5;
/** Levels above the first; together they cover a million numbers. Beyond that the set is still right, only slower. */
const LEVELS = 4;

/** The numbers are bits in words. A bit of a level above tells whether a word below has any. */
export class Bits {
  readonly #levels: number[][] = Array.from({ length: LEVELS }, () => []);

  has(at: number): boolean {
    return ((this.#levels[0]?.[at >>> WORD] ?? 0) & bit(at)) !== 0;
  }

  /** Puts a number in, or takes it out. */
  set(at: number, isIn: boolean): void {
    let [place, isSet] = [at, isIn];
    for (const words of this.#levels) {
      const word = place >>> WORD;
      // A word that lies beyond the end must not leave a hole in the array.
      while (words.length <= word) words.push(0);
      const before = words[word] ?? 0;
      const after = isSet ? before | bit(place) : before & ~bit(place);
      words[word] = after;
      if ((before === 0) === (after === 0)) return;
      [place, isSet] = [word, after !== 0];
    }
  }

  /** The largest number in it that is less than `end`; -1 without one. */
  last(end: number): number {
    let place = end;
    for (const [level, words] of this.#levels.entries()) {
      const word = place >>> WORD;
      const found = (words[word] ?? 0) & (bit(place) - 1);
      if (found !== 0) return this.#descend(level, top(word, found));
      place = word;
    }
    // `place` is a word of the last level now.
    const words = this.#levels[LEVELS - 1] ?? [];
    for (let word = Math.min(place, words.length) - 1; word >= 0; word -= 1) {
      const found = words[word] ?? 0;
      if (found !== 0) return this.#descend(LEVELS - 1, top(word, found));
    }
    return -1;
  }

  /** The largest number beneath a bit of a level. */
  #descend(level: number, at: number): number {
    let place = at;
    for (let below = level - 1; below >= 0; below -= 1) {
      place = top(place, this.#levels[below]?.[place] ?? 0);
    }
    return place;
  }
}

function bit(at: number): number {
  return 1 << (at & 31);
}

/** The place of the highest bit of a word. */
function top(word: number, bits: number): number {
  return (word << WORD) + 31 - Math.clz32(bits);
}
