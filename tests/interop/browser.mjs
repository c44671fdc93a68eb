// Chromium as a client: node browser.mjs socket|events PARAMETERS. Prints what happens in a page of the
// server, one JSON object a line.

import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const [mode, parameters] = [process.argv[2], JSON.parse(process.argv[3])];
const file = (name) => fileURLToPath(new URL(name, import.meta.url));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  const page = await browser.newPage();
  await page.exposeFunction("tell", (event) => console.log(JSON.stringify(event)));
  // Any page of the server will do; this one has nothing of its own.
  await page.goto(`${parameters.base}/healthz`);
  await (mode === "socket" ? followSocket(page) : followEvents(page));
} finally {
  await browser.close();
}

async function followSocket(page) {
  await page.addScriptTag({ path: file("node_modules/@msgpack/msgpack/dist.umd/msgpack.min.js") });
  await page.addScriptTag({ path: file("follow.js") });
  await page.evaluate(
    (parameters) => follow(new WebSocket(parameters.url, parameters.subprotocol), parameters, MessagePack, tell),
    parameters,
  );
}

async function followEvents(page) {
  await page.evaluate(({ url, last }) => {
    const source = new EventSource(url);
    source.onopen = () => tell({ event: "open" });
    source.onerror = () => tell({ event: "error", reconnects: source.readyState === EventSource.CONNECTING });
    return new Promise((resolve) => {
      for (const name of ["subscribed", "ops", "presence", "head", "role", "reset", "goaway"]) {
        source.addEventListener(name, ({ data, lastEventId }) => {
          const message = JSON.parse(data);
          tell({ event: "message", name, id: lastEventId, message });
          if (name === "ops" && message.revision >= last) {
            source.close();
            resolve();
          }
        });
      }
    });
  }, parameters);
}
