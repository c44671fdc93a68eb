// The example of the README, as it stands there.

import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { startTestbed } from "./testbed.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

test("the example of the README draws a stroke", async () => {
  const readme = await readFile(`${root}README.md`, "utf8");
  const example = /```ts\n(.*?)```/s.exec(readme)?.[1] ?? "";
  expect(example.split("\n").length).toBeLessThanOrEqual(21);
  const testbed = await startTestbed();
  // Beside the package, so that it is found by its name.
  const folder = await mkdtemp(`${root}test/example-`);
  try {
    const file = `${folder}/example.mjs`;
    await writeFile(file, example.replace("http://127.0.0.1:8080", testbed.url));
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [file], { timeout: 20_000 });
    expect(stderr).toBe("");
    expect(stdout.trim().split("\n").at(-1)).toMatch(/^\d+ 1 (saving|saved)$/);
    const alice = await testbed.person("alice");
    const { drawings } = await testbed.call<{ drawings: { drawing_id: string }[] }>(
      alice,
      "GET",
      "/v1/drawings",
    );
    const log = await testbed.log(alice, drawings[0]?.drawing_id ?? "");
    expect(log.map((op) => op.type)).toEqual(["stroke.begin", "stroke.append", "stroke.end"]);
  } finally {
    await rm(folder, { recursive: true });
    await testbed.close();
  }
});
