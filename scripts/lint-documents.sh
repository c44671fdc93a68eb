#!/usr/bin/env bash
# Holds the OpenAPI and the AsyncAPI document against their specifications, by the checkers of others, and what people read
# against tests/sdk/documents.mjs: links, sizes, and how sentences begin.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup-sdk.sh documents
document=openapi/openapi.json
bin=target/sdk-venv/bin

"$bin/openapi-spec-validator" "$document"
report=$(REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true tests/sdk/node_modules/.bin/redocly lint \
    --config tests/sdk/redocly.yaml --format json "$document" 2>/dev/null) || true
node -e '
    const { totals, problems } = JSON.parse(process.argv[1]);
    if (totals.errors + totals.warnings > 0) {
        console.error(JSON.stringify(problems, null, 2));
        process.exit(1);
    }
' "$report"
"$bin/openapi-generator-cli" validate --recommend -i "$document"
node tests/interop/asyncapi.mjs openapi/asyncapi.yaml

remark() {
    tests/sdk/node_modules/.bin/remark --frail --quiet --no-color --no-stdout --no-config --use ./tests/sdk/documents.mjs "$@"
}
remark ./*.md docs clients/typescript/README.md loadtest/README.md loadtest/RESULTS.md web/README.md
# A linter that lets this pass would let everything pass.
found=$({ echo $'# A\n\nWhat is it? [b](nowhere.md), [c](#nowhere).\n'; seq 3000; } \
    | remark --file-path docs/broken.md 2>&1) && { echo 'broken documents are not found' >&2; exit 1; }
for finding in 'begins with "What"' 'Cannot find file' 'Cannot find heading' 'more than 12288'; do
    grep -qF "$finding" <<<"$found" || { echo "not found in a broken document: $finding" >&2; exit 1; }
done
