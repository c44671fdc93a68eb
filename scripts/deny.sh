#!/usr/bin/env bash
# Checks licences, bans and sources of the dependencies, which takes no network, and advisories where their database can be
# fetched. `deny.sh offline` says so where it cannot, and goes on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PATH=$PWD/target/tools/bin:$PATH
if ! cargo deny --version >/dev/null 2>&1; then
    echo 'Installing cargo-deny into target/tools, which takes some minutes'
    cargo install --quiet --locked --root target/tools cargo-deny@0.20.2
fi

cargo deny --log-level error check --hide-inclusion-graph licenses bans sources
# A check fails in the same way for an advisory and for a database that is not there.
if fetched=$(timeout 60 cargo deny --log-level error fetch db 2>&1); then
    cargo deny --log-level error check --hide-inclusion-graph advisories
elif [[ ${1:-} == offline ]]; then
    echo 'NOT CHECKED: advisories, since their database (https://github.com/rustsec/advisory-db) cannot be fetched' >&2
else
    echo "$fetched" >&2
    exit 1
fi
