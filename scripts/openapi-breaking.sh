#!/usr/bin/env bash
# Says what in the OpenAPI document breaks clients of the last release, but for what openapi/breaking-allowed.txt allows.
# `openapi-breaking.sh` compares with openapi/released.json, the document of that release.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tool=github.com/oasdiff/oasdiff@v1.38.0
command -v go >/dev/null || { echo 'Go 1.23 or later is missing (https://go.dev)' >&2; exit 1; }
mkdir -p target
allowed=target/breaking-allowed.txt
grep -v -e '^#' -e '^$' openapi/breaking-allowed.txt >"$allowed" || true

compare() {
    go run "$tool" breaking "$1" "$2" --format singleline --fail-on ERR --err-ignore "$allowed"
}

compare openapi/released.json openapi/openapi.json

# Whoever finds nothing has to find this.
node -e '
    const document = JSON.parse(require("node:fs").readFileSync("openapi/openapi.json", "utf8"));
    delete document.paths["/v1/tickets"];
    process.stdout.write(JSON.stringify(document));
' >target/openapi-broken.json
if compare openapi/openapi.json target/openapi-broken.json >target/breaking.log 2>&1; then
    echo 'a path that is gone was not found out' >&2
    exit 1
fi
grep -q 'api-path-removed' target/breaking.log || { cat target/breaking.log >&2; exit 1; }
