"""Arrival with a short lateness: what is kept shrinks as time goes on, and what is late is told to the millisecond.

The other tests of arrival keep everything. Here an event is expected to be late by the words of SEMANTICS 2 alone, and
the matches that stand are those of the brute force over the events that were not.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from contracts.codec import replaced
from contracts.events import Event
from contracts.reasons import Reason
from flows.machine.machine import Machine
from flows.subscriber.pinned_terms import Terms
from flows.subscriber.reapply import Applied, Reapplier
from tests.properties.case import Case, answer, cases
from tests.properties.generate import GAP_MS
from tests.properties.oracle import Answer, brute_force

COUNT = 4_000
LATENESS_MS, MAX_DELAY_MS = 3_000, 9_000


class Arrival:
    """A follower with a short lateness, and beside it what the contract expects of each event."""

    def __init__(self, case: Case) -> None:
        machine = Machine([case.listener])
        self.reapplier = Reapplier(machine, Terms(LATENESS_MS, GAP_MS, MAX_DELAY_MS))
        self.timeline = self.reapplier.new("s")
        self.newest_ms: int | None = None
        self.accepted: list[Event] = []
        self.held: dict[str, Answer] = {}
        self.told: Counter[str] = Counter()

    def bring(self, event: Event, log_ms: int) -> None:
        """The log's time passes, then the event comes."""
        self.pass_time(log_ms)
        late = log_ms - event.occurred_at_ms > MAX_DELAY_MS
        late = late or (self.newest_ms is not None and self.newest_ms - event.occurred_at_ms > LATENESS_MS)
        applied = self.reapplier.put(self.timeline, event, log_time_ms=log_ms)
        assert applied.reason is (Reason.LATE if late else None)
        self.told["late"] += late
        if not late:
            self.accepted.append(event)
            self.newest_ms = max(self.newest_ms or 0, event.occurred_at_ms)
        self.follow(applied)

    def pass_time(self, log_ms: int) -> None:
        """A deadline that fires counts as the newest time."""
        self.follow(self.reapplier.advance(self.timeline, log_ms))

    def follow(self, applied: Applied) -> None:
        for match in applied.retractions:
            del self.held[match.match_id]
            self.told["retracted"] += 1
        for match in (*applied.amended, *applied.matches):
            self.held[match.match_id] = answer(match)
        # A deadline's instant counts even where it lies after every event.
        times = [match.matched_at_ms for match in applied.matches]
        self.newest_ms = max([*times, *([] if self.newest_ms is None else [self.newest_ms])], default=None)

    def save_and_restore(self) -> None:
        """As a restart does."""
        self.timeline = self.reapplier.decode(self.reapplier.encode(self.timeline))

    def in_order(self) -> list[Answer]:
        """The matches that stand."""
        return sorted(self.held.values(), key=lambda each: (each[3], each[2]))


def expected(case: Case, events: list[Event], end_ms: int) -> list[Answer]:
    if not events:
        return []
    found = brute_force(case.listener, events, gap_ms=GAP_MS, end_ms=end_ms)
    return sorted(found, key=lambda each: (each[3], each[2]))


@pytest.mark.slow
def test_what_is_late_is_left_out_and_the_rest_ends_with_the_ordered_answer() -> None:
    random, told = Random(31), Counter[str]()
    for case in cases(31, COUNT):
        arrival = Arrival(case)
        delays = (0, 0, 1_000, LATENESS_MS, LATENESS_MS, 6_000)
        for event in sorted(case.events, key=lambda each: each.occurred_at_ms + random.choice(delays)):
            log_ms = max(arrival.timeline.clock_ms or 0, event.occurred_at_ms + random.choice((0, 2_000, 9_000)))
            arrival.bring(event, min(log_ms, case.end_ms))
            if random.random() < 0.3:
                arrival.save_and_restore()
        arrival.pass_time(case.end_ms)
        assert arrival.in_order() == expected(case, arrival.accepted, case.end_ms), case
        told += arrival.told
    assert told["late"] > COUNT / 10
    assert told["retracted"] > COUNT / 100


@pytest.mark.slow
def test_of_equal_times_the_order_and_then_the_event_id_decide_whatever_comes_first() -> None:
    random = Random(32)
    for case in cases(32, COUNT):
        ids = random.sample(range(100), k=len(case.events))
        events = [
            replaced(
                event,
                event_id=f"e{number}",  # as text: "e10" comes before "e9"
                order=random.choice((-1, 0, 0, 2)),
                occurred_at_ms=event.occurred_at_ms // 2_000 * 2_000,
            )
            for event, number in zip(case.events, ids, strict=True)
        ]
        reapplier = Reapplier(Machine([case.listener]), Terms(3_600_000, GAP_MS, 3_600_000))
        arrival = Arrival(case)
        arrival.reapplier, arrival.timeline = reapplier, reapplier.new("s")
        for event in events:
            arrival.follow(reapplier.put(arrival.timeline, event, log_time_ms=0))
        arrival.pass_time(case.end_ms)
        assert arrival.in_order() == expected(case, events, case.end_ms), case
