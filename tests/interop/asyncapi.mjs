// Checks an AsyncAPI document against the specification, examples included: node asyncapi.mjs FILE.
// Anything above information fails. Nothing is fetched.

import { readFile } from "node:fs/promises";
import { Parser, DiagnosticSeverity } from "@asyncapi/parser";

const [file] = process.argv.slice(2);
const { document, diagnostics } = await new Parser().parse(await readFile(file, "utf8"));
for (const { severity, code, path, message } of diagnostics) {
  console.error(`${file}: ${DiagnosticSeverity[severity]} ${code} at ${path.join(".")}: ${message}`);
}
const isBad = ({ severity }) => severity <= DiagnosticSeverity.Warning;
if (!document || diagnostics.some(isBad)) process.exit(1);
