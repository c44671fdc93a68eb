#!/usr/bin/env bash
# Installs what judges the documents and makes clients from them: `setup-sdk.sh documents` what make lint needs,
# `setup-sdk.sh quick` what make test needs of that, without Java, and `setup-sdk.sh` the compilers of make sdk-check as
# well. Says nothing when all is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

what=${1:-all}
has() { command -v "$1" >/dev/null 2>&1; }

need() {
    local program=$1 package=$2
    has "$program" && return
    if has apt-get && [[ $(id -u) -eq 0 ]]; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$package"
    else
        echo "$program is missing. On Debian or Ubuntu: apt-get install $package" >&2
        exit 1
    fi
}

[[ $what == quick ]] || need java default-jdk-headless
if [[ $what == all ]]; then
    need mvn maven
    has go || { echo 'Go 1.23 or later is missing (https://go.dev)' >&2; exit 1; }
fi

wanted=tests/sdk/requirements.txt venv=target/sdk-venv
if ! "$venv/bin/python" -c '' 2>/dev/null || ! cmp -s "$wanted" "$venv/installed.txt"; then
    echo "Installing the packages of $wanted"
    mkdir -p target
    python3 -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$venv/installed.txt"
fi

lock=tests/sdk/package-lock.json installed=tests/sdk/node_modules/.installed-lock
if ! cmp -s "$lock" "$installed"; then
    echo "Installing the packages of $lock"
    npm ci --prefix tests/sdk --no-audit --no-fund --loglevel error
    cp "$lock" "$installed"
fi
