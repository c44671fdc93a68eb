#!/usr/bin/env bash
# Makes sure that the tests can start Postgres, NATS and the balancers of deploy/, and the clients that they run:
# Chromium with fonts, curl, and packages of Python and Node.js. `setup.sh services` is about Postgres and NATS alone. Says
# nothing when all is there; installs what is missing on Debian and Ubuntu; says what to install elsewhere.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

what=${1:-all}

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

# The names of balancers that are missing, as programs and as packages.
missing_balancers() {
    local name
    for name in nginx haproxy caddy; do
        has "$name" || [[ -x /usr/sbin/$name || -x /usr/local/sbin/$name ]] || echo "$name"
    done
}

if ! has cc; then
    echo 'A C compiler is missing (cc). On Debian or Ubuntu: apt-get install build-essential' >&2
    exit 1
fi
if ! has make; then
    echo 'make is missing. On Debian or Ubuntu: apt-get install make' >&2
    exit 1
fi

# The tests take Debian's place, or that in the variable.
has_chromium() {
    [[ -x ${CHROMIUM:-/usr/bin/chromium} ]]
}

# Files of fonts with all scripts, which pictures are looked at with, as packages that are missing.
missing_fonts() {
    local package file
    while read -r package file; do
        [[ -n $(find -L /usr/share/fonts /usr/local/share/fonts -name "$file" -print -quit 2>/dev/null) ]] || echo "$package"
    done <<FILES
fonts-dejavu-core DejaVuSerif.ttf
fonts-liberation LiberationSans-Regular.ttf
fonts-noto-core NotoSansDevanagari-Regular.ttf
fonts-noto-color-emoji NotoColorEmoji.ttf
fonts-droid-fallback DroidSansFallbackFull.ttf
fonts-nanum NanumGothic.ttf
FILES
}

# It sets clocks wrong in make chaos.
has_faketime() {
    compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null
}

has_node() {
    scripts/has-node.sh
}

has_python() {
    has python3 && python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'
}

# What Debian and Ubuntu have as a package is installed from there.
install_packages() {
    local missing=("$@") root=() install service
    if ! has apt-get; then
        cat >&2 <<TEXT
Missing: ${missing[*]}. Please install, in whatever way your system has:
  - PostgreSQL 15 or later, server and client programs, with pg_config on the PATH
  - nats-server 2.9 or later, on the PATH (https://github.com/nats-io/nats-server/releases)
  - nginx 1.22, HAProxy 2.6 and Caddy 2.6 or later, on the PATH
  - Chromium, at /usr/bin/chromium or where the variable CHROMIUM says; curl; Python with venv
  - the fonts DejaVu, Liberation, Noto with all its scripts and its emoji, Droid Sans Fallback and Nanum
  - libfaketime 0.9 or later, in /usr/lib/*/faketime
  - PgBouncer, at /usr/sbin/pgbouncer or where the variable PGBOUNCER says
TEXT
        exit 1
    fi
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
            case $service in postgresql | nats-server | nginx | pgbouncer | haproxy | caddy) ;; *) continue ;; esac
            "${root[@]}" systemctl disable --now "$service" || echo "$service is still running" >&2
        done
    fi
}

# The packages of npm that tests/interop/package-lock.json names.
install_node_packages() {
    local lock=tests/interop/package-lock.json installed=tests/interop/node_modules/.installed-lock
    cmp -s "$lock" "$installed" && return
    echo 'Installing the packages of tests/interop/package-lock.json'
    npm ci --prefix tests/interop --loglevel error
    cp "$lock" "$installed"
}

# The packages of Python that tests/interop/requirements.txt names, apart from those of the system.
install_python_packages() {
    local wanted=tests/interop/requirements.txt venv=target/interop-venv
    # A venv whose Python is gone does not start.
    "$venv/bin/python" -c '' 2>/dev/null && cmp -s "$wanted" "$venv/installed.txt" && return
    echo "Installing the packages of $wanted"
    mkdir -p target
    python3 -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$venv/installed.txt"
}

missing=()
has_postgres || missing+=(postgresql)
has_nats || missing+=(nats-server)
if [[ $what == all ]]; then
    # Debian's own is older.
    has_node || { echo 'Node.js 20.19 or later with npm is missing (https://nodejs.org)' >&2; exit 1; }
    has_python || { echo 'Python 3.11 or later is missing (python3)' >&2; exit 1; }
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    has_chromium || missing+=(chromium)
    has curl || missing+=(curl)
    has_faketime || missing+=(libfaketime)
    [[ -x ${PGBOUNCER:-/usr/sbin/pgbouncer} ]] || missing+=(pgbouncer)
    for name in $(missing_balancers) $(missing_fonts); do missing+=("$name"); done
fi
[[ ${#missing[@]} -eq 0 ]] || install_packages "${missing[@]}"

if ! has_postgres || ! has_nats; then
    echo 'The packages are installed, but Postgres or nats-server cannot be found' >&2
    exit 1
fi
if [[ $what == all ]]; then
    has_chromium || { echo 'Chromium cannot be found: set CHROMIUM to its path' >&2; exit 1; }
    [[ -z $(missing_fonts) ]] || { echo "Cannot be found: $(missing_fonts | xargs)" >&2; exit 1; }
    [[ -z $(missing_balancers) ]] || { echo "Cannot be found: $(missing_balancers | xargs)" >&2; exit 1; }
    install_node_packages
    install_python_packages
fi
