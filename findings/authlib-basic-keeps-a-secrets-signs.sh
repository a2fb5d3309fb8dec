#!/usr/bin/env bash
# A client secret that a provider has made at random holds signs such as + / = %. By RFC 6749 (2.3.1) a client that proves
# itself with `client_secret_basic` writes id and secret in the encoding of forms before they become the header; a token
# endpoint that keeps to it decodes them so. Authlib 1.9.10 writes them as they are: to such an endpoint `+` has become a
# blank and `%41` an `A`, and it answers that the client is unknown, for some secrets and not for others. `client_secret_post`
# puts the same secret through the form's own encoding, and both agree.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q authlib==1.9.10 requests==2.32.5
cat >as_read.py <<'PY'
import base64
from importlib.metadata import version
from urllib.parse import parse_qs, quote_plus, unquote_plus

from authlib.oauth2 import ClientAuth


def sent(secret: str, method: str) -> str:
    """The secret that an endpoint reads which keeps to the RFC."""
    client = ClientAuth("shop", secret, method)
    _, headers, body = client.prepare("POST", "https://login.example/token", {}, "grant_type=authorization_code&code=c")
    if method == "client_secret_post":
        return parse_qs(body)["client_secret"][0]
    name, _, found = base64.b64decode(headers["Authorization"].split()[1]).decode().partition(":")
    return unquote_plus(found)


print("Authlib", version("authlib"))
read = {}
for secret in ("plain-secret-1", "p+q/r==", "100%41b"):
    read[secret] = sent(secret, "client_secret_basic"), sent(secret, "client_secret_post")
    by_rfc = unquote_plus(quote_plus(secret))
    print(f"{secret!r}: read of the header {read[secret][0]!r}, of the form {read[secret][1]!r}, as the RFC says {by_rfc!r}")
assert read["plain-secret-1"] == ("plain-secret-1", "plain-secret-1")
assert read["p+q/r=="] == ("p q/r==", "p+q/r==")
assert read["100%41b"] == ("100Ab", "100%41b")
PY
venv/bin/python as_read.py
