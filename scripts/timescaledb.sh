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

keep_services_down() {
    printf '#!/bin/sh\nexit 101\n' > "$1/usr/sbin/policy-rc.d"
    chmod +x "$1/usr/sbin/policy-rc.d"
    mkdir -p "$1/etc/postgresql-common"
    echo "create_main_cluster = false" > "$1/etc/postgresql-common/createcluster.conf"
}

install_chroot() {
    command -v debootstrap > /dev/null || apt-get install -y -qq debootstrap > /dev/null ||
        give_up "debootstrap is missing (apt-get install debootstrap)"
    local mirror building
    mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -v security | sort -u | head -n 1)
    [ -n "$mirror" ] || give_up "apt knows no mirror"
    mkdir -p "$CACHE"
    building=$(mktemp -d "$CACHE/building.XXXXXX")
    trap 'rm -rf --one-file-system "$building"' EXIT
    echo "installing TimescaleDB into $CHROOT (about a minute)"
    debootstrap --variant=minbase trixie "$building" "$mirror" > "$CACHE/debootstrap.log" 2>&1 ||
        give_up "debootstrap failed, see $CACHE/debootstrap.log"
    chmod 755 "$building"
    keep_services_down "$building"
    "${ENTER[@]}" "$building" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends $PACKAGES >> "$CACHE/debootstrap.log" 2>&1 ||
        give_up "the packages cannot be installed, see $CACHE/debootstrap.log"
    rm -rf "$building"/var/cache/apt/archives/*.deb "$building"/var/lib/apt/lists/*
    touch "$building/complete"
    rm -rf --one-file-system "$CHROOT"
    mv "$building" "$CHROOT"
    trap - EXIT
}

# Enters a chroot: root and command follow. The mounts are its own and end with the command.
ENTER=(unshare --mount --propagation private sh -c '
    root=$1; shift
    mount --bind /dev "$root/dev" && mount -t proc proc "$root/proc" && exec chroot "$root" "$@"
' sh)

case ${1:-} in
    install)
        find_root > /dev/null && exit 0
        [ "$(id -u)" -eq 0 ] || give_up "not root; apt-get install $PACKAGES (Debian 13)"
        command -v apt-get > /dev/null || give_up "no apt-get here"
        if [ "$(. /etc/os-release && echo "${VERSION_ID:-0}" | cut -d. -f1)" -ge 13 ]; then
            keep_services_down ""
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
                $PACKAGES > /dev/null || give_up "apt-get install $PACKAGES failed"
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
                -c synchronous_commit=off -c shared_buffers=64MB -c max_connections=50'
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
