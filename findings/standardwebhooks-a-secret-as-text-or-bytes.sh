#!/usr/bin/env bash
# standardwebhooks' Webhook takes a secret as text or as bytes, and one secret makes two keys: text is read as base64, with
# or without `whsec_` in front, bytes are the key as they are. Whoever reads a secret from a file as bytes checks by
# another key than a sender who hands the same secret over as text; nothing is said of it but that no signature fits.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check standardwebhooks==1.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from datetime import UTC, datetime
from importlib.metadata import version

from standardwebhooks import Webhook

print("standardwebhooks", version("standardwebhooks"), "Python", sys.version.split()[0])
secret = "whsec_" + "c2VjcmV0" * 4
at = datetime(2026, 1, 2, tzinfo=UTC)
text, data, decoded = (Webhook(each).sign("m", at, "{}") for each in (secret, secret.encode(), b"secret" * 4))
print("as text: ", text)
print("as bytes:", data)
print("as what stands in base64:", decoded)
if text == data or text != decoded:
    sys.exit("this has changed")
PYTHON
