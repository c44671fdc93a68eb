import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: { "@revcast/client": source("src/index.ts"), "@revcast/react": source("react/src/index.ts") },
  },
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    include: ["test/**/*.test.ts", "react/test/**/*.test.tsx"],
  },
});
