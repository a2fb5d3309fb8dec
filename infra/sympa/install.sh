#!/bin/sh
# Debian's Sympa in a folder of its own, made once: infra/sympa/install.sh [DIRECTORY]
# Prints the folder's path; the default is .segma/sympa in the checkout, which git ignores. The packages are unpacked and
# not installed: no service, no user, no mail server, nothing of this machine is changed, and root is not needed.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
target=${1:-$here/../../.segma/sympa}
mkdir -p "$target"
target=$(CDPATH='' cd -- "$target" && pwd)
wanted=$(cksum <"$here/install.sh")

# Two at once: the second waits for the first.
exec 9>"$target/lock"
if command -v flock >/dev/null 2>&1; then flock 9; fi

if [ -f "$target/.made-of" ] && [ "$(cat "$target/.made-of")" = "$wanted" ]; then
    printf '%s\n' "$target"
    exit 0
fi

rm -rf "$target/root" "$target/debs" "$target/lists"
mkdir -p "$target/root" "$target/debs" "$target/lists/partial"
# Package lists of its own: the machine's may name versions that are gone.
own="-o Dir::State::lists=$target/lists -o APT::Sandbox::User=root -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache="
# shellcheck disable=SC2086
apt-get -qq $own update >&2

# What this machine has stays as it is; of the rest everything that Perl loads, and no server, font or script of pages.
# shellcheck disable=SC2086
packages=$(apt-get -s $own install --no-install-recommends sympa dbconfig-sqlite3 msmtp-mta |
    awk '/^Inst/ && $3 !~ /^\[/ {print $2}' |
    grep -vE '^(fonts-|libjs-|node-|exim4|rsyslog|dbconfig|msmtp|mhonarc|multiwatch|mysql-|mariadb-|libmariadb|libdbd-(mysql|pg))')
# shellcheck disable=SC2086
(cd "$target/debs" && apt-get -qq $own download $packages >&2)
for each in "$target/debs"/*.deb; do dpkg-deb -x "$each" "$target/root"; done
rm -rf "$target/debs" "$target/lists"

printf '%s' "$wanted" >"$target/.made-of"
printf '%s\n' "$target"
