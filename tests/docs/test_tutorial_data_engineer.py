"""docs/tutorials/data-engineer.md, typed as it stands: Kafka, two flow processes, GNU Mailman, a kill, a rescale."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.docs.typed import GOES_ON, Command, File, Terminal, answers, steps
from tests.ports import free_port

pytestmark = [
    pytest.mark.alone,
    pytest.mark.slow,
    pytest.mark.broker,
    pytest.mark.mailman,
    pytest.mark.timeout(900),
]

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tutorials" / "data-engineer.md").read_text(encoding="utf-8")
PORTS = (0, 1, 2, 3, 4, 10, 11)
"""From ``--port-base``: collector, console, shop, history, metrics, Kafka and its controller."""


def page_on(base: int, mailman: int) -> str:
    """The page with these ports instead of 8400 and 8420, which somebody may have."""
    started = re.sub(r"(up --home prod --kafka --flows \d) ", rf"\1 --port-base {base} ", PAGE)
    return started.replace("8420", str(mailman)).replace(":8400", f":{base}").replace(":8404", f":{base + 4}")


def lay_out(folder: Path) -> None:
    """What Segma's folder has besides the command."""
    for name in ("infra", ".segma"):
        (folder / name).symlink_to(ROOT / name)


def lay_out_clone(folder: Path, into: str) -> None:
    """The new build is this one in another place, with what it would make on its first use."""
    build = folder / into
    build.mkdir()
    for each in ROOT.iterdir():
        if each.name != "segma":
            (build / each.name).symlink_to(each)
    script = build / "segma"
    python = shlex.quote(sys.executable)
    script.write_text(f'#!/bin/sh\nSEGMA_ROOT="$PWD/{into}" PYTHONPATH="$PWD/{into}" exec {python} -m cli "$@"\n')
    script.chmod(0o755)


def test_every_line_of_the_page_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    environment = {**os.environ, "SEGMA_ROOT": str(ROOT), "PYTHONPATH": str(ROOT), "COLUMNS": "160"}
    said, killed = "", 0
    base = free_port(PORTS)
    page = page_on(base, free_port()).replace("$PWD", str(tmp_path))
    with Terminal(tmp_path, environment) as terminal:
        for step in steps(page):
            if isinstance(step, File):
                terminal.write(step)
            elif step.line.endswith(GOES_ON):
                terminal.begin(step)
                if " up " in step.line:  # "when it says that everything is ready"
                    answers(f"http://127.0.0.1:{base + 1}/health")
            elif step.line.startswith("kill "):
                (pid,) = re.findall(r"flow-1 +running, pid (\d+)", said)
                terminal.run(Command(step.line.replace("PID", pid), step.prints))
                killed += 1
            elif step.line.startswith("git clone "):
                lay_out_clone(tmp_path, step.line.split()[-1])
            else:
                said = terminal.run(step)
    assert killed == 1
