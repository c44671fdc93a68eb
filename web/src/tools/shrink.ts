// How small a picture becomes, and as what it is written, to fit into an op. Knows sides and lengths; who paints and writes
// it gives that in.

/** The longest data URL, in characters: an op may have 64 KiB with everything in it. */
export const MAX_HREF = 45_000;
/** The longest side that is tried first, in pixels, and what it is multiplied by until the image fits. */
const FIRST_SIDE = 1_600;
const SHRINK = 0.72;
const SMALLEST_SIDE = 24;

/** A type that pictures are written as. Each is one that the server's pictures can show, too. */
export interface Format {
  readonly type: "image/webp" | "image/jpeg" | "image/png";
  /** What is tried, the finest first; one that is `undefined` where the type knows no qualities. */
  readonly qualities: readonly (number | undefined)[];
}

const QUALITIES = [0.85, 0.7, 0.5];

/** WebP where the browser writes it. JPEG is the smaller one of the others, and shows nothing through. */
export function formatFor(can: { readonly writeWebp: boolean; readonly beOpaque: boolean }): Format {
  if (can.writeWebp) return { type: "image/webp", qualities: QUALITIES };
  if (can.beOpaque) return { type: "image/jpeg", qualities: QUALITIES };
  return { type: "image/png", qualities: [undefined] };
}

/**
 * The largest picture that fits, as fine as it fits: a data URL and its longest side. `write` makes one of a side and a
 * quality.
 */
export async function shrunk(
  longest: number,
  { qualities }: Format,
  write: (side: number, quality: number | undefined) => Promise<string>,
): Promise<{ readonly href: string; readonly side: number }> {
  const roughest = qualities.at(-1);
  for (let side = Math.min(FIRST_SIDE, longest); side >= Math.min(SMALLEST_SIDE, longest); ) {
    const rough = await write(side, roughest);
    if (rough.length < MAX_HREF) {
      for (const quality of qualities.slice(0, -1)) {
        const href = await write(side, quality);
        if (href.length < MAX_HREF) return { href, side };
      }
      return { href: rough, side };
    }
    // What is far too long is not taken down step by step. Characters go with pixels, but not quite: half a step is left.
    side *= Math.min(SHRINK, Math.sqrt(MAX_HREF / rough.length / SHRINK));
  }
  throw new Error("it does not become small enough");
}
