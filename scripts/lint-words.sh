#!/usr/bin/env bash
# Finds doc comments in Rust that begin with a question word instead of the thing or the verb.
# Takes folders or files; src, loadtest and tests by default.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

(($#)) || set -- src loadtest tests
files=()
# Files that git does not know yet count, too; those that it ignores do not.
while read -r file; do
    [[ $file != *.rs || ! -f $file ]] || files+=("$file")
done < <(git ls-files --cached --others --exclude-standard -- "$@")
if ((${#files[@]} == 0)); then
    echo "there is no Rust file in: $*" >&2
    exit 2
fi

awk '
    FNR == 1 { marker = "" }
    {
        before = marker
        marker = match($0, /^[ \t]*\/\/[\/!]/) ? substr($0, RLENGTH, 1) : ""
        # Four slashes begin a plain comment.
        if (marker == "/" && substr($0, RLENGTH + 1, 1) == "/") marker = ""
    }
    marker != "" && marker != before {
        text = substr($0, RLENGTH + 1)
        if (text ~ /^ ?(Whether|What|Who|Whom|Whose|Of|Which|How)([^A-Za-z0-9_]|$)/) {
            printf "%s:%d:%s\n", FILENAME, FNR, text
            found++
        }
    }
    END {
        if (!found) exit 0
        printf "%d doc comments begin with a question word: begin with the thing or the verb\n", found
        exit 1
    }
' "${files[@]}" >&2
