"""What is awaited of the history before its past is asked: everybody's newest events, whatever is sent again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cli.backfilling.caught_up import ASKED_AT_ONCE, await_history
from contracts.actions import PROFILE_CHANGED
from contracts.codec import to_json
from contracts.events import Event, LogTime, Trust
from contracts.log import Log, Outgoing
from contracts.topics import EVENTS, fixed_topics, subscriber_key
from transport import open_log
from transport.config import Settings

AT_MS = 10_000


class Held:
    """Stands where ClickHouse does: the events that it holds, and whom it has forgotten."""

    def __init__(self, *events: Event, gone: Sequence[str] = ()) -> None:
        self.pairs, self.gone = {(each.subscriber, each.event_id) for each in events}, gone

    def rows(self, sql: str, given: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        if "erasures" in sql:
            return [(each,) for each in self.gone]
        assert len(given["ids"]) <= ASKED_AT_ONCE
        return [each for each in self.pairs if each[1] in given["ids"]]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with closing(open_log(Settings(data=tmp_path))) as made:
        made.ensure(fixed_topics(1))
        yield made


def did(event_id: str, who: str = "s_1", log_ms: int = 1_000, action: str = "page_viewed", **properties: Any) -> Event:
    return Event("w", who, event_id, action, log_ms, properties=properties, trust=Trust.SERVER, log_time_ms=log_ms)


def waits(log: Log, sent: Sequence[Event], held: Held, then: Sequence[Event] = ()) -> int:
    """How often it looks again, where the history gets the rows of ``then`` at the third time."""
    records = [Outgoing(EVENTS, subscriber_key("w", each.subscriber), to_json(each)) for each in sent]
    log.publisher().publish([*records, Outgoing(EVENTS, b"", to_json(LogTime(0, AT_MS)), 0)])
    waited: list[float] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        assert len(waited) < 10, "it waits for what does not come"
        if len(waited) == 3:
            held.pairs |= {(each.subscriber, each.event_id) for each in then}

    await_history(log, held, "w", AT_MS, pause=pause, clock=lambda: 0.0)  # type: ignore[arg-type]
    return len(waited)


def test_what_a_killed_flow_sends_again_is_not_taken_for_the_newest(log: Log) -> None:
    first, second = did("e1"), did("e2", log_ms=2_000)
    assert waits(log, [first, second, first], Held(first), [second]) == 3
    assert waits(log, [second], Held(first, second)) == 0


def test_what_is_sent_again_behind_the_instant_is_not_behind_it(log: Log) -> None:
    first, second, behind = did("e1"), did("e2", log_ms=2_000), did("e3", log_ms=AT_MS)
    assert waits(log, [first, second, behind, first], Held(first), [behind]) == 3, "what is behind it is enough"


def test_of_two_people_of_one_batch_both_are_awaited(log: Log) -> None:
    early, late = did("e1", "s_1"), did("e2", "s_2")
    assert waits(log, [early, late], Held(late), [early]) == 3


def test_everybody_is_awaited_but_of_whom_the_history_keeps_nothing(log: Log) -> None:
    many = [did(f"e{number}", f"s_{number}") for number in range(ASKED_AT_ONCE + 1)]
    taken_away = did("p1", "s_1", 2_000, PROFILE_CHANGED)
    assert waits(log, [*many, taken_away], Held(gone=["s_7"]), many[:7] + many[8:]) == 3


def test_a_flow_that_reads_again_is_waited_for_though_it_was_further(log: Log) -> None:
    event = did("e1")
    log.publisher().publish([Outgoing(EVENTS, b"", to_json(LogTime(0, AT_MS)), 0)])
    log.publisher().publish([Outgoing(EVENTS, b"", to_json(LogTime(0, 500)), 0)])
    looked: list[float] = []

    def pause(seconds: float) -> None:
        looked.append(seconds)
        log.publisher().publish([Outgoing(EVENTS, b"", to_json(LogTime(0, AT_MS)), 0)])

    await_history(log, Held(event), "w", AT_MS, pause=pause, clock=lambda: 0.0)  # type: ignore[arg-type]
    assert len(looked) == 1
