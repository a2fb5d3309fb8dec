"""``segma listeners`` as its user runs it: what it says, where, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.__main__ import cli
from cli.output import Exit
from flows.language.schema import schema_text

ROOT = Path(__file__).resolve().parents[2]
GOOD = "listener: good\nsequence: [{step: a, action: page_viewed}]\nthen: [{add: {to: a, at: b}}]\n"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["listeners", *map(str, arguments)])


def lines(result: Result) -> list[Any]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    directory = tmp_path / "listeners"
    directory.mkdir()
    (directory / "good.yaml").write_text(GOOD)
    return directory


def test_check_says_that_all_is_well(place: Path) -> None:
    result = run("check", place)
    assert (result.exit_code, result.stdout, result.stderr) == (Exit.OK, "1 listener, all well\n", "")


def test_check_as_json(place: Path) -> None:
    assert lines(run("check", place, "--json")) == [{"listener": "good", "version": 1}]


def test_check_tells_every_problem_of_every_file(place: Path) -> None:
    (place / "bad.yaml").write_text("listener: bad\nsequence: [{action: page_vewed}]\nrepet: once\n")
    (place / "worse.yml").write_text("listener: worse\n")
    result = run("check", place)
    assert result.exit_code == Exit.PROBLEMS
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f'{place}/bad.yaml:2: sequence[1].action: the unknown action "page_vewed"; did you mean "page_viewed"?',
        f'{place}/bad.yaml:3: repet: the unknown field "repet"; did you mean "repeat"?',
        f"{place}/worse.yml:1: sequence: nothing; `sequence` is needed",
        "segma: 3 problems",
    ]
    told = lines(run("check", place, "--json"))
    assert told[2] == {
        "where": f"{place}/worse.yml:1", "field": "sequence", "found": "nothing", "wanted": "`sequence` is needed",
    }  # fmt: skip


def test_check_takes_one_file_and_actions_of_the_site(place: Path) -> None:
    file = place / "own.yaml"
    file.write_text("listener: own\nsequence: [{action: quiz_finished}]\n")
    assert run("check", file).exit_code == Exit.PROBLEMS
    (place.parent / "actions.yaml").write_text("actions: [quiz_finished]\n")
    assert run("check", file).exit_code == Exit.OK
    assert run("check", place).exit_code == Exit.OK
    other = place.parent / "other.yaml"
    other.write_text("actions: {store_located: On the map.}\n")
    assert run("check", file, "--actions", other).exit_code == Exit.PROBLEMS


def test_bad_actions_and_bad_listeners_come_together(place: Path) -> None:
    (place.parent / "actions.yaml").write_text("actions: [QuizFinished]\n")
    (place / "bad.yaml").write_text("listener: bad\n")
    result = run("check", place)
    assert [line.split(": ")[1] for line in result.stderr.splitlines()[:2]] == ["actions[1]", "sequence"]


def test_a_place_that_is_not_there_is_a_matter_of_usage(tmp_path: Path) -> None:
    assert run("check", tmp_path / "nowhere").exit_code == Exit.USAGE


def test_describe(place: Path) -> None:
    result = run("describe", place)
    assert result.exit_code == Exit.OK
    assert result.stdout.startswith("good, version 1\n\nWhen a person\n  1. views a page")
    (told,) = lines(run("describe", place, "--json"))
    assert (told["listener"], told["text"].rstrip()) == ("good", result.stdout.rstrip())


def test_lint_finds_and_ends_with_1(place: Path) -> None:
    assert (run("lint", place).exit_code, run("lint", place).stdout) == (Exit.OK, "nothing found\n")
    (place / "opens.yaml").write_text(
        "listener: opens\nsequence: [{action: email_opened}]\nthen: [{webhook: {url: 'https://a'}}]\n"
    )
    result = run("lint", place)
    assert result.exit_code == Exit.PROBLEMS
    assert result.stdout.startswith("opens: sequence: every step that must come is an open")
    assert lines(run("lint", place, "--json"))[0]["rule"] == "opens_only"


def test_only_the_newest_version_is_described_and_linted(place: Path) -> None:
    (place / "good-2.yaml").write_text(GOOD.replace("listener: good", "listener: good\nversion: 2"))
    assert run("describe", place).stdout.startswith("good, version 2")
    assert run("check", place).stdout == "2 listeners, all well\n"


def test_test_runs_the_examples_beside_the_listeners(place: Path) -> None:
    (place / "good.test.yaml").write_text(
        "examples:\n"
        "  - {name: looks, events: [{at: 0s, event: page_viewed}], expect: [{steps: {a: 1}}]}\n"
        "  - {name: does not look, events: [{at: 0s, event: searched}], expect: []}\n"
    )
    result = run("test", place)
    assert (result.exit_code, result.stdout) == (Exit.OK, "2 examples, 0 failed\n")
    assert lines(run("test", place / "good.yaml", "--json"))[1] == {
        "file": f"{place}/good.test.yaml", "line": 3, "example": "does not look", "failures": [],
    }  # fmt: skip


def test_test_tells_what_failed(place: Path) -> None:
    (place / "good.test.yaml").write_text(
        "examples:\n  - {name: searches, events: [{at: 0s, event: searched}], expect: [{steps: {a: 1}}]}\n"
    )
    result = run("test", place)
    assert result.exit_code == Exit.PROBLEMS
    assert result.stdout.splitlines() == [
        f"{place}/good.test.yaml:2: searches: match 1 did not come",
        "1 example, 1 failed",
    ]


def test_test_tells_problems_of_example_files(place: Path) -> None:
    (place / "good.test.yaml").write_text("cases: []\n")
    result = run("test", place)
    assert result.exit_code == Exit.PROBLEMS
    assert "cases" in result.stderr


def test_schema_is_the_published_one() -> None:
    assert run("schema").stdout == schema_text()


def test_the_examples_of_the_project_are_well() -> None:
    for command in ("check", "lint", "test"):
        assert run(command, ROOT / "listeners").exit_code == Exit.OK
