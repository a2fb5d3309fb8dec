#!/usr/bin/env bash
# msgspec 0.21.1: a whole number that its JSON decoder takes makes its MessagePack encoder raise.
#
# JSON sets no bound to a whole number, and msgspec reads one of twenty digits as a Python int. MessagePack has none outside
# -2**63 … 2**64-1, so what was decoded at the door cannot be stored later: OverflowError, far from where it came in. orjson
# draws another line: beyond 64 bits it answers with a float and says nothing, so two services behind one queue can disagree
# about the number itself.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q --disable-pip-version-check install msgspec==0.21.1 orjson==3.11.5 msgpack==1.1.2
"$work/venv/bin/python" - <<'PY'
import json, sys
import msgpack, msgspec, orjson

def what(call):
    try:
        return type(call()).__name__
    except Exception as error:
        return f"{type(error).__name__}: {error}"

seen = {}
for name, text in {"2**64-1": str(2**64 - 1), "2**64": str(2**64), "-2**63-1": str(-(2**63) - 1)}.items():
    value = int(text)
    seen[name] = row = {
        "json.loads": what(lambda: json.loads(text)),
        "msgspec.json.decode": what(lambda: msgspec.json.decode(text)),
        "orjson.loads": what(lambda: orjson.loads(text)),
        "msgspec.msgpack.encode": what(lambda: msgspec.msgpack.encode(value)),
        "msgpack.packb": what(lambda: msgpack.packb(value)),
    }
    print(name)
    for how, said in row.items():
        print(f"  {how:24} {said}")
decoded = [row["msgspec.json.decode"] for row in seen.values()]
encoded = [row["msgspec.msgpack.encode"].partition(":")[0] for row in seen.values()]
print("msgspec", msgspec.__version__, "decodes as", decoded, "and encodes as", encoded)
sys.exit(0 if decoded == ["int"] * 3 and encoded == ["bytes", "OverflowError", "OverflowError"] else 1)
PY
