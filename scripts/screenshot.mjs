// Takes the picture of the whiteboard that stands in README.md: two people at one drawing, in a real browser.
//
//   node scripts/screenshot.mjs [docs/whiteboard.png]
//
// Starts a server of its own, from target/debug unless REVCAST_TESTBED names another one. Needs Chromium (CHROMIUM names
// another one than /usr/bin/chromium). `make screenshot` builds all of it first.

import { stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { launch, serve } from "../web/bench/serving.mjs";

const file = process.argv[2] ?? fileURLToPath(new URL("../docs/whiteboard.png", import.meta.url));
process.env.REVCAST_TESTBED ??= fileURLToPath(new URL("../target/debug/testbed", import.meta.url));

const SIZE = { width: 1120, height: 640 };
/** The largest picture that a repository should hold, in bytes. */
const MOST_BYTES = 200_000;
/** The place of Bob's cursor, and how far from it his name may be, in pixels. */
const BOB_IS_AT = [720, 470];
const NEAR = 40;
const PATIENCE_MS = 15_000;
const [BLUE, RED, GREEN, INK] = ["#1971c2", "#e03131", "#2f9e44", "#1e1e1e"];

let unit = 0;
/** An op of its own unit; ids and heights are the same in every run. */
const op = (fields) => {
  unit += 1;
  const id = `0198f0a0-0000-7000-8000-${String(unit).padStart(12, "0")}`;
  return { op_id: id, object_id: `o${unit}`, z: `a${String(unit).padStart(3, "0")}V`, ...fields };
};
const object = (kind, props) => op({ type: "object.create", kind, props });
const text = (x, y, content, fontSize = 20, color = INK) =>
  object("text", { x, y, text: content, fontSize, color });

/** An arrow as the whiteboard makes it: a path with a head. */
function arrow(x1, y1, x2, y2, stroke) {
  const angle = Math.atan2(y2 - y1, x2 - x1);
  const back = (length, turn) =>
    [x2 - length * Math.cos(angle + turn), y2 - length * Math.sin(angle + turn)].map(Math.round).join(" ");
  const d = `M${x1} ${y1}L${back(10, 0)}M${back(15, 0.45)}L${x2} ${y2}L${back(15, -0.45)}Z`;
  return object("path", { d, x1, y1, x2, y2, stroke, fill: stroke, strokeWidth: 3 });
}

/** A box with a word in it. */
const box = (x, y, word, stroke, fill) => [
  object("rect", { x, y, width: 150, height: 74, stroke, fill, strokeWidth: 3, rx: 10 }),
  text(x + 22, y + 24, word, 22),
];

/** A line as a hand draws it. */
function scribble(from, to, color, size = 5, waves = 3) {
  const points = Array.from({ length: 40 }, (_, at) => {
    const part = at / 39;
    const sway = Math.sin(part * Math.PI * 2 * waves) * 5 + Math.cos(at * 1.7) * 1.2;
    const point = [from[0] + (to[0] - from[0]) * part, from[1] + (to[1] - from[1]) * part + sway];
    return point.map((value) => Math.round(value * 10) / 10);
  });
  return op({ type: "stroke.begin", tool: "pen", props: { color, size }, points });
}

/** A ring around something that matters. */
function ring(x, y, across, down, color) {
  const points = Array.from({ length: 60 }, (_, at) => {
    const turn = (at / 56) * Math.PI * 2 - 2;
    const grow = 1 + at * 0.0012;
    return [x + Math.cos(turn) * across * grow, y + Math.sin(turn) * down * grow].map(Math.round);
  });
  return op({ type: "stroke.begin", tool: "pen", props: { color, size: 5 }, points });
}

const scene = [
  text(40, 40, "How a stroke travels", 34),
  scribble([42, 96], [370, 94], BLUE),
  ...box(40, 180, "Alice", BLUE, "#e7f5ff"),
  ...box(330, 180, "the log", GREEN, "#ebfbee"),
  ...box(620, 90, "Bob", RED, "#fff5f5"),
  ...box(620, 270, "Carol", "#7048e8", "#f3f0ff"),
  arrow(196, 217, 322, 217, BLUE),
  arrow(486, 205, 612, 135, GREEN),
  arrow(486, 230, 612, 300, GREEN),
  text(222, 180, "POST", 18, BLUE),
  text(548, 206, "frames", 18, GREEN),
  ring(405, 218, 108, 70, RED),
  text(318, 310, "revision 1, 2, 3 …", 20, RED),
  scribble([320, 344], [490, 342], RED, 4, 4),
  object("ellipse", {
    x: 60,
    y: 330,
    width: 150,
    height: 90,
    stroke: "#f08c00",
    fill: "#fff4e6",
    strokeWidth: 3,
  }),
  text(88, 362, "presence", 22, "#f08c00"),
  scribble([218, 376], [300, 400], "#f08c00", 4, 2),
];

/** Opens the drawing as somebody with a name. */
async function enter(browser, url, link, name) {
  const context = await browser.newContext({ viewport: SIZE, baseURL: url, reducedMotion: "reduce" });
  const page = await context.newPage();
  await page.goto("/");
  await page.getByTestId("my-name").fill(name);
  await page.getByTestId("my-name").blur();
  await page.goto(`/#/join/${link}`);
  await page.waitForURL(/#\/d\//);
  await page.getByTestId("canvas-still").waitFor();
  return page;
}

/** Waits until an element, such as the name at a cursor, is near a place. */
async function isAt(element, [x, y]) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const box = await element.boundingBox();
    if (box !== null && Math.hypot(box.x - x, box.y - y) < NEAR) return;
    if (Date.now() > deadline) throw new Error(`the cursor is not at ${x}, ${y}: ${JSON.stringify(box)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const server = await serve();
const browser = await launch();
try {
  const { drawing_id } = await server.call("POST", "/v1/drawings", { title: "How a stroke travels" });
  await server.call("POST", `/v1/drawings/${drawing_id}/ops`, { ops: scene });
  const { token } = await server.call("POST", `/v1/drawings/${drawing_id}/links`, { role: "editor" });
  const alice = await enter(browser, server.url, token, "Alice");
  const bob = await enter(browser, server.url, token, "Bob");
  await alice.mouse.move(640, 520);
  await bob.mouse.move(...BOB_IS_AT, { steps: 5 });
  await isAt(alice.getByText("Bob", { exact: true }).first(), BOB_IS_AT);
  await alice.screenshot({ path: file, animations: "disabled" });
} finally {
  await browser.close();
  server.stop();
}
const { size } = await stat(file);
if (size > MOST_BYTES) throw new Error(`${file} has ${size} bytes, more than ${MOST_BYTES}`);
console.log(`${file}: ${size} bytes`);
