// The tools under test as processes: k6, or what stands in for it, and Artillery.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const path = (/** @type {string} */ name) => fileURLToPath(new URL(name, import.meta.url));
const ROOT = path("../../..");
const STAND_IN = [process.execPath, "--no-warnings", "--experimental-vm-modules", path("../k6/run.js")];
/** The variable K6 names a real one, with which the same tests run. */
const K6 = process.env.K6 ? [process.env.K6, "run", "--quiet", "--no-usage-report"] : STAND_IN;
const ARTILLERY = join(ROOT, "loadtest/artillery/node_modules/.bin/artillery");
const TIMEOUT = 60_000;

/** Runs a program to its end. @param {string[]} command @param {NodeJS.ProcessEnv} [env] */
export async function run([program, ...args], env = process.env) {
  const child = spawn(program, args, { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"], timeout: TIMEOUT });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  const [code, signal] = await once(child, "close");
  return { code: code ?? signal, output };
}

/** Runs a script by k6. @param {string} script @param {Record<string, string | number>} settings */
export async function k6(script, settings) {
  const folder = mkdtempSync(join(tmpdir(), "revcast-k6-"));
  const file = join(folder, "summary.json");
  const given = Object.entries({ ...settings, SUMMARY: file }).flatMap(([key, value]) => [
    "-e",
    `${key}=${value}`,
  ]);
  try {
    const ended = await run([...K6, ...given, path(`../../../loadtest/k6/${script}.js`)]);
    return { ...ended, summary: readSummary(file) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @param {string} file */
function readSummary(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    // A run that could not begin has none.
    if (/** @type {any} */ (error).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Runs the scenario by Artillery. @param {Record<string, string | number>} settings */
export function artillery(settings) {
  const env = Object.fromEntries(Object.entries(settings).map(([key, value]) => [key, String(value)]));
  const command = [ARTILLERY, "run", path("../../../loadtest/artillery/ramp.yml")];
  return run(command, { ...process.env, TOKEN: "", ARTILLERY_DISABLE_TELEMETRY: "true", ...env });
}
