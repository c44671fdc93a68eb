// What the documents of this repository have to keep: links that lead somewhere, sizes that somebody reads, and sentences
// that begin with their subject or verb. A preset of remark, which scripts/lint-documents.sh runs.

import { basename, dirname } from "node:path";
import { toString as textOf } from "mdast-util-to-string";
import gfm from "remark-gfm";
import validateLinks from "remark-validate-links";
import { visit } from "unist-util-visit";

/** The largest size of a document, in bytes, by its path. */
const SIZES = new Map([
  ["README.md", 8192],
  ["ARCHITECTURE.md", 16384],
]);
/** The largest size of one in docs/, but for what is generated. */
const DOCUMENT_SIZE = 12_288;
const GENERATED = new Set(["reference.md"]);

/** Words that begin no sentence. */
const BEGINNINGS = /(?:^|[.!?]\s+)(Whether|What|Who|Of)\b/u;
const HAVE_SENTENCES = ["paragraph", "heading", "tableCell"];
/** Folders whose documents are held to it. */
const HELD = new Set([".", "docs"]);
/** Lists the changes of all versions, in the words of their time. */
const HISTORY = "CHANGELOG.md";

function sizes() {
  return (_tree, file) => {
    const isDocument = dirname(file.path) === "docs" && !GENERATED.has(basename(file.path));
    const most = SIZES.get(file.path) ?? (isDocument ? DOCUMENT_SIZE : undefined);
    const size = Buffer.byteLength(String(file));
    if (most !== undefined && size > most) file.message(`has ${size} bytes, more than ${most}`);
  };
}

function beginnings() {
  return (tree, file) => {
    if (!HELD.has(dirname(file.path)) || file.path === HISTORY) return;
    visit(tree, HAVE_SENTENCES, (node) => {
      const found = BEGINNINGS.exec(textOf(node));
      if (found) file.message(`a sentence begins with "${found[1]}": begin with its subject or verb`, node);
    });
  };
}

export default { plugins: [gfm, [validateLinks, { repository: false }], sizes, beginnings] };
