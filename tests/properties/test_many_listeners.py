"""Listeners of one machine share what they can and never meddle: each answers as if it were alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest

from flows.language.model import Listener
from flows.machine.machine import Machine
from tests.properties.case import answer, by_machine, cases, step
from tests.properties.generate import stream
from tests.properties.oracle import Answer

TOGETHER = 60
ROUNDS = 40


def crowds(seed: int) -> Iterator[list[Listener]]:
    """Generated listeners under names of their own, sixty at a time."""
    found: list[Listener] = []
    for number, case in enumerate(cases(seed, TOGETHER * ROUNDS * 4)):
        if number % 4 == 0:
            found.append(replace(case.listener, name=f"listener-{number}"))
        if len(found) == TOGETHER:
            yield found
            found = []


@pytest.mark.slow
def test_each_listener_answers_as_if_it_were_alone() -> None:
    random, matched = Random(31), 0
    for listeners in crowds(31):
        events = stream(random, 14)
        end_ms = events[-1].occurred_at_ms + 5_000
        machine, session = Machine(listeners), None
        state, found = machine.start("s"), dict[str, list[Answer]]()
        for event in events:
            state, session, matches = step(machine, state, session, event)
            for match in matches:
                found.setdefault(match.listener, []).append(answer(match))
        state, matches = machine.advance(state, end_ms)
        for match in matches:
            found.setdefault(match.listener, []).append(answer(match))
        for listener in listeners:
            assert found.get(listener.name, []) == by_machine(listener, events, end_ms), listener
        assert machine.decode(machine.encode(state)) == state
        matched += len(found)
    assert matched > ROUNDS * TOGETHER / 10
