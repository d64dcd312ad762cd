#!/usr/bin/env bash
# Writes the lock files anew: hashed, for all platforms, without any registry's address.
set -euo pipefail
cd "$(dirname "$0")/.."
tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT
python3 -m venv "$tool"
"$tool/bin/pip" install --quiet uv
compile() {
    "$tool/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-annotate --no-header "$@"
}
compile pyproject.toml -o requirements/edge.txt
compile pyproject.toml --extra server -o requirements/server.txt
compile pyproject.toml --extra demo -o requirements/demo.txt
compile pyproject.toml --extra dev -o requirements/dev.txt
printf 'editables\nhatchling\n' | compile - -o requirements/build.txt
