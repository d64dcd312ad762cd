#!/usr/bin/env bash
# wasm_timescaledb.sh install | present | run PORT
#
# TimescaleDB Community as WASM under node, for the tests of its DDL. One connection, no COPY.
set -euo pipefail

HERE=$(cd "$(dirname "$0")/../tests/services/wasm" && pwd)
FOLDER=${ENPILOT_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/enpilot}/wasm

give_up() {
    echo "wasm_timescaledb.sh: $1; tests of the Community edition's DDL will be skipped" >&2
    exit 0
}

installed() {
    cmp -s "$HERE/package-lock.json" "$FOLDER/complete" && command -v node > /dev/null
}

case ${1:-} in
    install)
        installed && exit 0
        mkdir -p "$FOLDER"
        exec 9> "$FOLDER/lock"
        flock 9 # two checkouts may install at once
        installed && exit 0
        if ! command -v npm > /dev/null; then
            [ "$(id -u)" -eq 0 ] || give_up "npm is missing (apt-get install npm)"
            apt-get update -qq || true
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
                npm > /dev/null || give_up "apt-get install npm failed"
        fi
        echo "installing TimescaleDB in WASM into $FOLDER"
        rm -f "$FOLDER/complete"
        cp "$HERE/package.json" "$HERE/package-lock.json" "$HERE/.npmrc" "$FOLDER/"
        (cd "$FOLDER" && npm ci --silent) || give_up "npm ci failed in $FOLDER"
        cp "$HERE/package-lock.json" "$FOLDER/complete"
        ;;
    present) installed ;;
    run)
        installed || exit 1
        cp "$HERE/server.mjs" "$FOLDER/server.$$.mjs" # two sessions may start at once
        mv "$FOLDER/server.$$.mjs" "$FOLDER/server.mjs"
        exec node "$FOLDER/server.mjs" "$2"
        ;;
    *)
        sed -n '2,4p' "$0" >&2
        exit 2
        ;;
esac
