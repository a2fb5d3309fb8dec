"""``query``, ``why``, ``migrate``, ``forget`` and such: where nothing answers, and in words."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from analytics.why import why_in_words
from cli.__main__ import cli

CONFIG = """
token_keys: {file: keys}
workspaces:
  north: {secret: {file: secret}}
  south: {secret: {file: secret}}
"""
MOMENT = datetime(2026, 10, 24, 12, 0, 0, 5_000)  # noqa: DTZ001 - as the driver gives it
STAY: dict[str, Any] = {
    "account": "mailbox",
    "valid_from": MOMENT,
    "valid_to": None,
    "came_by": "move",
    "listener": "keen",
    "listener_version": 2,
    "matched_at": MOMENT,
    "from_list": "newsletter",
    "undoes": "",
    "evidence": [("clicked", "email_clicked", MOMENT, "e1")],
    "result": "applied",
    "answer": "200",
    "answered_at": MOMENT,
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "segma.yaml").write_text(CONFIG)
    (tmp_path / "secret").write_text("s" * 40)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "clickhouse.port").write_text("9\n")
    return tmp_path


def segma(home: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, [*words, "--home", str(home)])


def test_without_a_query_the_names_are_told() -> None:
    said = CliRunner().invoke(cli, ["query"])
    assert said.exit_code == 0
    assert "members list= [account=] [at=]" in said.output
    names = json.loads(CliRunner().invoke(cli, ["query", "--json"]).output)
    assert {"name": "letters", "question": "Dead letters by reason and where they came from."} in names


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("query", "nonsense", "--workspace", "north"), 2, "no named query and no SQL"),
        (("query", "members", "--workspace", "north"), 2, "is missing"),
        (("query", "members", "list", "--workspace", "north"), 2, "write name=value"),
        (("query", "members", "list=x", "at=soon", "--workspace", "north"), 2, "no instant"),
        (("query", "members", "list=x", "at=0001-01-01T00:00+14:00", "--workspace", "north"), 2, "before the year 1"),
        (("query", "members", "list=x", "at=9999-12-31T23:59-14:00", "--workspace", "north"), 2, "after 9999"),
        (("query", "members", "list=x"), 2, "there are several"),
        (("query", "members", "list=x", "--workspace", "west"), 2, "no such workspace"),
        (("query", "members", "list=x", "--workspace", "north"), 3, "does not answer"),
        (("query", "SELECT 1", "--workspace", "north"), 3, "does not answer"),
        (("why", "ann", "hot", "--workspace", "north"), 3, "does not answer"),
        (("timeline", "ann", "--workspace", "north"), 3, "does not answer"),
        (("migrate",), 3, "does not answer"),
        (("export", "ann", "--workspace", "north"), 3, "does not answer"),
        (("forget", "ann", "--yes", "--workspace", "north"), 3, "nothing was erased"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(home: Path, words: tuple[str, ...], code: int, said: str) -> None:
    done = segma(home, *words)
    assert (done.exit_code, said in done.output.replace("\n", " ")) == (code, True), done.output
    assert "Traceback" not in done.output


def test_forget_asks_first(home: Path) -> None:
    done = CliRunner().invoke(cli, ["forget", "ann", "--workspace", "north", "--home", str(home)], input="n\n")
    assert done.exit_code == 1
    assert "for good?" in done.output


def test_why_is_a_sentence_the_evidence_and_the_answer() -> None:
    assert why_in_words("hot", [STAY], []) == [
        "In hot since 2026-10-24 12:00:00.005: keen version 2 matched at 2026-10-24 12:00:00.005, out of newsletter.",
        "  clicked: email_clicked at 2026-10-24 12:00:00.005 (e1)",
        "  mailbox answered at 2026-10-24 12:00:00.005: applied 200",
    ]
    imported = {**STAY, "came_by": "import", "valid_to": MOMENT}
    assert why_in_words("hot", [imported], []) == [
        "Was in hot from 2026-10-24 12:00:00.005 until 2026-10-24 12:00:00.005: an import of mailbox saw them there."
    ]


def test_why_not_says_what_was_tried() -> None:
    attempt = {**STAY, "verb": "move", "result": "failed", "reason": "unknown_subscriber"}
    assert why_in_words("hot", [], [attempt])[0] == (
        "Not in hot: keen asked for `move` at 2026-10-24 12:00:00.005: failed (unknown_subscriber)."
    )
    assert why_in_words("hot", [], []) == ["Never in hot: no import saw them there, and no listener asked for it."]
