#!/usr/bin/env bash
# Sympa's `restore` says "Restored" and ends with 0 whatever became of the people in the dump: one that is no address is
# passed over without a word. Its `add` puts people into a closed list, though nobody may subscribe to it any more, and
# ends with 0 as well. Whoever needs to know who is in has to look at the members, and at the list's state, themselves.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
infra=$(cd "$(dirname "$0")/../infra/sympa" && pwd)
installed=$("$infra/install.sh" "$folder/installed")
sympa() { "$infra/run.sh" "$installed" "$folder/lists" "$@" 2> >(grep -v setlogsock >&2 || true); }
sympa --version
echo

cat >"$folder/list.xml" <<'XML'
<list><listname>news</listname><type>discussion_list</type><subject>News</subject><status>open</status>
<topic>other</topic><owner multiple="1"><email>owner@example.org</email></owner></list>
XML
sympa create --input_file="$folder/list.xml" lists.example.org
printf 'email ann@example.org\nsubscribed 1\n\nemail no-address\nsubscribed 1\n' >"$folder/lists/list_data/news/member.dump"
sympa restore --roles=member news@lists.example.org
echo "restore of two, one of which is no address: exit $?"
sympa review news@lists.example.org | tee "$folder/members"
[ "$(grep -c @ "$folder/members")" = 2 ] || { echo "this has changed"; exit 1; } # the heading, and one member

sed -i 's/^status open$/status closed/' "$folder/lists/list_data/news/config"
echo bob@example.org | sympa add --quiet news@lists.example.org
echo "add to a closed list: exit $?"
sympa dump --roles=member news@lists.example.org
python3 - "$folder/lists/sympa.sqlite" <<'PYTHON'
import sqlite3
import sys

found = sqlite3.connect(sys.argv[1]).execute("SELECT user_subscriber FROM subscriber_table ORDER BY 1").fetchall()
print("members now:", found)
if ("bob@example.org",) not in found:
    sys.exit("this has changed")
PYTHON
