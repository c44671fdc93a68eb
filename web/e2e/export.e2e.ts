// A picture shows all that is drawn, in whatever font, and little more.

import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { look, type Picture } from "./support/picture.js";
import { World } from "./support/world.js";

/** The room that the server leaves around what is drawn. */
const MARGIN = 16;
/** Fonts that a viewer may have for text, all of which tests have. */
const FONTS = ["sans-serif", "DejaVu Sans", "DejaVu Serif", "Noto Serif", "Liberation Sans"];
/** How much broader a picture may be than its text in Chromium. */
const BROADEST = 1.65;
/** The same of letters that only a font of Japan has as broad as its own, and of what only some fonts join. */
const [BROADEST_IN_JAPAN, BROADEST_OF_PARTS] = [1.8, 4.5];

/** Size of large text: the margin hides nothing. */
const SIZE = 200;

/** Text in many scripts, by name. */
const TEXTS = {
  latin: "Sphinx of black quartz, judge my vow",
  wide: "W M @ WWWWMMMM@@@@%%%%mmmmwwww",
  narrow: "Illicit illiteracy, jilted. (filling)",
  digits: "0123456789 + 9876543210 = 9999999999",
  french: "Où l’œuvre dégénère, ça gêne Noël à l’île",
  vietnamese: "Tiếng Việt: Ổ ỗ ự ẵ Ặ nghiêng ngả",
  decomposed: "Tiếng Việt: Ổ ỗ ự ẵ Ặ".normalize("NFD"),
  han: "漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢",
  japanese: "いろはにほへと チリヌルヲ ﾜｶﾖﾀﾚｿ",
  korean: "키스의 고유조건은 입술끼리 만나야",
  jamo: "키스의 고유조건은".normalize("NFD"),
  arabic: "نص حكيم له سر قاطع وذو شأن عظيم",
  vowelled: "بِسْمِ ٱللَّهِ ٱلرَّحْمَٰنِ ٱلرَّحِيمِ",
  urdu: "ٹھنڈ میں، ایک قحط زدہ گاؤں سے گذرتے وقت",
  hebrew: "דג סקרן שט בים מאוכזב ולפתע מצא חברה",
  pointed: "בְּרֵאשִׁית בָּרָא אֱלֹהִים",
  devanagari: "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा",
  bengali: "আমার সোনার বাংলা আমি তোমায় ভালোবাসি",
  tamil: "யாமறிந்த மொழிகளிலே தமிழ்மொழி போல்",
  telugu: "దేశ భాషలందు తెలుగు లెస్స క్ష్మి",
  malayalam: "മലയാളം അക്ഷരമാല ക്ഷേത്രം",
  sinhala: "ශ්‍රී ලංකාව සිංහල භාෂාව",
  thai: "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า ปู่ญี่ที่",
  khmer: "ខ្ញុំអាចញ៉ាំកញ្ចក់បាន ដោយគ្មានបញ្ហា",
  myanmar: "ကျွန်တော် မြန်မာစကား မပြောတတ်ဘူး",
  tibetan: "བོད་ཀྱི་སྐད་ཡིག རྒྱལ་ཁབ",
  armenian: "Բել դղյակի ձախ ժամն օֆ ազգությանը",
  georgian: "საქართველოს დედაქალაქი თბილისი",
  ethiopic: "ሰላም ለዓለም ሁሉ አማርኛ ፊደል",
  emoji: "😀🎉🚀🌍🍎⌚✅⭐❤️☺️",
  symbols: "→←↑↓⇒∑∫≠≤≥√∞■●★♥™…—“”",
  spaces: "a   b\tc   d",
} as const;

/** Letters that are full-width in fonts of Japan. */
const GREEK = {
  greek: "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία",
  russian: "Съешь же ещё этих мягких французских булок",
} as const;

/** Where a font may join what another does not. */
const PARTS = {
  families: "👩‍👩‍👧‍👦👩‍🚀🏳️‍🌈👍🏽👩🏾‍💻",
  flags: "🇩🇪🇫🇷🇯🇵🇧🇷🇿🇦",
  keycaps: "1️⃣2️⃣#️⃣",
  stacked: `z${"\u0301\u0302\u0303\u0304".repeat(3)}a${"\u0323\u0324".repeat(4)}lgo Ἄ\u0301`,
  "a lone mark": "\u0301 and \u0301",
  "nonsense of marks": "ाााााााााािूूूू्््ंं",
  "a sentence in one": "\ufdfd\ufdfa",
} as const;

let world: World;
let page: Page;

beforeAll(async () => {
  world = await World.open();
  page = await world.browser.newPage();
});
afterAll(() => world.close());

/** The picture of a drawing to which these ops led. */
async function exportOf(...ops: Record<string, unknown>[]): Promise<string> {
  const { testbed } = world;
  const person = await testbed.person("painter");
  const drawing = await testbed.createDrawing(person);
  await testbed.commit(
    person,
    drawing,
    ops.map((op) => ({ op_id: crypto.randomUUID(), ...op })),
  );
  const answer = await fetch(`${testbed.url}/v1/drawings/${drawing}/export?format=svg`, {
    headers: { authorization: `Bearer ${person.token}` },
  });
  expect(answer.status).toBe(200);
  return answer.text();
}

/** The picture of a drawing with this object alone. */
function exported(object: Record<string, unknown>): Promise<string> {
  return exportOf({ type: "object.create", object_id: "o", ...object });
}

/** Fails unless all ink is in the picture, and not only because of its margin. */
function expectWhole({ shown, ink }: Picture, what: string): void {
  // A pixel has a colour although the ink covers but a part of it.
  const slack = Math.max(1, (shown.right - shown.left) / 500);
  expect(ink.right, what).toBeGreaterThan(ink.left);
  expect(ink.left, `left of ${what}`).toBeGreaterThanOrEqual(shown.left + MARGIN - slack);
  expect(ink.top, `top of ${what}`).toBeGreaterThanOrEqual(shown.top + MARGIN - slack);
  expect(ink.right, `right of ${what}`).toBeLessThanOrEqual(shown.right - MARGIN + slack);
  expect(ink.bottom, `bottom of ${what}`).toBeLessThanOrEqual(shown.bottom - MARGIN + slack);
}

const text = (words: string, fontSize: number, more: object = {}) => ({
  kind: "text",
  props: { text: words, fontSize, x: 10, y: 20, ...more },
});

for (const [most, texts] of [
  [BROADEST, TEXTS],
  [BROADEST_IN_JAPAN, GREEK],
  [BROADEST_OF_PARTS, PARTS],
] as const) {
  test.for(Object.entries(texts))("text is whole in every font: %s", async ([name, words]) => {
    // Browsers round the letters of small fonts.
    expectWhole(await look(page, await exported(text(words, 11))), `small ${name}`);
    const svg = await exported(text(words, SIZE));
    for (const font of FONTS) expectWhole(await look(page, svg, font), `${name} in ${font}`);
    const { shown, ink } = await look(page, svg);
    // The rest is what letters may stick out on either side.
    const ratio = (shown.right - shown.left - 2 * MARGIN - SIZE) / (ink.right - ink.left);
    expect(ratio, `how much broader ${name} is taken to be`).toBeLessThanOrEqual(most);
  });
}

test("lines of text are whole, one above the other, and rotated", async () => {
  const lines = `${TEXTS.wide}\n${TEXTS.han}\n\n${TEXTS.vowelled}\n${TEXTS.thai}\nÅỔ${PARTS.stacked}`;
  for (const rotation of [0, 30, 90, 200]) {
    const svg = await exported(text(lines, 60, { rotation }));
    for (const font of FONTS) expectWhole(await look(page, svg, font), `lines at ${rotation} in ${font}`);
  }
});

test("the label of a token is whole, and on it", async () => {
  for (const label of [
    ...Object.values(TEXTS),
    ...Object.values(GREEK),
    ...Object.values(PARTS),
    "W",
    "漢",
    "Ab\nc",
  ]) {
    const svg = await exported({ kind: "token", props: { label, size: 400, x: 0, y: 0 } });
    for (const font of FONTS) expectWhole(await look(page, svg, font), `${label} in ${font}`);
  }
});

test("shapes are whole: their corners, ends and lines", async () => {
  const broad = { strokeWidth: 40, stroke: "#102030", x: 5, y: 5 };
  const zigzag = [
    [0, 0],
    [200, 10],
    [0, 20],
    [200, 30],
    [5, 200],
  ];
  const shapes: Record<string, Record<string, unknown>> = {
    rect: { ...broad, width: 100, height: 50, rotation: 33 },
    ellipse: { ...broad, width: 100, height: 50, rotation: 70 },
    line: { ...broad, x1: 0, y1: 0, x2: 100, y2: 3, rotation: 45 },
    "line through points": { ...broad, points: zigzag },
    "path of spikes": { ...broad, d: "M0 0L200 5L0 10L200 15Z", rotation: 10 },
    "path of curves": {
      ...broad,
      d: "M0 0C300 -200 -200 -200 100 0S100 300 0 0Q-90 90 10 60T300 0A50 20 30 1 1 0 0",
    },
    fog: { points: zigzag, x: 30 },
    token: { ...broad, size: 80 },
    image: { ...broad, href: `data:image/png;base64,${PIXEL}` },
    "unknown kind": { x: 0, y: 0, width: 30, height: 20, rotation: 20 },
  };
  for (const [name, props] of Object.entries(shapes)) {
    const kind = name.split(" ")[0] === "unknown" ? "star" : name.split(" ")[0];
    expectWhole(await look(page, await exported({ kind, props })), name);
  }
});

test("strokes are whole: at full pressure, at sharp turns, and as dots", async () => {
  const turns = Array.from({ length: 60 }, (_, nth) => [
    Math.cos(nth * 2.4) * nth * 3,
    Math.sin(nth * nth) * 80,
    (nth % 5) / 4,
  ]);
  const there = [
    [0, 0, 1],
    [100, 0, 1],
    [2, 1, 1],
    [100, 40, 1],
    [100, 40.5, 1],
  ];
  for (const points of [turns, there, [[3, 4, 1]], turns.map(([x, y]) => [x, y])]) {
    for (const tool of ["pen", "highlighter"]) {
      const props = { size: 40, color: "#102030", opacity: 1, scaleX: 2, rotation: 12 };
      const svg = await exportOf(
        { type: "stroke.begin", object_id: "s", tool, props, points },
        { type: "stroke.end", object_id: "s", count: points.length },
      );
      expectWhole(await look(page, svg), `${tool} through ${points.length} points`);
    }
  }
});

/** A black pixel. */
const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";
