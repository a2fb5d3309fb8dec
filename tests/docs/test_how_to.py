"""docs/how-to: each listener does what its examples say, and each command prints what its page says."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from cli.__main__ import COMMANDS
from contracts.actions import VOCABULARY
from flows.language.lint import lint
from flows.language.parse import parse_listeners
from flows.replay.examples import failures, parse_examples
from tests.docs.typed import Command, File, Terminal, steps
from tests.sinks.beds import served_bed
from tests.sinks.simulator.server import KEY

ROOT = Path(__file__).resolve().parents[2]
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "how-to").glob("*.md")}
PAIR = re.compile(r"```yaml listener\n(.*?)```\n\n```yaml examples\n(.*?)```", re.DOTALL)
PAIRS = [(name, *pair) for name, text in sorted(PAGES.items()) for pair in PAIR.findall(text)]
TYPED = sorted(name for name, text in PAGES.items() if "\n$ " in text)


@pytest.mark.parametrize(("name", "listener", "examples"), PAIRS)
def test_a_listener_does_what_its_examples_say(name: str, listener: str, examples: str) -> None:
    listeners = parse_listeners([(name, listener.encode())], known_actions=VOCABULARY)
    read = parse_examples(name, examples.encode(), known_actions=VOCABULARY)
    assert [found for example in read for found in failures(listeners, example)] == []
    assert lint(listeners) == []
    assert {bool(example.expect) for example in read} == {True, False}, "whom it moves, and whom it does not"


def test_every_page_is_of_use() -> None:
    assert len(PAGES) >= 10
    assert [name for name, text in PAGES.items() if text.count("```yaml listener") != len(PAIR.findall(text))] == []
    assert [name for name, text in PAGES.items() if "Traps:" not in text] == []
    run = {name for name, *_ in PAIRS} | set(TYPED)
    assert set(PAGES) - run == set(), "nothing of it is run"


def type_all(page: str, folder: Path, **environment: str) -> None:
    """Write each file of a page and type each command, in a folder."""
    with Terminal(folder, {**os.environ, "COLUMNS": "160", **environment}) as terminal:
        for step in steps(page):
            if isinstance(step, File):
                terminal.write(step)
            else:
                terminal.run(step)


@pytest.mark.parametrize("name", [name for name in TYPED if name != "listmonk"])
def test_each_command_prints_what_the_page_says(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    type_all(PAGES[name], tmp_path)


@pytest.mark.slow
def test_listmonk_from_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bed = served_bed("listmonk", tmp_path / "bed")
    monkeypatch.chdir(tmp_path)
    try:
        for address in ("ada@example.org", "ben@example.org"):
            bed.put(address, "newsletter")
        page = PAGES["listmonk"].replace("http://127.0.0.1:9000", bed.server.url)
        type_all(page, tmp_path, LISTMONK_TOKEN=KEY)
    finally:
        bed.close()


def test_what_the_pages_call_a_command_is_one() -> None:
    named = {word for text in PAGES.values() for word in re.findall(r"(?:\./|`)segma (\w+)", text)}
    assert named
    assert named - set(COMMANDS) == set()


def test_an_unexpected_answer_is_a_failure(tmp_path: Path) -> None:
    with Terminal(tmp_path, dict(os.environ)) as terminal, pytest.raises(AssertionError):
        terminal.run(Command("./segma --version", "segma, version …, and more"))
