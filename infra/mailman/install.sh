#!/bin/sh
# GNU Mailman 3 in a virtual environment of its own, made once: infra/mailman/install.sh [DIRECTORY]
# Prints the environment's path. The default is .segma/mailman in the checkout, which git ignores.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
target=${1:-$here/../../.segma/mailman}
mkdir -p "$target"
target=$(CDPATH='' cd -- "$target" && pwd)
wanted=$(cksum <"$here/requirements.txt")

# Two at once: the second waits for the first.
exec 9>"$target/lock"
if command -v flock >/dev/null 2>&1; then flock 9; fi

if [ ! -f "$target/.made-of" ] || [ "$(cat "$target/.made-of")" != "$wanted" ]; then
    echo "installing Mailman into $target (some 60 MB, once) …" >&2
    rm -rf "$target/venv"
    "${SEGMA_PYTHON:-python3}" -m venv "$target/venv" >&2
    "$target/venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt" >&2
    printf '%s' "$wanted" >"$target/.made-of"
fi
printf '%s\n' "$target/venv"
