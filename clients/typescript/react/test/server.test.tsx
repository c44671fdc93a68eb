// Rendering on a server: it shows what there is, asks for nothing, and leaves nothing behind.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createClient } from "@revcast/client";
import { renderToString } from "react-dom/server";
import { afterEach, expect, test, vi } from "vitest";
import { RevcastProvider, useConnection, useDrawing, useObjects } from "../src/index.js";

afterEach(() => vi.useRealTimers());

function Board() {
  const drawing = useDrawing("01980000-0000-7000-8000-000000000001");
  const { connection, reconnectAttempts } = useConnection(drawing);
  return `${connection} ${reconnectAttempts} ${useObjects(drawing).length}`;
}

test("a render on a server asks for nothing and keeps no timer", async () => {
  vi.useFakeTimers();
  const asked = vi.fn(() => Promise.reject(new Error("nothing is to be asked")));
  const client = createClient({
    url: "http://test",
    getToken: asked,
    fetch: asked,
    WebSocket: asked as never,
  });
  const page = renderToString(
    <RevcastProvider client={client}>
      <Board />
    </RevcastProvider>,
  );
  expect(page).toBe("connecting 0 0");
  await vi.advanceTimersByTimeAsync(5_000);
  expect(asked).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(0);
});

test("the built package can be imported where React renders server components", async () => {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const code = 'console.log(typeof (await import("@revcast/react")).useDrawing)';
  const args = ["--conditions=react-server", "--input-type=module", "-e", code];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 30_000 });
  expect(stdout.trim()).toBe("function");
});
