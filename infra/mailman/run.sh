#!/bin/sh
# A GNU Mailman in a directory, its REST interface on loopback, no mail in: infra/mailman/run.sh VENV DIRECTORY PORT PASSWORD [SMTP]
# No mail out either, unless SMTP is the port of a server on this machine that takes it.
# Stays in the foreground; a SIGTERM stops it. For tests, the demo and a first look: not how to run Mailman for real.
set -eu

venv=$1 directory=$2 port=$3 password=$4 smtp=${5:-}
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
if [ -n "$smtp" ]; then
    printf 'smtp_host: 127.0.0.1\nsmtp_port: %s\n\n' "$smtp" >>"$directory/mailman.cfg"
    printf '[runner.virgin]\nsleep_time: 0.1s\n\n[runner.out]\nsleep_time: 0.1s\n\n' >>"$directory/mailman.cfg"
    silent=''
else
    silent='out virgin'
fi
for runner in archive bounces command digest in lmtp nntp pipeline retry shunt task $silent; do
    printf '[runner.%s]\nstart: no\n\n' "$runner" >>"$directory/mailman.cfg"
done
exec "$venv/bin/master" --force -C "$directory/mailman.cfg"
