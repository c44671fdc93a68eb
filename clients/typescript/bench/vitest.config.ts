// Not part of the tests: these measure, and say how long things take on the machine that they run on.

import { defineConfig } from "vitest/config";
import base from "../vitest.config.js";

export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: ["bench/**/*.bench.ts"],
    disableConsoleIntercept: true,
    testTimeout: 180_000,
  },
});
