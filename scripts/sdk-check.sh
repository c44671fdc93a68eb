#!/usr/bin/env bash
# Makes clients from the OpenAPI document, compiles them and lets them draw: `sdk-check.sh quick` those of
# openapi-python-client and openapi-typescript alone, which need no other compiler.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

what=${1:-all}
root=$PWD
sdk=$root/target/sdk
bin=$root/target/sdk-venv/bin
client=$root/clients/typescript/node_modules/.bin
revcast=${REVCAST:-target/debug/revcast}

scripts/setup-sdk.sh "$what"
rm -rf "$sdk"
mkdir -p "$sdk"
cp openapi/openapi.json "$sdk/openapi.json"
# For generators that take discriminators for closed.
"$bin/python" - "$sdk" <<'PYTHON'
import json, pathlib, sys

folder = pathlib.Path(sys.argv[1])
document = json.loads((folder / "openapi.json").read_text())
for schema in document["components"]["schemas"].values():
    schema.pop("discriminator", None)
(folder / "openapi-plain.json").write_text(json.dumps(document))
PYTHON

step() { echo "sdk-check: $*"; }

# A server of its own, on a free port.
data=$(mktemp -d)
port=$("$bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$root/$revcast" serve --dev --listen "127.0.0.1:$port" --drain-notice 0s \
    --database-url "sqlite://$data/revcast.db" --blob-url "file:$data/blobs" >"$data/log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$data"' EXIT
export REVCAST_BASE=http://127.0.0.1:$port
curl --silent --fail --retry 60 --retry-delay 1 --retry-connrefused --output "$data/ready" "$REVCAST_BASE/readyz" \
    || { cat "$data/log" >&2; exit 1; }
REVCAST_TOKEN=$(curl --silent --fail --request POST "$REVCAST_BASE/v1/dev/tokens" | "$bin/python" -c 'import json, sys; print(json.load(sys.stdin)["token"])')
export REVCAST_TOKEN

step openapi-python-client
PATH=$bin:$PATH "$bin/openapi-python-client" generate --fail-on-warning --meta none --path "$sdk/openapi.json" \
    --output-path "$sdk/revcast"
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$sdk "$bin/python" tests/sdk/python/openapi_python_client.py

step openapi-typescript
"$client/openapi-typescript" "$sdk/openapi.json" --output "$sdk/openapi-typescript.ts" >/dev/null
echo '{"type": "module"}' >"$sdk/package.json"
typescript() {
    "$client/tsc" --project tests/sdk/typescript/tsconfig.json --typeRoots clients/typescript/node_modules/@types
}
run_typescript() { node "$sdk/typescript/tests/sdk/typescript/$1.js"; }

if [[ $what == quick ]]; then
    "$client/tsc" --project tests/sdk/typescript/quick.json --typeRoots clients/typescript/node_modules/@types
    run_typescript openapi_typescript
    exit
fi

step openapi-generator, all languages
"$bin/openapi-generator-cli" batch tests/sdk/generators/*.yaml >"$sdk/generators.log" 2>&1 \
    || { cat "$sdk/generators.log" >&2; exit 1; }

step TypeScript
typescript
run_typescript openapi_typescript
run_typescript typescript_fetch

step Python
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$sdk/python "$bin/python" tests/sdk/python/openapi_generator.py

step Go
cp tests/sdk/go/* "$sdk/go/"
find "$sdk/go/revcast" -name '*_test.go' -delete
(cd "$sdk/go" && go run .)

step Java
cp tests/sdk/java/pom.xml "$sdk/java/"
cp tests/sdk/java/Judge.java "$sdk/java/src/main/java/"
mvn --quiet --batch-mode --file "$sdk/java" compile exec:java

step Kotlin
cp tests/sdk/kotlin/pom.xml "$sdk/kotlin/"
cp tests/sdk/kotlin/Judge.kt "$sdk/kotlin/src/main/kotlin/"
mvn --quiet --batch-mode --file "$sdk/kotlin" compile exec:java

step Swift, Dart and C# are generated alone
for file in swift6/Package.swift dart/pubspec.yaml csharp/README.md; do
    [[ -s $sdk/$file ]] || { echo "$file is missing" >&2; exit 1; }
done
