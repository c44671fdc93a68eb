// Real servers for these tests: throwaway nodes, which a program of `loadtest` starts.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Built by `cargo build --workspace`. */
const PROGRAM =
  process.env.REVCAST_TESTBED ?? fileURLToPath(new URL("../../../target/debug/testbed", import.meta.url));

/** Starts a server with SQLite and these flags of `revcast serve`. @param {string[]} flags */
export async function startServer(...flags) {
  const program = spawn(PROGRAM, flags, { stdio: ["pipe", "pipe", "inherit"] });
  const failed = once(program, "error").then(([error]) => {
    throw new Error(`${PROGRAM}: ${error.message}: run cargo build --workspace`);
  });
  failed.catch(() => {});
  const lines = createInterface({ input: program.stdout });
  const [line] = await Promise.race([once(lines, "line"), failed]);
  const { nodes } = JSON.parse(line);
  return {
    url: /** @type {string} */ (nodes[0]),
    async close() {
      const ended = once(program, "exit");
      program.stdin.end();
      await ended;
    },
  };
}
