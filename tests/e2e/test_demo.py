"""``segma demo --drive`` as a newcomer runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.drive import EXPECTED
from tests.ports import free_port

pytestmark = pytest.mark.alone

ROOT = Path(__file__).resolve().parents[2]


def free_base() -> int:
    """A port whose successors are free as well, those of a local Kafka included."""
    return free_port((0, 1, 2, 3, 4, 10, 11))


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("log", ["embedded", pytest.param("kafka", marks=pytest.mark.broker)])
def test_every_expected_move_happens(log: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cli", "demo", "--drive", "--json", "--home", str(tmp_path)]
    if log == "kafka":
        command.append("--kafka")
    environment = {**os.environ, "SEGMA_ROOT": str(ROOT), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "--port-base", str(free_base())],
        capture_output=True,
        text=True,
        env=environment,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    ledger = json.loads(done.stdout.splitlines()[-1])
    assert ledger["missing"] == []
    assert {(move["person"], move["to_list"]) for move in ledger["moves"]} >= set(EXPECTED)
    assert ledger["samples"] >= 20
    assert all(move["evidence"] for move in ledger["moves"])
