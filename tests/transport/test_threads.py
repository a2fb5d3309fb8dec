"""No thread ends without its process knowing."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WAITING = """
import structlog, sys, threading
from transport.threads import end_with_any_thread
structlog.configure(
    processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.PrintLoggerFactory(sys.stderr)
)
end_with_any_thread()
def work():
    raise ENDS("ada@shop.example")
thread = threading.Thread(target=work, name="worker")
thread.start()
thread.join()
threading.Event().wait(WAIT)
"""


def run(ends: str, wait: str) -> subprocess.CompletedProcess[str]:
    text = WAITING.replace("ENDS", ends).replace("WAIT)", f"{wait})")
    return subprocess.run(
        [sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_thread_that_ends_by_an_exception_ends_the_process_and_is_named() -> None:
    done = run("KeyError", "")
    assert done.returncode == 1
    said = json.loads(done.stderr.splitlines()[-1])
    assert (said["event"], said["thread"], said["error"]) == ("thread_ended", "worker", "KeyError")
    assert said["where"][-1].endswith(" work")
    assert "ada@shop" not in done.stderr, "an exception's text may hold an address"


def test_a_thread_may_end_itself() -> None:
    assert run("SystemExit", "0").returncode == 0


@pytest.mark.parametrize("room", ["analytics", "cli", "collector", "console", "flows", "sinks"])
def test_every_process_ends_with_its_threads(room: str) -> None:
    calls = [
        node.func.id
        for node in ast.walk(ast.parse((ROOT / room / "__main__.py").read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    assert "end_with_any_thread" in calls
