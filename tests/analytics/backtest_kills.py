"""``kill -9`` of ``segma backtest``: ``python -m tests.analytics.backtest_kills [KILLS] [SEED]`` (20 by default).

The command runs as a process of its own over a history in an embedded ClickHouse, and is killed at random moments: as
it starts, and behind the first ranges that it has done. Judged at the end: what it says is what it said undisturbed.
Exit status 1 where it is not.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.analytics.embedded import ROOT, Embedded
from tests.analytics.flow_history import Past, begun

PATIENCE_S = 120.0
"""For one run of the command."""
CODE = "import cli.backtest, sys; cli.backtest.RANGE_ROWS = 2; from cli.__main__ import cli; cli(sys.argv[1:])"


class Killed:
    """A back-test that is killed again and again, and then let be."""

    def __init__(self, past: Past, random: Random) -> None:
        words = ["backtest", "keen", "--json", "--progress", "--processes", "1", "--home", str(past.home)]
        self._words, self._random = [sys.executable, "-c", CODE, *words], random
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def kill(self) -> bool:
        """Run it and kill it at a random moment; whether it was killed before it had ended."""
        with subprocess.Popen(
            self._words, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            bound = threading.Timer(PATIENCE_S, process.kill)
            bound.start()
            try:
                ranges = self._random.randrange(4)
                for _ in range(ranges):
                    process.stderr.readline() if process.stderr is not None else None
                time.sleep(self._random.random() * (0.02 if ranges else 1.0))
                process.kill()
                return process.wait(PATIENCE_S) == -signal.SIGKILL
            finally:
                bound.cancel()

    def let_be(self) -> dict[str, Any]:
        """Run it to its end: its answer."""
        done = subprocess.run(self._words, env=self._environment, capture_output=True, check=True, timeout=PATIENCE_S)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


def main(kills: int, seed: int) -> int:
    """Kill so often; the exit status."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        home = Path(folder) / "server"
        home.mkdir()
        server = Embedded(home, SEGMA_CLICKHOUSE_MEMORY_BYTES=str(2**28))
        server.start()
        try:
            past = begun(server, "t_kills", Path(folder), patched)
            whole, killed = past.answer("keen"), Killed(past, Random(seed))
            done = sum(killed.kill() for _ in range(kills))
            answer = killed.let_be()
            past.history.close()
        finally:
            server.stop()
    alike = answer == whole
    print(f"{done} of {kills} kills, {whole['matches']} matches: the answer is {'the same' if alike else 'ANOTHER'}")
    return 0 if alike else 1


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    sys.exit(main(*(given + [20, 1][len(given) :])))
