"""What docs/extending.md says, done to the letter: its files and lines go into a copy of the rooms, and they work."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from cli.compile import ROOMS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(
    r"^\*\*`(?P<path>[^`]+)`\*\*, (?:a new file|(?:one line|two lines, the second) below `(?P<below>[^`]+)`"
    r"|instead of `(?P<instead>[^`]+)`):\n\n```\w+\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


class Example(NamedTuple):
    """A file of the page, or lines for one; ``below``: the line that the last of them stands under.

    ``instead``: the line whose place they take.
    """

    path: str
    below: str | None
    instead: str | None
    text: str


EXAMPLES = [Example(found["path"], found["below"], found["instead"], found["text"]) for found in EXAMPLE.finditer(PAGE)]


def put(rooms: Path, example: Example) -> None:
    """Do what the page says: write the file, or the lines where it says."""
    path = rooms / example.path
    if example.instead is not None:
        source = path.read_text(encoding="utf-8")
        assert source.count(f"{example.instead}\n") == 1
        path.write_text(source.replace(f"{example.instead}\n", example.text), encoding="utf-8")
        return
    if example.below is None:
        assert not path.exists()
        path.write_text(example.text, encoding="utf-8")
        return
    source, lines = path.read_text(encoding="utf-8"), example.text.splitlines(keepends=True)
    assert source.count(f"{example.below}\n") == 1
    source = source.replace(f"{example.below}\n", f"{example.below}\n{lines[-1]}")
    if len(lines) == 2:
        source = source.replace(
            "from __future__ import annotations\n", f"from __future__ import annotations\n{lines[0]}"
        )
    path.write_text(source, encoding="utf-8")


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rooms with everything on the page in them."""
    into = tmp_path_factory.mktemp("extended")
    for room in ROOMS:
        shutil.copytree(ROOT / room, into / room, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "infra" / "clickhouse", into / "infra" / "clickhouse")
    shutil.copytree(ROOT / "tests" / "sinks", into / "tests" / "sinks", ignore=shutil.ignore_patterns("__pycache__"))
    for example in EXAMPLES:
        put(into, example)
    return into


def said(rooms: Path, program: str) -> object:
    """What a program prints as JSON, run among the rooms, whichever rooms the tests themselves run on."""
    own = {**os.environ, "PYTHONPATH": str(rooms)}
    started = [sys.executable, "-c", program]
    done = subprocess.run(started, cwd=rooms, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_page_names_few_files_for_each() -> None:
    assert len(EXAMPLES) == PAGE.count("```") // 2, "every block of the page is a file or lines for one"
    assert {example.path.partition("/")[0] for example in EXAMPLES} >= {
        "sinks",
        "collector",
        "flows",
        "contracts",
        "analytics",
    }


def test_a_sink_is_one_file_and_one_entry(rooms: Path, tmp_path: Path) -> None:
    (tmp_path / "segma.yaml").write_text(
        "token_keys: {file: keys}\nworkspaces:\n  demo:\n    secret: {file: secret}\n"
        f"    accounts: {{cards: {{sink: postcard, options: {{folder: {tmp_path / 'cards'}}}}}}}\n"
    )
    program = f"""
import json
from pathlib import Path
from sinks.base import Change
from sinks.registry import sink_of
from transport.config import load_installation
config = Path({str(tmp_path / "segma.yaml")!r})
sink = sink_of(load_installation(config), "demo/cards", data=config.parent, pause=print, config=config)
answers = sink.apply([Change("c1", "s_1", "ann@example.org", add=("hot",))])
print(json.dumps([type(answers[0]).__name__, [path.read_text() for path in (config.parent / "cards").iterdir()]]))
"""
    assert said(rooms, program) == ["Done", ["to: ann@example.org\nin: hot\nout: \n"]]


def test_every_suite_takes_a_sink_from_its_imitation(rooms: Path) -> None:
    program = """
import json
from tests.sinks.beds import ALL, SERVED
from tests.sinks.consent_platforms import PLATFORMS, READ
from tests.sinks.served import IMITATED, NUMBERED
print(json.dumps(["postcard" in names for names in (ALL, SERVED, PLATFORMS, READ, IMITATED, NUMBERED)]))
"""
    assert said(rooms, program) == [True] * 6


def test_its_webhooks_are_one_file_and_one_entry(rooms: Path) -> None:
    program = """
import json
from collector.notices import Told
from collector.platforms.registry import notices_of
body = b'{"office": "post", "to": "ann@example.org", "stamp": "7"}'
print(json.dumps([each.action for each in notices_of("postcard", Told(body, "application/json"))]))
"""
    assert said(rooms, program) == ["email_delivered"]


def test_an_operator_is_one_entry(rooms: Path) -> None:
    program = """
import json
from flows.language.describe import describe
from flows.language.parse import parse_listeners
from flows.language.schema import listener_schema
text = b"listener: toy\\nsequence: [{action: page_viewed, where: {count: {is_even: true}}}]\\n"
found = parse_listeners([("toy.yaml", text)], known_actions={"page_viewed"})
print(json.dumps(["is even" in describe(found[0]), "is_even" in listener_schema()["$defs"]["operators"]["properties"]]))
"""
    assert said(rooms, program) == [True, True]


def test_an_action_is_one_entry(rooms: Path) -> None:
    program = """
import json
from contracts.actions import VOCABULARY
from flows.language.describe import describe
from flows.language.parse import parse_listeners
text = b"listener: toy\\nsequence: [{action: wishlist_added}]\\n"
found = parse_listeners([("toy.yaml", text)], known_actions=VOCABULARY)
print(json.dumps("the wish list" in describe(found[0])))
"""
    assert said(rooms, program) is True


def test_a_row_is_its_type_its_sql_and_one_entry(rooms: Path) -> None:
    program = """
import json
from analytics.config import AnalyticsSettings
from analytics.migrate import read_migrations
from analytics.tables import rows_of
from contracts.codec import json_reader, to_json
from contracts.log import Record
from contracts.rows import PraiseRow, Row
row = json_reader(Row)(to_json(PraiseRow("demo", "s_1", 1_790_000_000_000, "runner-42")))
(found,) = rows_of(row, Record("rows", 0, 3, 1_790_000_000_000, b"", b""))
names = [each.name for each in read_migrations(AnalyticsSettings().migrations)]
print(json.dumps([found.table, found.person, any("praise" in name for name in names)]))
"""
    assert said(rooms, program) == ["praise_rows", ["demo", "s_1"], True]


def test_a_question_is_one_file(rooms: Path) -> None:
    program = """
import json
from analytics.named_queries import named_queries
found = named_queries()["mornings"]
print(json.dumps([found.question, [each.name for each in found.parameters]]))
"""
    assert said(rooms, program) == ["How many people did something before noon, by day.", ["since"]]
