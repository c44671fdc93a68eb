#!/usr/bin/env bash
# Compiles for the fuzz targets: what reads the bytes of strangers tells libFuzzer which edges were taken and what was
# compared. Other crates are left as they are: what is generic in them is compiled with those that use it, and some of them
# are a part of macros, which the compiler loads. Cargo calls this in place of rustc, with rustc and its arguments;
# scripts/fuzz.sh says so.
set -euo pipefail

rustc=$1
shift
name=
for ((nth = 1; nth < $#; nth++)); do
    if [[ ${!nth} == --crate-name ]]; then
        next=$((nth + 1))
        name=${!next}
    fi
done
case $name in
    revcast | tungstenite)
        set -- "$@" -C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=4 \
            -C llvm-args=-sanitizer-coverage-inline-8bit-counters -C llvm-args=-sanitizer-coverage-pc-table \
            -C llvm-args=-sanitizer-coverage-trace-compares
        ;;
esac
exec "$rustc" "$@"
