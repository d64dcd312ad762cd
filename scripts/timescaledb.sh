#!/usr/bin/env bash
# timescaledb.sh install | root | run DATA PORT
#
# A real TimescaleDB (Apache edition) for the tests: Debian 13's postgresql-17-timescaledb, on an
# older Debian inside a chroot of Debian 13 in a cache folder. The mirror is the machine's own.
#   install   have it on this machine; a second call returns at once
#   root      print the folder that holds it ("/" if it is the machine's own); exit code 1 if none
#   run       initialise DATA (a path below that folder) and serve on 127.0.0.1:PORT until killed
set -euo pipefail

CACHE=${ENPILOT_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/enpilot}
CHROOT=$CACHE/debian-13
BIN=/usr/lib/postgresql/17/bin
PACKAGES="postgresql-17 postgresql-17-timescaledb"
TEMPORARY=()
trap 'rm -rf --one-file-system "${TEMPORARY[@]}"' EXIT

# The tests say themselves what they leave out; the rest of the suite must still run.
give_up() {
    echo "timescaledb.sh: $1; tests on TimescaleDB will be skipped" >&2
    exit 0
}

has_timescaledb() {
    [ -x "$1$BIN/postgres" ] && [ -e "$1/usr/lib/postgresql/17/lib/timescaledb.so" ]
}

find_root() {
    if has_timescaledb ""; then
        echo /
    elif [ "$(id -u)" -eq 0 ] && [ -e "$CHROOT/complete" ] && has_timescaledb "$CHROOT"; then
        echo "$CHROOT"
    else
        return 1
    fi
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" > /dev/null
}

# The machine's own Debian mirror; nothing if apt has none, or has not read its lists yet.
mirror() {
    apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)' \
        'Created-By: Packages' | awk -F '|' '$1 $2 $3 == "DebianDebianmain" { print $4; exit }'
}

# While packages are configured in a root: no service starts, and no database is made.
no_services() {
    if [ ! -e "$1/usr/sbin/policy-rc.d" ]; then
        printf '#!/bin/sh\nexit 101\n' > "$1/usr/sbin/policy-rc.d"
        chmod +x "$1/usr/sbin/policy-rc.d"
        TEMPORARY+=("$1/usr/sbin/policy-rc.d")
    fi
    mkdir -p "$1/etc/postgresql-common/createcluster.d"
    echo "create_main_cluster = false" > "$1/etc/postgresql-common/createcluster.d/enpilot.conf"
    TEMPORARY+=("$1/etc/postgresql-common/createcluster.d/enpilot.conf")
}

install_here() {
    no_services ""
    # shellcheck disable=SC2086 # a list of names
    apt_install $PACKAGES || give_up "apt-get install $PACKAGES failed"
}

install_chroot() {
    local from building log=$CACHE/debootstrap.log
    # The keyring with it: the machine's newest must know the newer release's keys.
    apt_install debootstrap debian-archive-keyring ||
        give_up "debootstrap is missing (apt-get install debootstrap)"
    from=$(mirror)
    [ -n "$from" ] || give_up "apt knows no Debian mirror"
    eval "$(apt-config shell http_proxy Acquire::http::Proxy https_proxy Acquire::https::Proxy)"
    export http_proxy https_proxy
    building=$(mktemp -d "$CACHE/building.XXXXXX")
    TEMPORARY+=("$building")
    chmod 755 "$building"
    echo "installing TimescaleDB into $CHROOT (about a minute)"
    debootstrap --foreign --variant=minbase --include="${PACKAGES// /,}" \
        trixie "$building" "$from" > "$log" 2>&1 ||
        give_up "debootstrap failed: $(grep -m 1 '^E:' "$log" || true) (see $log)"
    no_services "$building"
    unshare --mount --propagation private env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C \
        DEBIAN_FRONTEND=noninteractive \
        chroot "$building" /debootstrap/debootstrap --second-stage >> "$log" 2>&1 ||
        give_up "the packages cannot be configured (see $log)"
    rm -rf "$building"/var/cache/apt "$building"/var/lib/apt/lists \
        "$building"/usr/share/{doc,info,locale,man}
    touch "$building/complete"
    rm -rf --one-file-system "$CHROOT"
    mv -T "$building" "$CHROOT"
}

# Enters a chroot: root and command follow. The mounts are its own and end with the command.
ENTER=(unshare --mount --propagation private sh -c '
    root=$1; shift
    mount --bind /dev "$root/dev" && mount -t proc proc "$root/proc" && exec chroot "$root" "$@"
' sh)

case ${1:-} in
    install)
        find_root > /dev/null && exit 0
        command -v apt-get > /dev/null || give_up "needs PostgreSQL 17 with TimescaleDB"
        [ "$(id -u)" -eq 0 ] || give_up "not root; apt-get install $PACKAGES (Debian 13)"
        mkdir -p "$CACHE"
        exec 9> "$CACHE/lock"
        flock 9 # two checkouts may install at once
        find_root > /dev/null && exit 0
        apt-get update -qq || true # a new machine may have no lists, and old ones name old files
        if apt-cache show postgresql-17-timescaledb > /dev/null 2>&1; then
            install_here
        else
            install_chroot
        fi
        ;;
    root) find_root ;;
    run)
        root=$(find_root)
        data=$2
        serve='
            data=$1; port=$2; bin=$3; umask 077
            $bin/initdb --pgdata "$data" --auth trust --username postgres --encoding UTF8 \
                --locale C.UTF-8 --no-sync > /dev/null
            exec $bin/postgres -D "$data" -p "$port" -c listen_addresses=127.0.0.1 \
                -c unix_socket_directories= -c shared_preload_libraries=timescaledb \
                -c timescaledb.telemetry_level=off -c fsync=off -c full_page_writes=off \
                -c synchronous_commit=off -c wal_level=minimal -c max_wal_senders=0 \
                -c jit=off -c shared_buffers=64MB -c max_connections=50'
        if [ "$root" != / ]; then
            mkdir -p "$root$data" && chroot "$root" chown postgres "$data"
            exec "${ENTER[@]}" "$root" setpriv --reuid postgres --regid postgres --clear-groups \
                sh -c "$serve" sh "$data" "$3" "$BIN"
        elif [ "$(id -u)" -eq 0 ]; then
            mkdir -p "$data" && chown postgres "$data"
            exec setpriv --reuid postgres --regid postgres --clear-groups \
                sh -c "$serve" sh "$data" "$3" "$BIN"
        else
            exec sh -c "$serve" sh "$data" "$3" "$BIN"
        fi
        ;;
    *)
        sed -n '2,9p' "$0" >&2
        exit 2
        ;;
esac
