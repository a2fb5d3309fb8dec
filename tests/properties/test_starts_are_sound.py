"""Who cannot start a listener is not read from the history: whoever could is (a back-test would miss their matches)."""

from __future__ import annotations

from random import Random

from contracts.events import Event
from contracts.rows import MatchRow
from flows.backtest.openers import MAX_WAYS, Starts, bounded
from flows.backtest.subject import Subject, together
from flows.subscriber.generations import Deployed
from flows.subscriber.pinned_terms import Terms
from tests.properties.generate import listener_data, parsed, stream

TERMS = Terms(600_000, 1_800_000, 86_400_000, 0)


def may_start(starts: Starts | None, event: Event) -> bool:
    """As the history is asked."""
    if starts is None:
        return True
    for way in starts.get(event.action, ()):
        texts = {each.name: event.properties.get(each.name) for each in way}
        fits = [
            isinstance(text := texts[each.name], str) and (text in each.exact or text.startswith(each.prefixes or "\0"))
            for each in way
        ]
        if all(fits):
            return True
    return False


def test_every_event_that_opens_a_run_is_one_that_is_asked_for() -> None:
    opened = narrowed = passed_over = 0
    for seed in range(150):
        random = Random(seed)
        data = listener_data(random)
        first = next(each for each in data["sequence"] if "not" not in each)
        if random.random() < 0.7:
            first["where"] = {**first.get("where", {}), "k": random.choice(("x", ["x", "y"], "x*", ["y", "x*"], "*"))}
        subject = Subject("w", [Deployed(parsed(data))], TERMS)
        both, _, _ = together([subject, subject])
        narrowed += any(way for ways in (subject.starts or {}).values() for way in ways)
        for event in stream(random, 30):
            person = subject.engine.new("s", 0)
            emitted = subject.engine.apply(person, event, event.log_time_ms)
            matched = any(isinstance(row, MatchRow) for row in emitted.rows)
            opens = matched or any(True for _ in subject.engine.in_flight(person, event.log_time_ms))
            assert may_start(subject.starts, event) or not opens, (seed, event)
            assert may_start(both, event) == may_start(subject.starts, event)
            opened += opens
            passed_over += not may_start(subject.starts, event)
    assert opened > 300
    assert narrowed > 20
    assert passed_over > 500


def test_too_many_ways_are_any() -> None:
    many = tuple(((number,),) for number in range(MAX_WAYS + 1))
    assert bounded(many[1:]) == many[1:]  # type: ignore[arg-type,comparison-overlap]
    assert bounded(many) == ((),)  # type: ignore[arg-type]
