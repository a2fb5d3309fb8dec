"""docs/tutorials/analyst.md, typed as it stands; a ClickHouse that runs already stands in for `segma up`."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.analytics.embedded import Embedded
from tests.docs.typed import GOES_ON, Command, Terminal, steps

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tutorials" / "analyst.md").read_text(encoding="utf-8")
HOME = "example"


@pytest.fixture(scope="module")
def folder(embedded: Embedded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty folder, and an empty history."""
    history = embedded.history("segma")
    yield tmp_path_factory.mktemp("folder")
    history.command("DROP DATABASE segma", database=False)
    history.close()


def test_every_command_answers_what_the_page_says(
    folder: Path, embedded: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "160",
        "SEGMA_CLICKHOUSE_URL": embedded.url,
        "SEGMA_CLICKHOUSE_PASSWORD_FILE": str(embedded.home / "data" / "clickhouse-segma.password"),
    }
    page = PAGE.replace("PYTHONPATH=. .venv/bin/python", shlex.quote(sys.executable))
    begun = 0
    with Terminal(folder, environment) as terminal:
        for step in steps(page):
            assert isinstance(step, Command)
            if step.line.endswith(GOES_ON):
                analyst = Path(HOME) / "data" / "clickhouse-analyst.password"
                analyst.parent.mkdir(mode=0o700)
                analyst.write_text(f"{embedded.passwords['analyst']}\n")
                begun += 1
                continue
            assert step.prints
            terminal.run(step)
    assert begun == 1


def test_the_python_of_the_page_holds(folder: Path, embedded: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(program.replace("8403", str(embedded.port)), "analyst.md", "exec"), {})


def test_it_asks_what_it_promises() -> None:
    assert [int(number) for number in re.findall(r"^\*\*(\d+)\. ", PAGE, re.MULTILINE)] == list(range(1, 13))
