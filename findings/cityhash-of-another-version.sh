#!/usr/bin/env bash
# ClickHouse's compressed HTTP blocks are summed with CityHash128 of version 1.0.2; PyPI's `cityhash` has version 1.1.
#
# Both packages have a function of the same name and answer without a complaint. Equal for the empty string alone, so a frame
# made with `cityhash` is refused by every ClickHouse ("Checksum doesn't match").
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q --disable-pip-version-check install cityhash==0.4.10 clickhouse-cityhash==1.0.2.6
"$work/venv/bin/python" - <<'PY'
import sys
from importlib.metadata import version
import cityhash
from clickhouse_cityhash.cityhash import CityHash128

rows = [(text, CityHash128(text) == cityhash.CityHash128(text)) for text in (b"", b"a", b"segment", b"x" * 100)]
for text, same in rows:
    print(f"{len(text):4} bytes: {'the same' if same else 'different'}")
print("cityhash", version("cityhash"), "and clickhouse-cityhash", version("clickhouse-cityhash"))
sys.exit(0 if [same for _, same in rows] == [True, False, False, False] else 1)
PY
