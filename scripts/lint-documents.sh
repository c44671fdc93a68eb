#!/usr/bin/env bash
# Holds the OpenAPI and the AsyncAPI document against their specifications, by the checkers of others.
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
