#!/usr/bin/env bash
# Makes sure that the tests can start Postgres and NATS. Says nothing when all is there; installs
# what is missing on Debian and Ubuntu; says what to install elsewhere.
set -euo pipefail

has() { command -v "$1" >/dev/null 2>&1; }

# The same places in which the tests look: Debian's folders, or the one that pg_config names.
has_postgres() {
    local bin
    for bin in /usr/lib/postgresql/*/bin; do
        [[ -x $bin/initdb && -x $bin/postgres ]] && return
    done
    has pg_config && bin=$(pg_config --bindir) && [[ -x $bin/initdb && -x $bin/postgres ]]
}

has_nats() {
    has nats-server || [[ -x /usr/sbin/nats-server || -x /usr/local/bin/nats-server ]]
}

if ! has cc; then
    echo 'A C compiler is missing (cc). On Debian or Ubuntu: apt-get install build-essential' >&2
    exit 1
fi
if ! has make; then
    echo 'make is missing. On Debian or Ubuntu: apt-get install make' >&2
    exit 1
fi

missing=()
has_postgres || missing+=(postgresql)
has_nats || missing+=(nats-server)
[[ ${#missing[@]} -eq 0 ]] && exit 0

if ! has apt-get; then
    cat >&2 <<TEXT
Missing: ${missing[*]}. Please install, in whatever way your system has:
  - PostgreSQL 15 or later, server and client programs, with pg_config on the PATH
  - nats-server 2.9 or later, on the PATH (https://github.com/nats-io/nats-server/releases)
TEXT
    exit 1
fi

root=()
if [[ $(id -u) -ne 0 ]]; then
    if ! has sudo; then
        echo "Missing: ${missing[*]}. As root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    root=(sudo)
fi

# The tests start servers of their own. In runlevel 1 the packages start none of theirs.
install=(env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get)
echo "Installing ${missing[*]}"
"${root[@]}" "${install[@]}" update
"${root[@]}" "${install[@]}" install -y --no-install-recommends "${missing[@]}"

# systemd does not ask for the runlevel: what came with these packages is stopped again.
if has systemctl && [[ -d /run/systemd/system ]]; then
    for service in "${missing[@]}"; do
        "${root[@]}" systemctl disable --now "$service" || echo "$service is still running" >&2
    done
fi

if ! has_postgres || ! has_nats; then
    echo "The packages are installed, but Postgres or nats-server cannot be found" >&2
    exit 1
fi
