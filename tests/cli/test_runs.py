"""``segma runs``: what waits where, read beside a flow that works."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.__main__ import cli
from contracts.codec import to_json
from contracts.events import Event
from contracts.log import Record
from contracts.topics import EVENTS
from flows.operators.logic import FollowBatch, FollowLogic, Shared
from flows.state.changelog import Changelog
from tests.cli.test_deploy import home, started
from transport.config import wall_clock_ms

__all__ = ["home"]

LISTENERS = """listener: looked
sequence: [{action: page_viewed}, {step: basket, action: product_added, times: {at_least: 1}}, {action: searched}]
then: [{add: {to: x, at: mailbox}}]
---
listener: soon
within: 1h
sequence: [{action: page_viewed}, {action: logged_in}]
then: [{add: {to: x, at: mailbox}}]
---
listener: waits
sequence: [{action: product_added}, {not: product_bought, for: 30m}]
then: [{add: {to: x, at: mailbox}}]
"""


def record(number: int, who: str, action: str, at_ms: int) -> tuple[Record, int]:
    event = Event("demo", who, f"e{number}", action, at_ms, log_time_ms=at_ms)
    return Record(EVENTS, 0, number, at_ms, f"demo/{who}".encode(), to_json(event)), at_ms


def fed(home: Path, shared: Shared, *groups: list[tuple[Record, int]]) -> None:
    """What a flow keeps after these records, a group each, and after an epoch that was never committed."""
    changelog = Changelog(home / "data" / "recovery" / "0-of-1" / "states")
    for records in groups:
        logic = FollowLogic(shared, changelog, None)
        for each in records:
            logic.on_batch([FollowBatch((each,), each[1])])
            logic.snapshot()
    changelog.close()


def run(home: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["runs", "--home", str(home), *words])


def counts(home: Path) -> dict[tuple[str, int], tuple[int, int]]:
    result = run(home, "--json")
    assert result.exit_code == 0, result.output
    found = [json.loads(line) for line in result.stdout.splitlines()]
    return {(each["listener"], each["element"]): (each["runs"], each["subscribers"]) for each in found}


@pytest.fixture
def written(home: Path) -> Path:
    (home / "listeners" / "looked.yaml").write_text(LISTENERS)
    return home


def test_runs_are_counted_by_the_step_that_they_wait_for(written: Path) -> None:
    now_ms = wall_clock_ms()
    with started(written) as shared:
        old = now_ms - 7_200_000
        anna = [record(1, "s_anna", "page_viewed", old), record(2, "s_anna", "product_added", now_ms)]
        ben = [record(3, "s_ben", "page_viewed", now_ms), record(4, "s_ben", "page_viewed", now_ms + 1)]
        fed(written, shared, anna, ben)
    assert counts(written) == {
        ("looked", 2): (1, 1),
        ("looked", 3): (1, 1),
        ("soon", 2): (2, 1),  # anna's window has passed
        ("waits", 2): (1, 1),
    }


def test_what_a_crashed_start_left_behind_is_not_counted_twice(written: Path) -> None:
    now_ms = wall_clock_ms()
    with started(written) as shared:
        for _ in range(3):
            fed(written, shared, [record(1, "s_anna", "page_viewed", now_ms)])
    assert counts(written)["soon", 2] == (1, 1)


def test_one_listener_alone_and_in_words(written: Path) -> None:
    now_ms = wall_clock_ms()
    with started(written) as shared:
        fed(written, shared, [record(1, "s_anna", "product_added", now_ms)])
    result = run(written, "--listener", "waits")
    assert result.exit_code == 0
    assert "no product_bought until the deadline" in result.stdout
    assert "2 of 2" in result.stdout
    assert "looked" not in result.stdout
    assert run(written, "--listener", "nothing").exit_code == 1


def test_without_state_it_says_so(home: Path) -> None:
    result = run(home)
    assert (result.exit_code, "no flow has kept any state" in result.stderr) == (1, True)
