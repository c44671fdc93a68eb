// Frame times of the whiteboard with very many strokes, while panning, zooming and drawing.
//
//   node bench/frames.mjs [STROKES]
//
// Starts a server of its own: target/release/testbed, or what REVCAST_TESTBED names. Needs Chromium (CHROMIUM names
// another one than /usr/bin/chromium). A frame time is what lies between two frames; work is what painting one took.
// Last, how long a page does nothing else while it takes in a fold that closes half of an open history at its budget.

import { fileURLToPath } from "node:url";
import { build } from "vite";
import { launch, serve } from "./serving.mjs";

const STROKES = Number(process.argv[2] ?? 20_000);
const COLOURS = ["#1e1e1e", "#e03131", "#2f9e44", "#1971c2", "#7048e8", "#f08c00"];
/** World units from one stroke to the next. */
const APART = 60;
/** Open units of a history at the budget of undo, each of which weighs little more than a unit does by itself. */
const UNITS = 26_000;
/** Histories that are folded; the first by code that the browser has never run. */
const FOLDS = 8;

/** A scribble of 24 points, as a hand would make it, with numbers that are the same in every run. */
function strokeAt(nth, columns) {
  const [left, top] = [(nth % columns) * APART, Math.floor(nth / columns) * APART];
  const points = Array.from({ length: 24 }, (_, at) => {
    const turn = at * 0.5 + nth;
    const x = left + at * 4 + 12 * Math.sin(turn * 1.3);
    const y = top + 24 * Math.sin(turn * 0.7) + 8 * Math.cos(turn * 2.1);
    return [Math.round(x * 10) / 10, Math.round(y * 10) / 10];
  });
  return { tool: "pen", props: { color: COLOURS[nth % COLOURS.length], size: 3 }, points };
}

async function fill() {
  const { drawing_id } = await call("POST", "/v1/drawings", { title: `${STROKES} strokes` });
  const columns = Math.ceil(Math.sqrt(STROKES));
  for (let from = 0; from < STROKES; from += 250) {
    const ops = [];
    for (let nth = from; nth < Math.min(STROKES, from + 250); nth += 1) {
      const [object_id, unit] = [`s${nth}`, crypto.randomUUID()];
      ops.push({ op_id: unit, type: "stroke.begin", object_id, z: "V", ...strokeAt(nth, columns) });
      ops.push({ op_id: crypto.randomUUID(), type: "stroke.end", object_id, unit, count: 0 });
    }
    await call("POST", `/v1/drawings/${drawing_id}/ops`, { ops });
    process.stderr.write(`\r${Math.min(STROKES, from + 250)} strokes`);
  }
  process.stderr.write("\n");
  return drawing_id;
}

function line(name, { times, work }) {
  const at = (sorted, share) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1);
  const cell = (values) => {
    const sorted = [...values].sort((a, b) => a - b);
    return [0.5, 0.95, 0.99, 1].map((share) => at(sorted, share).padStart(7)).join("");
  };
  console.log(`${name.padEnd(22)}${String(times.length).padStart(6)} ${cell(times)}   ${cell(work)}`);
}

/** The client as a script that makes it known as `Revcast`. */
async function clientScript() {
  const lib = {
    entry: fileURLToPath(import.meta.resolve("@revcast/client")),
    formats: ["iife"],
    name: "Revcast",
  };
  const [{ output }] = await build({ configFile: false, logLevel: "error", build: { write: false, lib } });
  return output[0].code;
}

/** Runs in the page. Returns what each fold took: of units that created objects, then of those that moved them. */
function applyFolds([units, folds]) {
  const half = units / 2;
  const fields = (revision) => ({ revision, actor: "bench", ts: revision });
  const idOf = (revision) => `00000000-0000-7000-8000-${String(revision).padStart(12, "0")}`;
  const took = { creates: [], moves: [] };
  for (let nth = 0; nth < folds; nth += 1) {
    const canvas = new Revcast.Canvas();
    const apply = (op) =>
      canvas.apply({ ...fields(canvas.revision + 1), op_id: idOf(canvas.revision + 1), ...op });
    for (let at = 0; at < half; at += 1) {
      const props = { x: at, y: 0, w: 1, h: 1, color: "red", size: 3 };
      apply({ type: "object.create", object_id: `o${at}`, kind: "rect", z: "V", props });
    }
    for (let at = 0; at < half; at += 1) {
      apply({ type: "object.update", object_id: `o${at}`, set: { x: at, y: 1 } });
    }
    canvas.view();
    for (const [name, floor] of [
      ["creates", half],
      ["moves", units],
    ]) {
      const begun = performance.now();
      apply({ type: "fold", floor });
      canvas.view();
      took[name].push(performance.now() - begun);
    }
  }
  return took;
}

async function measureFolds(browser) {
  const page = await browser.newPage();
  await page.addScriptTag({ content: await clientScript() });
  const took = await page.evaluate(applyFolds, [UNITS, FOLDS]);
  for (const [name, times] of Object.entries(took)) {
    const sorted = times.toSorted((a, b) => a - b);
    const [middle, most] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
    const what = `a fold that closes ${UNITS / 2} ${name}`;
    console.log(
      `${what.padEnd(36)} blocks the page for ${middle.toFixed(1)} ms, ${most.toFixed(1)} ms at most`,
    );
  }
  await page.close();
}

const { url, token, call, stop } = await serve();
const drawing = await fill();
const browser = await launch();
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await page.addInitScript((value) => sessionStorage.setItem("revcast.token", value), token);
  const begun = Date.now();
  await page.goto(new URL(`/?measure#/d/${drawing}`, url).href);
  await page.waitForFunction((least) => (window.__revcast?.stats().objects ?? 0) >= least, STROKES, {
    timeout: 120_000,
  });
  console.log(`drawing ${drawing}: ${STROKES} strokes there after ${Date.now() - begun} ms`);
  await page.waitForTimeout(6_000);

  const measured = async (name, act) => {
    await page.evaluate(() => [window.__revcast?.frameTimes(), window.__revcast?.stats()]);
    await act();
    line(
      name,
      await page.evaluate(() => ({
        times: window.__revcast?.frameTimes() ?? [],
        work: window.__revcast?.stats().work ?? [],
      })),
    );
  };
  const wheel = async (dx, dy, steps) => {
    for (let nth = 0; nth < steps; nth += 1) {
      await page.mouse.wheel(dx, dy);
      await page.waitForTimeout(12);
    }
  };
  const scribble = async (left, top) => {
    await page.mouse.move(left, top);
    await page.mouse.down();
    for (let nth = 1; nth <= 60; nth += 1) {
      await page.mouse.move(left + nth * 8, top + 60 * Math.sin(nth / 5));
      await page.waitForTimeout(12);
    }
    await page.mouse.up();
  };

  console.log(`${" ".repeat(28)} frame ms: p50    p95    p99    max   work ms: p50   p95    p99    max`);
  await measured("nothing happens", () => page.waitForTimeout(2_000));
  await page.mouse.move(640, 400);
  await measured("pan, all of it seen", () => wheel(14, 9, 150));
  await measured("draw, all of it seen", async () => {
    await page.keyboard.press("p");
    await scribble(200, 300);
    await scribble(300, 500);
  });
  await page.keyboard.press("0");
  await page.waitForTimeout(2_000);
  await measured("pan at 100 %", () => wheel(22, 12, 150));
  await measured("draw at 100 %", async () => {
    await scribble(200, 300);
    await scribble(300, 500);
  });
  await measured("zoom out and in", async () => {
    await page.keyboard.down("Control");
    await wheel(0, 12, 60);
    await wheel(0, -12, 60);
    await page.keyboard.up("Control");
  });
  await measureFolds(browser);
} finally {
  await browser.close();
  stop();
}
