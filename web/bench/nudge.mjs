// For how long a page stands still as an arrow key moves thousands of selected objects.
//
//   node bench/nudge.mjs [PAGES]
//
// Starts a server of its own, and shows web/dist on it: target/release/testbed, or what REVCAST_TESTBED names. Needs Chromium
// (CHROMIUM names another one than /usr/bin/chromium). On each page, which nothing was done on before, a key is pressed
// three times. What counts is the longest task of the page from the press until the canvas is kept on the device, seconds
// later: on the clock, and of the processor, which is what a machine would need that has nothing else to do.

import { fileURLToPath } from "node:url";
import { preview } from "vite";
import { launch, serve } from "./serving.mjs";

const PAGES = Number(process.argv[2] ?? 5);
/** Of objects, and the milliseconds for which a nudge of them may block the page. */
const CASES = [
  [1_600, 100],
  [5_000, 300],
];
const NUDGES = 3;
/** From when all is saved to when the canvas has been kept. */
const KEPT_AFTER = 4_500;
const APART = 30;

const { url, token, call, stop } = await serve();
/** Shows the whiteboard as it was built last, whatever is built into the server. */
const shown = await preview({
  root: fileURLToPath(new URL("..", import.meta.url)),
  logLevel: "error",
  preview: { host: "127.0.0.1", port: 0, proxy: { "/v1": { target: url, ws: true } } },
});
const [address] = shown.resolvedUrls.local;
const browser = await launch();

async function fill(count) {
  const { drawing_id } = await call("POST", "/v1/drawings", { title: `${count} objects` });
  const columns = Math.ceil(Math.sqrt(count));
  for (let from = 0; from < count; from += 500) {
    const ops = Array.from({ length: Math.min(500, count - from) }, (_, nth) => {
      const [x, y] = [((from + nth) % columns) * APART, Math.floor((from + nth) / columns) * APART];
      const props = { x, y, width: 20, height: 20, stroke: "#1971c2", fill: "none", strokeWidth: 2 };
      return {
        op_id: crypto.randomUUID(),
        type: "object.create",
        object_id: `o${from + nth}`,
        kind: "rect",
        z: "V",
        props,
      };
    });
    await call("POST", `/v1/drawings/${drawing_id}/ops`, { ops });
  }
  return drawing_id;
}

/** A page of the drawing, with all of it selected. */
async function open(drawing, count) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    serviceWorkers: "block",
  });
  const page = await context.newPage();
  await page.addInitScript((value) => sessionStorage.setItem("revcast.token", value), token);
  await page.goto(new URL(`/?measure#/d/${drawing}`, address).href);
  await page.waitForFunction((least) => (window.__revcast?.stats().objects ?? 0) >= least, count);
  await page.getByTestId("connection-badge").getByText("Live").waitFor();
  await page.waitForTimeout(2_000);
  await page.mouse.click(640, 400);
  await page.keyboard.press("v");
  await page.keyboard.press("Control+a");
  await page.waitForTimeout(1_500);
  return page;
}

/** The longest task of the page's main thread, in milliseconds. */
async function nudge(page) {
  await browser.startTracing(page, { categories: ["toplevel"] });
  await page.keyboard.press("ArrowRight");
  const badge = page.getByTestId("sync-badge");
  const isSaved = (element) => /saved/i.test(`${element.getAttribute("aria-label")} ${element.textContent}`);
  // With the key the badge says at once that there is something to save.
  while (!(await badge.evaluate(isSaved))) await page.waitForTimeout(50);
  await page.waitForTimeout(KEPT_AFTER);
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString());
  const mains = traceEvents.filter(
    ({ name, args }) => name === "thread_name" && args.name === "CrRendererMain",
  );
  const threads = new Set(mains.map(({ pid, tid }) => `${pid}/${tid}`));
  const tasks = traceEvents.filter(
    ({ name, pid, tid }) => name.endsWith("RunTask") && threads.has(`${pid}/${tid}`),
  );
  const longest = (of) => Math.max(...tasks.map((task) => (task[of] ?? 0) / 1_000));
  return { clock: longest("dur"), processor: longest("tdur") };
}

const middle = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

try {
  for (const [count, limit] of CASES) {
    const rounds = Array.from({ length: NUDGES }, () => []);
    for (let nth = 0; nth < PAGES; nth += 1) {
      const page = await open(await fill(count), count);
      for (const round of rounds) round.push(await nudge(page));
      await page.context().close();
    }
    for (const [nth, round] of rounds.entries()) {
      const cell = (of) => {
        const times = round.map((times) => times[of]);
        return `${Math.min(...times).toFixed(0)} / ${middle(times).toFixed(0)} / ${Math.max(...times).toFixed(0)}`;
      };
      const isMet = Math.min(...round.map(({ clock }) => clock)) < limit;
      console.log(
        `${count} objects, nudge ${nth + 1}: longest task, least / middle / most: ${cell("clock")} ms on the clock, ` +
          `${cell("processor")} ms of the processor; ${isMet ? "below" : "NOT BELOW"} ${limit}`,
      );
      if (!isMet) process.exitCode = 1;
    }
  }
} finally {
  await browser.close();
  await shown.close();
  stop();
}
