// A server that has a drawing from the start: of a log that clients cannot write, such as one with folds of the server.

import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import type { CommittedOp } from "../../src/index.js";
import { startTestbed, type Testbed } from "./testbed.js";

/** The server that was built. */
const REVCAST = fileURLToPath(new URL("../../../../target/debug/revcast", import.meta.url));

export interface Imported {
  readonly owner: string;
  readonly drawingId: string;
  readonly log: readonly CommittedOp[];
}

/** Starts a server that imports the log before it serves. It cannot be started again. */
export async function startImported({ owner, drawingId, log }: Imported): Promise<Testbed> {
  const folder = await mkdtemp(`${tmpdir()}/revcast-imported-`);
  try {
    await writeFile(`${folder}/log.ndjson`, log.map((op) => `${JSON.stringify(op)}\n`).join(""));
    const program = `${folder}/revcast`;
    await writeFile(
      program,
      `#!/bin/sh
set -e
for argument; do
  if [ "$before" = --database-url ]; then database=$argument; fi
  before=$argument
done
'${REVCAST}' import --database-url "$database" --owner '${owner}' --drawing-id '${drawingId}' '${folder}/log.ndjson' >/dev/null
exec '${REVCAST}' "$@"
`,
    );
    await chmod(program, 0o755);
    return await startTestbed({ server: program });
  } finally {
    await rm(folder, { recursive: true });
  }
}
