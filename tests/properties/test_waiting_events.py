"""Late events that wait and are put in their places together: the same answers, at a cost that is near the ordered one.

Here every late event waits, however few it displaces; in life only those that displace more than a few.
"""

from __future__ import annotations

from random import Random

import pytest

from contracts.codec import to_json
from contracts.events import Event
from contracts.rows import EventRow, MatchRow
from flows.machine.machine import Machine
from flows.subscriber import reapply
from flows.subscriber import timeline as timeline_rules
from flows.subscriber.engine import Emitted, WorkspaceEngine
from flows.subscriber.pinned_terms import Terms
from tests.flows.streams import sequence
from tests.properties.case import Case, cases
from tests.properties.test_never_a_phantom import ENOUGH_MS, brought, engine_of

T0_MS = 1_800_000_000_000
TERMS = Terms(600_000, 1_800_000, 86_400_000, 2_000)


def arrivals_of(case: Case, random: Random) -> list[tuple[Event, int]]:
    log_ms, found = 0, []
    for event in sorted(case.events, key=lambda each: each.occurred_at_ms + random.choice((0, 2_000, 9_000, 20_000))):
        log_ms = max(log_ms, event.occurred_at_ms + random.choice((0, 0, 3_000)))
        found.append((event, log_ms))
    return found


def standing(case: Case, arrivals: list[tuple[Event, int]], *, restarts: bool) -> tuple[dict[str, int], set[str]]:
    """The matches that stand in the end, with their times, and the events that have a row."""
    flow, found, rows = engine_of(case), dict[str, int](), set[str]()
    person = flow.new("s")

    def note(emitted: Emitted) -> None:
        for row in emitted.rows:
            if isinstance(row, EventRow):
                rows.add(row.event.event_id)
            if isinstance(row, MatchRow):
                found.pop(row.replaces or row.match_id, None)
                if row.kind != "retraction":
                    found[row.match_id] = row.matched_at_ms

    for event, log_time_ms in arrivals:
        note(flow.apply(person, event, log_time_ms, to_json(event)))
        if restarts:
            person = flow.decode(flow.encode(person))
    note(flow.pass_time(person, case.end_ms + ENOUGH_MS))
    assert not person.timeline.waiting
    return found, rows


@pytest.mark.slow
def test_what_waited_ends_with_the_matches_and_lists_of_the_ordered_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reapply, "WAITS_BEHIND", 0)
    merged, merge = 0, reapply.Reapplier.merge

    def counting(self: reapply.Reapplier, timeline: reapply.Timeline) -> object:
        nonlocal merged
        merged += len(timeline.waiting) > 1
        return merge(self, timeline)

    monkeypatch.setattr(reapply.Reapplier, "merge", counting)
    random = Random(7)
    for case in cases(7, 120):
        ordered = [(event, event.occurred_at_ms) for event in case.events]
        arrivals = arrivals_of(case, random)
        expected = standing(case, ordered, restarts=False)
        assert standing(case, arrivals, restarts=True) == expected, case
        assert standing(case, arrivals, restarts=False) == expected, case
        assert brought(case, arrivals)[0] == brought(case, ordered)[0], case
    assert merged > 30, "nothing waited"


class Burst:
    """One subscriber's events, and how many events the machine applies for them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.applied = 0
        real = Machine.apply

        def apply(machine: Machine, *rest: object) -> object:
            self.applied += 1
            return real(machine, *rest)  # type: ignore[arg-type]

        monkeypatch.setattr(Machine, "apply", apply)

    def run(self, events: list[Event], log_ms: list[int]) -> tuple[int, dict[str, int]]:
        self.applied = 0
        listener = sequence("step: a, action: a", "action: b, times: {between: [1, 3]}", more="within: 20s")
        engine = WorkspaceEngine("w", [listener], terms=TERMS)
        person, found = engine.new("s"), dict[str, int]()
        for event, at_ms in zip(events, log_ms, strict=True):
            emitted = engine.apply(person, event, at_ms, to_json(event))
            self._note(emitted, found)
        self._note(engine.pass_time(person, max(log_ms) + 60_000), found)
        return self.applied, found

    @staticmethod
    def _note(emitted: Emitted, found: dict[str, int]) -> None:
        for row in emitted.rows:
            if isinstance(row, MatchRow):
                found.pop(row.replaces or row.match_id, None)
                if row.kind != "retraction":
                    found[row.match_id] = row.matched_at_ms


def events_of(count: int) -> list[Event]:
    end_ms = T0_MS + count * 10
    return [
        Event("w", "s", f"e{n}", "ab"[n % 7 == 3], T0_MS + n * 10, n, received_at_ms=end_ms, log_time_ms=end_ms)
        for n in range(count)
    ]


def test_what_comes_in_reverse_costs_little_more_than_what_comes_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as the undo log holds, one a millisecond of log time: it was two million applied events."""
    burst, events = Burst(monkeypatch), events_of(2_000)
    log_ms = [events[-1].log_time_ms + n for n in range(len(events))]
    forward, expected = burst.run(events, log_ms)
    backward, found = burst.run(events[::-1], log_ms)
    assert forward == len(events)
    assert backward <= 8 * forward
    assert found == expected


@pytest.mark.slow
def test_fifty_beacons_of_two_hundred_in_reverse_order_cost_little_more(monkeypatch: pytest.MonkeyPatch) -> None:
    burst, events = Burst(monkeypatch), events_of(10_000)
    log_ms = [events[-1].log_time_ms + n // 200 * 50 for n in range(len(events))]
    forward, _ = burst.run(events, log_ms)
    backward, _ = burst.run(events[::-1], log_ms)
    assert forward == len(events)
    assert backward <= 8 * forward


def test_the_undo_log_is_bounded_in_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline_rules, "MAX_BYTES", 20_000)
    engine = WorkspaceEngine("w", [], terms=TERMS)
    person = engine.new("s")
    for n in range(200):
        event = Event("w", "s", f"e{n}", "a", T0_MS + n, properties={"text": "x" * 1_000}, log_time_ms=T0_MS + n)
        engine.apply(person, event, T0_MS + n, to_json(event))
        person = engine.decode(engine.encode(person))
    assert 10_000 < person.timeline.size <= 20_000
    assert person.timeline.size == sum(len(entry.source) for entry in person.timeline.entries)  # type: ignore[arg-type, misc]
    assert person.timeline.overflowed > 150


def test_what_waits_and_is_pushed_out_meanwhile_has_a_row_that_says_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline_rules, "MAX_BYTES", 40_000)
    monkeypatch.setattr(reapply, "WAITS_BEHIND", 0)
    engine = WorkspaceEngine("w", [], terms=TERMS)
    person, rows = engine.new("s"), list[EventRow]()
    for n, at in enumerate([*range(10, 20), 5, *range(30, 90)]):
        event = Event("w", "s", f"e{n}", "a", T0_MS + at, properties={"text": "x" * 1_000}, log_time_ms=T0_MS)
        rows += [each for each in engine.apply(person, event, T0_MS, to_json(event)).rows if isinstance(each, EventRow)]
    assert [each.event.event_id for each in rows].count("e10") == 0
    rows += [each for each in engine.pass_time(person, T0_MS + 5_000).rows if isinstance(each, EventRow)]
    assert [each.reason for each in rows if each.event.event_id == "e10"] == ["late"]
    assert len({each.event.event_id for each in rows}) == len(rows) == 71
