"""Listeners that begin alike share their runs, and each answers as if it were alone.

Crowds of plain listeners over few actions, so that many share one, two or all steps and differ in windows, in what
follows, in the names of their steps and in what their templates note. Each is held to the brute force, which knows of
no sharing; the bound on runs, which the brute force does not have, to the program of a listener that runs alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from contracts.events import Event
from flows.language.model import Listener
from flows.machine.machine import Machine, MachineState, Match
from flows.machine.trace import TraceEntry
from flows.machine.tree import is_plain
from tests.properties.case import answer, step
from tests.properties.generate import GAP_MS, Data, parsed, stream
from tests.properties.oracle import Answer, brute_force

ACTIONS = ("page_viewed", "product_added", "product_bought")
ROUNDS, TOGETHER = 250, 24


def plain_data(random: Random, number: int) -> Data:
    sequence: list[Data] = []
    for index in range(random.choice((1, 2, 2, 3, 3, 4))):
        each: Data = {"action": random.choice(ACTIONS[:2] if index < 2 else ACTIONS)}
        if random.random() < 0.25:
            each["where"] = {"k": random.choice(("x", "xy"))} if random.random() < 0.7 else {"v": {"at_least": 2}}
        if random.random() < 0.5:
            each["step"] = f"s{index}"
        sequence.append(each)
    data: Data = {"listener": f"l-{number:02}", "sequence": sequence}
    if random.random() < 0.8:
        data["within"] = f"{random.randint(1, 12)}s"
    named = [each["step"] for each in sequence if "step" in each]
    if named and random.random() < 0.4:
        path = random.choice(("k", "v", "o.k"))
        data["then"] = [{"add": {"to": f"list-{{{random.choice(named)}.{path}}}", "at": "mailbox"}}]
    return data


def crowd(random: Random) -> list[Listener]:
    found = [parsed(plain_data(random, number)) for number in range(TOGETHER)]
    assert all(map(is_plain, found))
    return found


def rounds(seed: int, length: int = 16) -> Iterator[tuple[Random, list[Listener], list[Event]]]:
    random = Random(seed)
    for _ in range(ROUNDS):
        yield random, crowd(random), stream(random, length)


def ignored(told: TraceEntry) -> None:
    """Whoever listens hears each listener alone: none is in a tree."""


def played(machine: Machine, events: list[Event], *, restart: bool = False) -> tuple[MachineState, list[Match]]:
    state, session, found = machine.start("s"), None, list[Match]()
    for event in events:
        if restart:
            saved = machine.encode(state)
            restored = machine.decode(saved)
            assert restored == state
            assert machine.encode(restored) == saved
            state = restored
        state, session, matches = step(machine, state, session, event)
        found.extend(matches)
    return state, found


@pytest.mark.slow
def test_each_of_many_that_begin_alike_gives_the_brute_force_answer() -> None:
    matched = 0
    for _, listeners, events in rounds(41):
        answers: dict[str, list[Answer]] = {}
        for match in played(Machine(listeners), events)[1]:
            answers.setdefault(match.listener, []).append(answer(match))
        for listener in listeners:
            expected = brute_force(listener, events, gap_ms=GAP_MS, end_ms=None)
            assert answers.get(listener.name, []) == expected, (listener, events)
        matched += len(answers)
    assert matched > ROUNDS * TOGETHER / 4


@pytest.mark.slow
@pytest.mark.parametrize("max_runs", [1, 2, 64])
def test_matches_values_and_dropped_runs_are_those_of_listeners_that_run_alone(max_runs: int) -> None:
    dropped, noted = 0, 0
    for _, listeners, events in rounds(42, 24):
        together, alone = Machine(listeners, max_runs=max_runs), Machine(listeners, max_runs=max_runs, trace=ignored)
        (state, found), (state_alone, found_alone) = played(together, events), played(alone, events)
        assert found == found_alone
        assert together.dropped(state) == alone.dropped(state_alone)
        now_ms = events[-1].occurred_at_ms
        assert in_flight(together, state, now_ms) == in_flight(alone, state_alone, now_ms)
        dropped += together.dropped(state)
        noted += any(match.values for match in found)
    assert (dropped > 0) is (max_runs < 64)
    assert noted > ROUNDS / 10


@pytest.mark.slow
def test_a_restart_at_every_index_changes_nothing_also_with_other_listeners() -> None:
    for random, listeners, events in rounds(43):
        machine = Machine(listeners)
        assert played(machine, events, restart=True)[1] == played(machine, events)[1]
        # Some listeners go, one comes, and the others keep their runs; also what was kept for each alone.
        cut = random.randrange(1, len(events))
        left = random.sample(listeners, TOGETHER // 2)
        fewer = Machine([*left, parsed({**plain_data(random, 0), "listener": "new"})])
        for before in (machine, Machine(listeners, trace=ignored)):
            state = fewer.decode(before.encode(played(before, events[:cut])[0]))
            expected, _ = played(Machine(left), events[:cut])
            now_ms = events[cut - 1].occurred_at_ms
            assert in_flight(fewer, state, now_ms) == in_flight(Machine(left), expected, now_ms)


def in_flight(machine: Machine, state: MachineState, now_ms: int) -> list[tuple[str, int, int]]:
    """The runs that can still go on: one whose window has passed is dropped when it is looked at again."""
    return sorted(
        (machine.listeners[number].name, waits, at_ms)
        for number, waits, at_ms, over_ms in machine.in_flight(state)
        if now_ms < over_ms
    )
