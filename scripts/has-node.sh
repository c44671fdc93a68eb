#!/usr/bin/env bash
# Whether there is Node.js with npm, new enough to build the whiteboard. Says nothing.
set -euo pipefail

command -v npm >/dev/null
command -v node >/dev/null
node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(+(major < 20 || (major === 20 && minor < 19)));'
