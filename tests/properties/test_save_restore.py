"""Save and restore at every index changes nothing; equal histories are equal bytes."""

from __future__ import annotations

import pytest

from flows.machine.machine import Machine
from tests.properties.case import answer, by_machine, cases, step
from tests.properties.oracle import Answer

COUNT = 4_000


@pytest.mark.slow
def test_a_state_that_was_saved_and_restored_at_every_index_answers_the_same() -> None:
    for case in cases(11, COUNT):
        machine = Machine([case.listener])
        state, session, found = machine.start("s"), None, list[Answer]()
        for event in case.events:
            saved = machine.encode(state)
            restored = machine.decode(saved)
            assert restored == state
            assert machine.encode(restored) == saved
            # Every restart may be another process: a machine made anew reads the bytes.
            state, session, matches = step(Machine([case.listener]), restored, session, event)
            found.extend(map(answer, matches))
        found.extend(map(answer, machine.advance(machine.decode(machine.encode(state)), case.end_ms)[1]))
        assert found == by_machine(case.listener, case.events, case.end_ms), case


@pytest.mark.slow
def test_equal_histories_are_equal_bytes() -> None:
    for case in cases(12, COUNT):
        first, second = Machine([case.listener]), Machine([case.listener])
        left, right, session = first.start("s"), second.start("s"), None
        for index, event in enumerate(case.events):
            left, _, _ = step(first, left, session, event)
            right = second.decode(second.encode(right)) if index % 2 else right
            right, session, _ = step(second, right, session, event)
            assert first.encode(left) == second.encode(right), case


@pytest.mark.slow
def test_a_state_is_never_changed_in_place() -> None:
    for case in cases(13, COUNT // 4):
        machine = Machine([case.listener])
        state, session, kept = machine.start("s"), None, []
        for event in case.events:
            kept.append((state, machine.encode(state)))
            state, session, _ = step(machine, state, session, event)
        assert all(machine.encode(before) == data for before, data in kept), case
