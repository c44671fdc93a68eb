#!/usr/bin/env bash
# Builds the server of another revision, to run beside that of this one: target/previous/revcast. The revision is the
# argument, else the last tag, else the commit before.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

revision=${1:-$(git describe --tags --abbrev=0 2>/dev/null || git rev-parse HEAD~1)}
source=target/previous/source
mkdir -p target/previous
if [[ -e $source/.git ]]; then
    git -C "$source" checkout --quiet --detach "$revision"
else
    git worktree prune
    git worktree add --quiet --detach "$source" "$revision"
fi
cargo build --manifest-path "$source/Cargo.toml" --target-dir target/previous/build --bin revcast
ln -sf build/debug/revcast target/previous/revcast
echo "target/previous/revcast is that of $revision"
