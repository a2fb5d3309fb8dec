"""Every order of arrival within the lateness ends with the answer of the ordered stream (SEMANTICS 4)."""

from __future__ import annotations

from random import Random

import pytest

from contracts.codec import replaced
from contracts.events import Event
from contracts.reasons import Reason
from flows.machine.machine import Machine
from flows.subscriber.pinned_terms import Terms
from flows.subscriber.reapply import Reapplier, Timeline
from tests.properties.case import Case, answer, cases
from tests.properties.generate import GAP_MS
from tests.properties.oracle import Answer, brute_force

COUNT = 5_000
ENOUGH_MS = 3_600_000


def follower_of(case: Case) -> Reapplier:
    machine = Machine([case.listener])
    return Reapplier(machine, Terms(ENOUGH_MS, GAP_MS, ENOUGH_MS))


def held(reapplier: Reapplier, timeline: Timeline, arrivals: list[tuple[Event, int]], end_ms: int) -> list[Answer]:
    """The matches not retracted after these arrivals (event, log time), with a save and restore now and then."""
    found: dict[str, Answer] = {}
    for number, (event, log_time_ms) in enumerate(arrivals):
        fired = reapplier.advance(timeline, log_time_ms)
        put = reapplier.put(timeline, event, log_time_ms=log_time_ms)
        for applied in (fired, put):
            for match in applied.retractions:
                del found[match.match_id]
            for match in applied.amended:
                assert match.match_id in found
                found[match.match_id] = answer(match)
            for match in applied.matches:
                assert match.match_id not in found
                found[match.match_id] = answer(match)
        if number % 3 == 2:
            saved = reapplier.encode(timeline)
            timeline = reapplier.decode(saved)
            assert reapplier.encode(timeline) == saved
    for match in reapplier.advance(timeline, end_ms).matches:
        found[match.match_id] = answer(match)
    return sorted(found.values(), key=lambda each: (each[3], each[2]))


def expected(case: Case, events: list[Event]) -> list[Answer]:
    found = brute_force(case.listener, events, gap_ms=GAP_MS, end_ms=case.end_ms)
    return sorted(found, key=lambda each: (each[3], each[2]))


@pytest.mark.slow
def test_any_order_of_arrival_ends_with_the_ordered_answer() -> None:
    random = Random(21)
    for case in cases(21, COUNT):
        events = list(case.events)
        random.shuffle(events)
        reapplier = follower_of(case)
        arrivals = [(event, 0) for event in events]
        assert held(reapplier, reapplier.new("s"), arrivals, case.end_ms) == expected(case, case.events), case


@pytest.mark.slow
def test_deadlines_that_fired_too_early_are_corrected_by_late_events() -> None:
    random = Random(22)
    for case in cases(22, COUNT):
        # Log time runs ahead of the events that are still on their way.
        order = sorted(case.events, key=lambda event: event.occurred_at_ms + random.choice((0, 0, 2_000, 9_000)))
        log_ms, arrivals = 0, []
        for event in order:
            log_ms = min(max(log_ms, event.occurred_at_ms + random.choice((0, 3_000))), case.end_ms)
            arrivals.append((event, log_ms))
        reapplier = follower_of(case)
        assert held(reapplier, reapplier.new("s"), arrivals, case.end_ms) == expected(case, case.events), case


@pytest.mark.slow
def test_repeated_events_change_nothing_and_late_verdicts_count_in_their_place() -> None:
    random = Random(23)
    for case in cases(23, COUNT):
        final = [replaced(event, provisional=False) for event in case.events]
        arrivals = [(event, 0) for event in case.events]
        arrivals += [(event, 0) for event, before in zip(final, case.events, strict=True) if before.provisional]
        arrivals += [(event, 0) for event in random.sample(case.events, k=len(case.events) // 2)]
        reapplier = follower_of(case)
        assert held(reapplier, reapplier.new("s"), arrivals, case.end_ms) == expected(case, final), case


def test_an_event_older_than_the_lateness_is_late_and_one_exactly_that_old_counts() -> None:
    case = next(cases(24, 1))
    reapplier = Reapplier(Machine([]), Terms(1_000, GAP_MS, 5_000))
    timeline = reapplier.new("s")

    def at(ms: int, event_id: str, log_ms: int = 0) -> Reason | None:
        event = replaced(case.events[0], event_id=event_id, occurred_at_ms=ms)
        return reapplier.put(timeline, event, log_time_ms=log_ms).reason

    assert at(10_000, "a") is None
    assert at(9_000, "b") is None
    assert at(8_999, "c") is Reason.LATE
    assert at(10_000, "a") is Reason.DUPLICATE
    assert at(10_000, "d", log_ms=15_001) is Reason.LATE
    assert at(10_000, "e", log_ms=15_000) is None


def test_an_id_that_was_let_go_is_known_though_its_time_has_moved() -> None:
    case = next(cases(24, 1))
    reapplier = Reapplier(Machine([]), Terms(3_000, GAP_MS, 60_000), max_events=3)
    timeline = reapplier.new("s")

    def at(ms: int, event_id: str) -> Reason | None:
        nonlocal timeline
        timeline = reapplier.decode(reapplier.encode(timeline))
        event = replaced(case.events[0], event_id=event_id, occurred_at_ms=ms, provisional=False)
        return reapplier.put(timeline, event, log_time_ms=0).reason

    assert at(1_000, "a") is None
    assert at(20_000, "b") is None
    assert at(19_000, "a") is Reason.DUPLICATE
    assert [at(20_000 + 4_000 * number, f"c{number}") for number in range(1, 6)] == [None] * 5
    assert at(40_000, "a") is Reason.DUPLICATE
    assert [at(40_000 + 4_000 * number, f"d{number}") for number in range(1, 6)] == [None] * 5
    assert at(60_000, "a") is None, "of the ids that were let go only so many are remembered, and as many again"
