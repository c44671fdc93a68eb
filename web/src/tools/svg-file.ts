// SVG files: how large one is, which they need not tell.

/** What is shown of one that does not tell its size, in pixels. */
const DEFAULT = { width: 300, height: 150 };
/** The longest side that one is drawn with, in pixels: lines are sharp at any size. */
const DRAWN_SIDE = 1_200;

export function isSvg({ type, name }: File): boolean {
  return type === "image/svg+xml" || (type === "" && /\.svg$/i.test(name));
}

/** What was read already to find out that it is an SVG. */
const known = new WeakMap<File, Element>();

/** A text as a file, where it is the whole of a picture, and no text that only begins like one. */
export function svgFile(source: string): File | undefined {
  const svg = parsed(source);
  if (svg.localName !== "svg" || svg.namespaceURI !== "http://www.w3.org/2000/svg") return undefined;
  const file = new File([source], "SVG", { type: "image/svg+xml" });
  known.set(file, svg);
  return file;
}

/** The size that an SVG has, and the same SVG at a size that it is drawn with. Fails where it is none. */
export async function sizedSvg(file: File): Promise<{ width: number; height: number; href: string }> {
  const svg = known.get(file) ?? parsed(await file.text());
  // It is changed here, and is not what is in the file any more.
  known.delete(file);
  if (svg.localName !== "svg") throw new Error("it is no SVG that can be read");
  const [, , boxWidth, boxHeight] = (svg.getAttribute("viewBox") ?? "").split(/[\s,]+/).map(Number);
  const box = { width: positive(boxWidth), height: positive(boxHeight) };
  const told = { width: pixels(svg.getAttribute("width")), height: pixels(svg.getAttribute("height")) };
  const ratio = (box.width ?? DEFAULT.width) / (box.height ?? DEFAULT.height);
  const width = told.width ?? (told.height === undefined ? undefined : told.height * ratio) ?? box.width;
  const size = { width: width ?? DEFAULT.width, height: told.height ?? (width ?? DEFAULT.width) / ratio };
  const factor = DRAWN_SIDE / Math.max(size.width, size.height);
  if (!svg.hasAttribute("viewBox")) svg.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
  svg.setAttribute("width", `${Math.max(1, size.width * factor)}`);
  svg.setAttribute("height", `${Math.max(1, size.height * factor)}`);
  const written = new XMLSerializer().serializeToString(svg);
  return { ...size, href: `data:image/svg+xml;charset=utf-8,${encodeURIComponent(written)}` };
}

function parsed(source: string): Element {
  return new DOMParser().parseFromString(source, "image/svg+xml").documentElement;
}

/** A length in pixels; none of one in parts of something else. */
function pixels(length: string | null): number | undefined {
  const told = /^\s*([\d.]+)(px)?\s*$/.exec(length ?? "")?.[1];
  return told === undefined ? undefined : positive(Number(told));
}

function positive(value: number | undefined): number | undefined {
  return value !== undefined && Number.isFinite(value) && value > 0 ? value : undefined;
}
