#!/usr/bin/env bash
# Puts known faults into a copy of the source, one at a time, and looks whether somebody notices:
# `mutants.sh [NAME…]`, all of loadtest/mutants without a name. Prints a table, and ends with 1 if a fault stays unseen.
#
# The first line of a patch says which promise it breaks. Lines before the first `diff` say who looks at it, the quickest
# judge first; without any it is the simulation:
#   Judge: simulation
#   Judge: test g1_
#   Judge: unit commit::
# `simulation` takes SEEDS seeds (1000), `test` runs integration tests and `unit` tests of the library whose names hold
# the word. The first judge that finds it is enough; EVERY=1 asks all of them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

root=$PWD
work=$root/target/mutants
tree=$work/tree
seeds=${SEEDS:-1000}
export CARGO_TARGET_DIR=$work/build

# What a judge needs to be built, and how it is asked. Both run in the copy, and for the whole workspace, so that all judges
# share what is built.
prepare() {
	case $1 in
	simulation) cargo build --quiet --workspace --bin revcast-simulation ;;
	test) cargo test --quiet --workspace --test integration --no-run ;;
	unit) cargo test --quiet --workspace --lib --no-run ;;
	*) echo "mutants: $1 is no judge" >&2 && exit 2 ;;
	esac
}

ask() {
	case $1 in
	simulation) "$CARGO_TARGET_DIR/debug/revcast-simulation" --fail-fast --seeds "$seeds" ;;
	test) cargo test --quiet --workspace --test integration -- "$2" ;;
	unit) cargo test --quiet --workspace --lib -- "$2" ;;
	esac
}

judges() {
	local named
	named=$(sed -n '/^diff /q; s/^Judge: //p' "$1")
	echo "${named:-simulation}"
}

if [[ $# -gt 0 ]]; then
	patches=()
	for name in "$@"; do patches+=("$root/loadtest/mutants/$name.patch"); done
else
	patches=("$root"/loadtest/mutants/*.patch)
fi

mkdir -p "$work"
git worktree remove --force "$tree" 2>/dev/null || true
git worktree prune
git worktree add --quiet --detach "$tree" HEAD
trap 'git -C "$root" worktree remove --force "$tree"' EXIT
# The whiteboard is built into the program; tests look for it.
[[ -d web/dist ]] && cp -a web/dist "$tree/web/"
cd "$tree"

# A judge that complains about the source as it is finds nothing.
while read -r kind word; do
	prepare "$kind" </dev/null
	if ! ask "$kind" "$word" >"$work/judge.log" 2>&1 </dev/null; then
		echo "mutants: $kind $word fails without any fault: see $work/judge.log" >&2
		exit 2
	fi
done < <(for patch in "${patches[@]}"; do judges "$patch"; done | sort -u)

unseen=0
echo '| Fault | Breaks | Found by | Not found by |'
echo '|---|---|---|---|'
for patch in "${patches[@]}"; do
	name=$(basename "$patch" .patch)
	breaks=$(head -1 "$patch")
	git apply "$patch"
	found=() missed=()
	while read -r kind word; do
		prepare "$kind" </dev/null
		log=$work/$name-$kind.log
		if ask "$kind" "$word" >"$log" 2>&1 </dev/null; then
			missed+=("$kind${word:+ \`$word\`}")
		else
			found+=("$kind${word:+ \`$word\`}")
			[[ -n ${EVERY:-} ]] || break
		fi
	done < <(judges "$patch")
	git checkout --quiet .
	[[ ${#found[@]} -gt 0 ]] || unseen=$((unseen + 1))
	join() { local IFS=';'; echo "$*" | sed 's/;/, /g'; }
	echo "| $name | $breaks | $(join "${found[@]:-nobody}") | $(join "${missed[@]:-}") |"
done
if [[ $unseen -gt 0 ]]; then
	echo "mutants: $unseen stayed unseen" >&2
	exit 1
fi
