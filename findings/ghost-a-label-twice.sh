#!/usr/bin/env bash
# Ghost's bulk call `addLabel` makes a row for every member that its filter finds, whether they have the label already or
# not, and answers 200 with `"successful"`; a member then has it twice in the database, and `removeLabel` counts both. A
# page of members says nothing of why anybody on it is suppressed as soon as one address on it has an apostrophe, because
# Ghost writes the addresses into a filter of its own without escaping them: who complained looks like who bounced.
# Takes a gigabyte and some minutes; INSTALLED=FOLDER keeps what is downloaded, or uses what is there.
set -euo pipefail
folder=$(mktemp -d)
infra=$(cd "$(dirname "$0")/../infra/ghost" && pwd)
installed=$("$infra/install.sh" "${INSTALLED:-$folder/installed}")
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$infra/run.sh" "$installed" "$folder/site" "$port" 9 >"$folder/said" 2>&1 & # port 9: no mail leaves
running=$!
trap 'kill "$running"; wait "$running" || true; rm -rf "$folder"' EXIT

at=http://127.0.0.1:$port/ghost/api/admin
ask() { curl -sS --fail-with-body -b "$folder/jar" -c "$folder/jar" -H "Origin: http://127.0.0.1:$port" -H 'Content-Type: application/json' "$@"; }
for _ in $(seq 300); do
    if ask "$at/site/" >"$folder/site.json" 2>/dev/null; then break; fi
    kill -0 "$running"
    sleep 1
done
python3 -c 'import json, sys; print("Ghost", json.load(open(sys.argv[1]))["site"]["version"])' "$folder/site.json"

owner='"email": "owner@example.org", "password": "walnut-lantern-42"'
ask -d "{\"setup\": [{\"name\": \"Owner\", \"blogTitle\": \"Shop\", $owner}]}" "$at/authentication/setup/" >/dev/null
ask -d "{\"username\": \"owner@example.org\", ${owner#*, }}" "$at/session/" >/dev/null
sql() { LD_LIBRARY_PATH="$installed/root/usr/lib/x86_64-linux-gnu" "$installed/root/usr/bin/mariadb" -S "$folder/site/db" -N ghost -e "$1"; }
id_of() { python3 -c 'import json, sys; print(next(iter(json.load(sys.stdin).values()))[0]["id"])'; }
label=$(ask -d '{"labels": [{"name": "news"}]}' "$at/labels/" | id_of)
ann=$(ask -d '{"members": [{"email": "ann@example.org"}]}' "$at/members/" | id_of)
ask -d "{\"members\": [{\"email\": \"o'brien@example.org\"}]}" "$at/members/" >/dev/null

body() { printf '{"bulk": {"action": "%s", "meta": {"label": {"id": "%s"}}}}' "$1" "$label"; }
bulk() { ask -X PUT -d "$(body "$1")" "$at/members/bulk/?filter=id%3A%5B%27$ann%27%5D"; echo; }
echo "addLabel, twice:"
bulk addLabel
bulk addLabel
echo "rows: $(sql 'select count(*) from members_labels' | tee "$folder/rows")"
echo "removeLabel:"
bulk removeLabel
[ "$(cat "$folder/rows")" = 2 ] || { echo "this has changed"; exit 1; }

echo "ann complained:"
sql "insert into suppressions (id, email, reason, created_at) values ('1', 'ann@example.org', 'spam', now())"
suppression() { python3 -c 'import json, sys; print(next(each["email_suppression"] for each in json.load(sys.stdin)["members"] if each["email"][0] == "a"))'; }
ask "$at/members/?filter=id%3A%5B%27$ann%27%5D" | suppression
ask "$at/members/" | suppression | tee "$folder/beside"
grep -q "'suppressed': False" "$folder/beside" || { echo "this has changed"; exit 1; }
