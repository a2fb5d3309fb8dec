#!/bin/sh
# A GNU Mailman in a directory, its REST interface on loopback, no mail in or out: infra/mailman/run.sh VENV DIRECTORY PORT PASSWORD
# Stays in the foreground; a SIGTERM stops it. For tests, the demo and a first look: not how to run Mailman for real.
set -eu

venv=$1 directory=$2 port=$3 password=$4
mkdir -p "$directory"
cat >"$directory/mailman.cfg" <<EOF
[mailman]
site_owner: postmaster@example.org
layout: segma

[paths.segma]
var_dir: $directory/var
bin_dir: $venv/bin

[webservice]
hostname: 127.0.0.1
port: $port
admin_user: segma
admin_pass: $password
workers: 1

[mta]
incoming: mailman.mta.null.NullMTA
EOF
for runner in archive bounces command digest in lmtp nntp out pipeline retry shunt task virgin; do
    printf '[runner.%s]\nstart: no\n\n' "$runner" >>"$directory/mailman.cfg"
done
exec "$venv/bin/master" --force -C "$directory/mailman.cfg"
