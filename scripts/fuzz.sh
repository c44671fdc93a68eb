#!/usr/bin/env bash
# Builds the fuzz targets and runs each for some seconds, or one of them: scripts/fuzz.sh [SECONDS] [TARGET]. What was
# found to be worth keeping stays in target/fuzz/corpus, and is where the next run begins. Input that breaks a target is
# left in target/fuzz/broken.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-30}
targets=(frame_reader client_message op_body canvas_log snapshot import_log)
[[ -z ${2:-} ]] || targets=("$2")
out=target/fuzz

# libFuzzer is a part of libfuzzer-sys, in C++.
if ! command -v c++ >/dev/null; then
    echo 'A C++ compiler is missing (c++). On Debian or Ubuntu: apt-get install g++' >&2
    exit 1
fi

# Its own lock file would have other versions than the program has. Cargo adds what only the targets need.
cmp -s Cargo.lock "$out/Cargo.lock" 2>/dev/null && [[ -f fuzz/Cargo.lock ]] || cp Cargo.lock fuzz/Cargo.lock
mkdir -p "$out/broken"
cp Cargo.lock "$out/Cargo.lock"
RUSTC_WRAPPER=$PWD/scripts/fuzz-rustc.sh cargo build --quiet --manifest-path fuzz/Cargo.toml --target-dir "$out" \
    --profile fuzz --bins

python3 fuzz/seeds.py "$out/seeds"
failed=()
for target in "${targets[@]}"; do
    mkdir -p "$out/corpus/$target" "$out/seeds/$target"
    echo "$target, for $seconds s"
    log=$out/$target.log
    # No input takes a second. One that takes five hangs.
    if ! "$out/fuzz/$target" "$out/corpus/$target" "$out/seeds/$target" -max_total_time="$seconds" -timeout=5 \
        -max_len=16384 -artifact_prefix="$out/broken/$target-" -print_final_stats=1 >"$log" 2>&1; then
        failed+=("$target")
        tail -40 "$log" >&2
    else
        grep -E '^(stat::number_of_executed_units|Done)' "$log" || tail -2 "$log"
    fi
done
if [[ ${#failed[@]} -gt 0 ]]; then
    echo "Broken: ${failed[*]}. The input is in $out/broken; $out/fuzz/<target> <file> runs it again." >&2
    exit 1
fi
