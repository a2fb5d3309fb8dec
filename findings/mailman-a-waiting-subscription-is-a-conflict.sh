#!/usr/bin/env bash
# GNU Mailman 3.3.10 answers 409 to a subscription for two opposite reasons: the person is a member already, and the person
# has been asked to confirm and has not answered, so is none. Only the description tells them apart. Being waited for is not
# shown by the person's memberships, and a call that says `pre_confirmed=true` does not let them in either.
set -euo pipefail
work=$(mktemp -d)
trap 'kill "${master:-0}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q --disable-pip-version-check install mailman==3.3.10 falcon==3.1.3 SQLAlchemy==2.0.58 requests==2.34.2
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$work/mailman.cfg" <<EOF
[mailman]
site_owner: postmaster@example.org
layout: here

[paths.here]
var_dir: $work/var
bin_dir: $work/venv/bin

[webservice]
hostname: 127.0.0.1
port: $port
admin_user: admin
admin_pass: only-here
workers: 1

[mta]
incoming: mailman.mta.null.NullMTA

EOF
for runner in archive bounces command digest in lmtp nntp out pipeline retry shunt task virgin; do
    printf '[runner.%s]\nstart: no\n\n' "$runner" >>"$work/mailman.cfg"
done
"$work/venv/bin/master" --force -C "$work/mailman.cfg" >"$work/said" 2>&1 &
master=$!
"$work/venv/bin/python" - "$port" <<'PYTHON'
import sys
import time

import requests

session = requests.Session()
session.auth = ("admin", "only-here")
url = f"http://127.0.0.1:{sys.argv[1]}/3.1"
for _ in range(300):
    try:
        print(session.get(f"{url}/system/versions", timeout=5).json()["mailman_version"])
        break
    except requests.RequestException:
        time.sleep(0.3)


def ask(method: str, path: str, **form: str) -> requests.Response:
    return session.request(method, f"{url}{path}", data=form, timeout=60)


ask("POST", "/domains", mail_host="lists.example")
ask("POST", "/lists", fqdn_listname="news@lists.example")
ask("PATCH", "/lists/news@lists.example/config", subscription_policy="confirm")


def subscribe(address: str, confirmed: str) -> tuple[int, str]:
    reply = ask(
        "POST", "/members", list_id="news.lists.example", subscriber=address, pre_verified="true",
        pre_approved="true", pre_confirmed=confirmed, send_welcome_message="false",
    )
    said = reply.status_code, reply.json().get("description", "") if reply.text else ""
    print(f"{address} pre_confirmed={confirmed:5} {said}")
    return said


waiting = [subscribe("ann@example.org", each) for each in ("false", "false", "true")]
member = [subscribe("ben@example.org", "true") for _ in range(2)]
shown = ask("POST", "/members/find", subscriber="ann@example.org", role="member").json()["total_size"]
print("memberships of ann@example.org:", shown)
conflict = (409, "Subscription request already pending")
expected = [(202, ""), conflict, conflict], [(201, ""), (409, "Member already subscribed")], 0
sys.exit(0 if (waiting, member, shown) == expected else "this has changed")
PYTHON
