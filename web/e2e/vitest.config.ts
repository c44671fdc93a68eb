// The whiteboard in a browser, on real servers: `make e2e`.

import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: fileURLToPath(new URL("..", import.meta.url)),
    include: ["e2e/*.e2e.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A browser keeps the cores busy by itself.
    fileParallelism: false,
  },
});
