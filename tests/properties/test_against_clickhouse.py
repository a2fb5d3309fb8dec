"""The machine against ClickHouse's own sequence functions, where research/sequences.md 5.3 says that they agree.

Ordered data with distinct times; no ``not`` but in the middle of two steps; never a trailing ``.*``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from random import Random

import chdb
import pytest

from contracts.events import Event
from flows.language.model import Listener
from flows.machine.machine import Machine, Match
from tests.flows.streams import run, sequence

STREAMS = 400
Stream = list[tuple[int, str]]
"""Seconds and action."""

CHAINS = ("ab", "abc", "abcd", "aab", "aba", "aaa", "abab")


def streams(seed: int, letters: str) -> list[Stream]:
    random, found = Random(seed), []
    for _ in range(STREAMS):
        at, stream = 0, []
        for _ in range(random.randint(2, 14)):
            at += random.randint(1, 4)
            stream.append((at, random.choice(letters)))
        found.append(stream)
    return found


def listener_of(steps: str, more: str = "") -> Listener:
    return sequence(*(f"action: {step}" for step in steps), more=more)


def by_machine(listener: Listener, stream: Stream) -> list[Match]:
    events = [
        Event(workspace="w", subscriber="s", event_id=str(at), action=action, occurred_at_ms=at * 1_000)
        for at, action in stream
    ]
    return run(Machine([listener]), events)[1]


def by_clickhouse(path: Path, expression: str, found: Sequence[Stream]) -> list[str]:
    """One answer a stream, as text."""
    with path.open("w", encoding="utf-8") as file:
        for number, stream in enumerate(found):
            for at, action in stream:
                file.write(json.dumps({"number": number, "at": at, "action": action}) + "\n")
    table = f"file('{path}', JSONEachRow, 'number UInt32, at UInt64, action String')"
    answer = chdb.query(f"SELECT toString({expression}) FROM {table} GROUP BY number ORDER BY number", "TSV")  # type: ignore[no-untyped-call]
    lines = str(answer).splitlines()
    assert len(lines) == len(found)
    return lines


def conditions(steps: str) -> str:
    return ", ".join(f"action = '{step}'" for step in steps)


def relaxed(count: int) -> str:
    return ".*".join(f"(?{number})" for number in range(1, count + 1))


@pytest.mark.slow
@pytest.mark.parametrize("steps", CHAINS)
def test_sequence_count_is_the_number_of_matches(steps: str, tmp_path: Path) -> None:
    found = streams(1, "abcd"[: len(set(steps)) + 1])
    expression = f"sequenceCount('{relaxed(len(steps))}')(at, {conditions(steps)})"
    counted = [int(line) for line in by_clickhouse(tmp_path / "events", expression, found)]
    assert [len(by_machine(listener_of(steps), stream)) for stream in found] == counted
    assert sum(counted) > STREAMS / 10


@pytest.mark.slow
@pytest.mark.parametrize("steps", CHAINS)
def test_sequence_match_is_at_least_one_match(steps: str, tmp_path: Path) -> None:
    found = streams(2, "abcd"[: len(set(steps)) + 1])
    expression = f"sequenceMatch('{relaxed(len(steps))}')(at, {conditions(steps)})"
    said = [line == "1" for line in by_clickhouse(tmp_path / "events", expression, found)]
    assert [bool(by_machine(listener_of(steps), stream)) for stream in found] == said


@pytest.mark.slow
@pytest.mark.parametrize("steps", CHAINS)
def test_the_first_match_has_the_events_of_sequence_match_events(steps: str, tmp_path: Path) -> None:
    found = [stream for stream in streams(3, "abcd"[: len(set(steps)) + 1]) if by_machine(listener_of(steps), stream)]
    expression = f"sequenceMatchEvents('{relaxed(len(steps))}')(at, {conditions(steps)})"
    said = [tuple(map(str, json.loads(line))) for line in by_clickhouse(tmp_path / "events", expression, found)]
    assert [by_machine(listener_of(steps), stream)[0].events for stream in found] == said


@pytest.mark.slow
@pytest.mark.parametrize("within", [3, 6, 12])
@pytest.mark.parametrize("steps", CHAINS)
def test_a_full_window_funnel_is_at_least_one_match_within(steps: str, within: int, tmp_path: Path) -> None:
    # ClickHouse's window includes its end, ours does not (C1): one less is the same in whole seconds.
    found = streams(4, "abcd"[: len(set(steps)) + 1])
    expression = f"windowFunnel({within - 1}, 'strict_once')(at, {conditions(steps)})"
    said = [int(line) == len(steps) for line in by_clickhouse(tmp_path / "events", expression, found)]
    listener = listener_of(steps, more=f"within: {within}s")
    assert [bool(by_machine(listener, stream)) for stream in found] == said


@pytest.mark.slow
def test_a_not_between_two_steps_is_adjacency_among_described_events(tmp_path: Path) -> None:
    found = streams(5, "abcd")
    expression = f"sequenceCount('(?1)(?2)')(at, {conditions('abc')})"
    counted = [int(line) for line in by_clickhouse(tmp_path / "events", expression, found)]
    listener = sequence("action: a", "not: c", "action: b")
    assert [len(by_machine(listener, stream)) for stream in found] == counted


def test_the_streams_have_distinct_times() -> None:
    assert all(one < two for stream in streams(6, "ab") for (one, _), (two, _) in pairwise(stream))
