"""docs/tutorials/analyst.md, typed as it stands, against the history that it tells of."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from analytics.clickhouse import ClickHouse
from tests.analytics.embedded import Embedded
from tests.docs.typed import Command, Terminal, steps

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tutorials" / "analyst.md").read_text(encoding="utf-8")
CONFIG = """
token_keys: {file: keys}
workspaces:
  demo: {secret: {file: secret}}
"""


@pytest.fixture
def folder(embedded: Embedded, story: ClickHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the home of the page."""
    home = tmp_path / "shop"
    (home / "data").mkdir(parents=True, mode=0o700)
    (home / "segma.yaml").write_text(CONFIG)
    (home / "secret").write_text("s" * 40)
    (home / "data" / "clickhouse-analyst.password").write_text(f"{embedded.passwords['analyst']}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_answers_what_the_page_says(folder: Path, embedded: Embedded) -> None:
    environment = {
        **os.environ,
        "COLUMNS": "160",
        "SEGMA_CLICKHOUSE_URL": embedded.url,
        "SEGMA_CLICKHOUSE_PASSWORD_FILE": str(embedded.home / "data" / "clickhouse-segma.password"),
    }
    with Terminal(folder, environment) as terminal:
        for step in steps(PAGE):
            assert isinstance(step, Command)
            assert step.prints
            terminal.run(step)


def test_the_python_of_the_page_holds(folder: Path, embedded: Embedded) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(program.replace("8403", str(embedded.port)), "analyst.md", "exec"), {})


def test_it_asks_what_it_promises() -> None:
    assert [int(number) for number in re.findall(r"^\*\*(\d+)\. ", PAGE, re.MULTILINE)] == list(range(1, 13))
