"""``segma explain``: what a person gets who asks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.explain import explain_command
from cli.output import Exit
from contracts.errors import ConfigError

LISTENER = """
listener: looked-then-added
sequence:
  - {step: looked, action: page_viewed}
  - {not: product_bought}
  - {action: product_added, within: 1h}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    directory = tmp_path / "listeners"
    directory.mkdir()
    (directory / "two.yaml").write_text(LISTENER, encoding="utf-8")
    return directory


def ask(home: Path, name: str, *actions: str, more: tuple[str, ...] = (), subscriber: str = "s") -> Result:
    lines = [
        json.dumps({"event_id": f"e{at}", "subscriber": "s", "action": action, "occurred_at": at * 1_000})
        if action != "bad"
        else "{"
        for at, action in enumerate(actions, start=1)
    ]
    arguments = [name, "--listeners", str(home), "--events", "-", "--subscriber", subscriber, *more]
    return CliRunner().invoke(explain_command, arguments, input="\n".join(lines))


def test_the_json_form_holds_the_transcripts_lines(home: Path) -> None:
    result = ask(home, "looked-then-added", "page_viewed", "product_bought", more=("--json",))
    said = json.loads(result.stdout)
    assert (said["listener"], said["subscriber"]) == ("looked-then-added", "s")
    assert any("e2 (product_bought) kills it" in line for line in said["transcript"])


def test_a_listener_may_be_named_by_its_file(home: Path) -> None:
    assert ask(home, str(home / "two.yaml"), "page_viewed", more=("--json",)).exit_code == Exit.OK


def test_a_mistyped_name_is_answered_with_the_nearest(home: Path) -> None:
    result = ask(home, "loked-then-added", "page_viewed")
    assert isinstance(result.exception, ConfigError)
    assert "did you mean `looked-then-added`?" in str(result.exception)


def test_nobody_of_that_name_is_said(home: Path) -> None:
    assert ask(home, "looked-then-added", "page_viewed", subscriber="t").exit_code == Exit.PROBLEMS


def test_bad_lines_are_left_out_and_told_by_the_exit_code(home: Path) -> None:
    result = ask(home, "looked-then-added", "page_viewed", "bad", "product_added", more=("--json",))
    assert result.exit_code == Exit.PROBLEMS
    assert "line 2: Input data was truncated" in result.stderr
    assert any(line.startswith("Match ") for line in json.loads(result.stdout)["transcript"])


def test_a_deadline_behind_the_last_year_is_told_in_milliseconds(home: Path) -> None:
    absence = "listener: gone\nsequence: [{action: page_viewed}, {not: product_bought, for: 3650d}]\n"
    (home / "gone.yaml").write_text(absence, encoding="utf-8")
    line = json.dumps({"event_id": "e", "subscriber": "s", "action": "page_viewed", "occurred_at": 253_402_300_799_999})
    arguments = ["gone", "--listeners", str(home), "--events", "-", "--subscriber", "s", "--final-ms", "9" * 15]
    result = CliRunner().invoke(explain_command, arguments, input=line)
    assert result.exit_code == Exit.OK
    assert "9999-12-31 23:59:59.999" in result.stdout
    assert "253717660799999 ms" in result.stdout


def test_a_bad_duration_is_a_usage_error(home: Path) -> None:
    assert ask(home, "looked-then-added", "page_viewed", more=("--session-gap", "30")).exit_code == Exit.USAGE


def test_a_match_in_a_pause_is_told_and_a_pause_that_is_none_is_a_usage_error(home: Path) -> None:
    acts = ("page_viewed", "product_added", "page_viewed", "product_added")
    pauses = ("--paused", "1970-01-01T00:00:01.500/1970-01-01T00:00:02.001", "--paused", "1970-01-02/")
    told = ask(home, "looked-then-added", *acts, more=pauses).stdout
    assert told.count("listener_paused: a row and no command") == 1
    assert told.index("listener_paused") < told.rindex("Match ")
    for wrong in ("soon/later", "/1970-01-02", "1970-01-02/1970-01-01", ""):
        assert ask(home, "looked-then-added", *acts, more=("--paused", wrong)).exit_code == Exit.USAGE


CAPPED = """
listener: looks
sequence: [{action: page_viewed}]
then: [{add: {to: hot, at: mail}}]
"""


def test_a_match_past_the_cap_says_so_and_when_a_place_is_free_again(home: Path) -> None:
    (home / "looks.yaml").write_text(CAPPED, encoding="utf-8")
    looked = ["page_viewed"] * 4
    said = ask(home, "looks", *looked, more=("--cap", "2/3s")).output.split("Match ")[1:]
    assert [match.count("capped") for match in said] == [0, 0, 1, 0], "the first place is free again at second 4"
    assert "The cap is 2 moves in 3s" in said[2]
    assert "free again at 1970-01-01 00:00:04.000" in said[2]
    assert "capped" not in ask(home, "looks", *looked).output


def test_what_changes_no_list_is_never_capped(home: Path) -> None:
    (home / "looks.yaml").write_text(CAPPED.replace("add: {to: hot", "tag: {add: hot"), encoding="utf-8")
    assert "capped" not in ask(home, "looks", "page_viewed", "page_viewed", more=("--cap", "1/1h")).output


@pytest.mark.parametrize("cap", ["2", "0/7d", "-1/7d", "x/7d", "2/week", "/", ""])
def test_what_is_no_cap_is_told(home: Path, cap: str) -> None:
    said = ask(home, "looked-then-added", "page_viewed", more=("--cap", cap))
    assert (said.exit_code, "is no cap: moves and a span, 2/7d" in said.output) == (2, True), said.output
