#!/usr/bin/env bash
# Bytewax 0.21.1, recovery on: a source's position is pickled with the name of its class's module.
#
# A flow whose source says its position as a NamedTuple is ended and started anew with that class in another module, and
# nothing else changed: it ends with ModuleNotFoundError, and the message names neither the step nor the partition. So a
# package that is renamed, or a class that is moved, cannot resume what its release before stored. A position of bytes
# goes on.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -c 'import sys; sys.exit(not (3, 8) <= sys.version_info[:2] <= (3, 12))' || { echo "needs a Python up to 3.12: Bytewax has no newer wheels" >&2; exit 2; }
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q --disable-pip-version-check install bytewax==0.21.1
cat >"$work/flow.py" <<'PY'
import importlib, sys
from datetime import timedelta
import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.recovery import RecoveryConfig
from bytewax.run import cli_main
from bytewax.testing import TestingSink

module, kind, store, upto = sys.argv[1:]
Position = importlib.import_module(module).Position
pack = Position if kind == "class" else lambda number: str(number).encode()
unpack = (lambda position: position.number) if kind == "class" else int

class Numbers(StatefulSourcePartition):
    def __init__(self, resume): self.number = unpack(resume) if resume is not None else 0
    def next_batch(self):
        if self.number >= int(upto): raise StopIteration
        self.number += 1
        return [self.number]
    def snapshot(self): return pack(self.number)

class Source(FixedPartitionedSource):
    def list_parts(self): return ["one"]
    def build_part(self, step_id, part, resume): return Numbers(resume)

read = []
flow = Dataflow("f")
op.output("out", op.input("in", flow, Source()), TestingSink(read))
cli_main(flow, epoch_interval=timedelta(0), recovery_config=RecoveryConfig(store))
print(f"read {read[0]} to {read[-1]}")
PY
printf 'from typing import NamedTuple\nclass Position(NamedTuple):\n    number: int\n' >"$work/before.py"
cd "$work"
for kind in class bytes; do
    mkdir "$kind"; "$work/venv/bin/python" -m bytewax.recovery "$kind" 1
    "$work/venv/bin/python" flow.py before "$kind" "$kind" 5 >"$kind.said"
done
mv before.py after.py
for kind in class bytes; do
    rc=0; "$work/venv/bin/python" flow.py after "$kind" "$kind" 9 >>"$kind.said" 2>"$kind.error" || rc=$?
    echo "bytewax 0.21.1, position as $kind: $(paste -sd, "$kind.said"), second run's exit code $rc $(grep -o 'ModuleNotFoundError.*' "$kind.error" | head -1 || true)"
    echo "$rc" >"$kind.rc"
done
[ "$(cat class.rc)" -ne 0 ] && grep -q "ModuleNotFoundError: No module named 'before'" class.error &&
    [ "$(cat bytes.rc)" -eq 0 ] && [ "$(tail -1 bytes.said)" = "read 6 to 9" ] || { echo "this has changed" >&2; exit 1; }
