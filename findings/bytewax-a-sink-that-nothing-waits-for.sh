#!/usr/bin/env bash
# Bytewax 0.21.1, recovery on: an epoch is committed, and a flow ends with exit code 0, without waiting for a DynamicSink.
#
# 1,000 items pass one stateful step, 200 plain maps and a sink. With a DynamicSink fewer than 1,000 are written, the exit
# code is 0, and a second run on the same recovery store brings none of the missing: they are lost for good. With a
# FixedPartitionedSink, which has a state and so takes part in the epoch's snapshot, all 1,000 are written.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -c 'import sys; sys.exit(not (3, 8) <= sys.version_info[:2] <= (3, 12))' || { echo "needs a Python up to 3.12: Bytewax has no newer wheels" >&2; exit 2; }
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q --disable-pip-version-check install bytewax==0.21.1
cat >"$work/flow.py" <<'PY'
import os, sys
from datetime import timedelta
import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, FixedPartitionedSink, StatefulSinkPartition, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig
from bytewax.run import cli_main
from bytewax.testing import TestingSource

kind, store, out = sys.argv[1:]

def write(items):
    with open(out, "a") as file:
        file.writelines(f"{item}\n" for item in items)

class Free(StatelessSinkPartition):
    def write_batch(self, items): write(items)

class FreeSink(DynamicSink):
    def build(self, step_id, worker_index, worker_count): return Free()

class Kept(StatefulSinkPartition):
    def write_batch(self, values): write(values)
    def snapshot(self): return None

class KeptSink(FixedPartitionedSink):
    def list_parts(self): return ["one"]
    def build_part(self, step_id, part, state): return Kept()

flow = Dataflow("f")
stream = op.input("in", flow, TestingSource(range(1000), batch_size=10))
stream = op.key_on("key", stream, lambda item: "k")
stream = op.stateful_map("state", stream, lambda state, item: ((state or 0) + 1, item))
for number in range(200):
    stream = op.map(f"m{number}", stream, lambda pair: pair)
if kind == "dynamic":
    op.output("out", op.map("bare", stream, lambda pair: pair[1]), FreeSink())
else:
    op.output("out", stream, KeptSink())
cli_main(flow, epoch_interval=timedelta(milliseconds=50), recovery_config=RecoveryConfig(store))
PY
declare -A written
for kind in dynamic partitioned; do
    mkdir "$work/$kind"
    "$work/venv/bin/python" -m bytewax.recovery "$work/$kind" 1
    : >"$work/$kind.out"
    "$work/venv/bin/python" "$work/flow.py" "$kind" "$work/$kind" "$work/$kind.out"
    first=$(wc -l <"$work/$kind.out")
    "$work/venv/bin/python" "$work/flow.py" "$kind" "$work/$kind" "$work/$kind.out"
    written[$kind]=$(sort -u "$work/$kind.out" | wc -l)
    echo "bytewax 0.21.1, $kind sink: $first of 1,000 written, exit code 0; after a second run on the same store: ${written[$kind]}"
done
[ "${written[dynamic]}" -lt 1000 ] && [ "${written[partitioned]}" -eq 1000 ] || { echo "this has changed" >&2; exit 1; }
