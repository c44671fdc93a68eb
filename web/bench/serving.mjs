// What the benches share: a server of their own, its API, and a browser.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

/** A server for as long as this process lives: target/release/testbed, or what REVCAST_TESTBED names. */
export async function serve() {
  const beside = fileURLToPath(new URL("../../target/release/testbed", import.meta.url));
  // One user fills the drawing as fast as it goes.
  const limits = ["write-requests", "write-ops", "drawing-bytes", "drawing-units"];
  const flags = limits.flatMap((limit) => [`--${limit}-per-second`, "0"]);
  const testbed = spawn(process.env.REVCAST_TESTBED ?? beside, flags, { stdio: ["pipe", "pipe", "inherit"] });
  const [first] = await once(createInterface({ input: testbed.stdout }), "line");
  const url = JSON.parse(first).nodes[0];
  const { token } = await callAt(url, undefined, "POST", "/v1/dev/tokens", { sub: "bench" });
  return {
    url,
    token,
    call: (method, path, body) => callAt(url, token, method, path, body),
    stop: () => testbed.stdin.end(),
  };
}

async function callAt(url, token, method, path, body) {
  for (;;) {
    const answer = await fetch(new URL(path, url), {
      method,
      headers: { ...(token && { Authorization: `Bearer ${token}` }), "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (answer.ok) return answer.json();
    if (answer.status !== 429 && answer.status !== 503) {
      throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    }
    await new Promise((resolve) =>
      setTimeout(resolve, 1_000 * Number(answer.headers.get("retry-after") ?? 1)),
    );
  }
}

/** Chromium, without a window. CHROMIUM names another one than /usr/bin/chromium. */
export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
