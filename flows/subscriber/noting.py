"""What is known of a person's lists, noted in their timeline: by others, by matches, and taken back again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from contracts.codec import replaced
from contracts.events import Event
from flows.derived.membership import MADE_ORDER, fact_of, with_membership
from flows.machine.machine import Match
from flows.subscriber.cap import CapState
from flows.subscriber.timeline import Timeline
from flows.subscriber.wishes import Wishes

KEPT_UNMADE: Final = 400
"""Ids of events taken back that are remembered of a person."""


def told(timeline: Timeline, event: Event) -> bool:
    """Note what others tell of a list; whether it is the first time that they do."""
    if any(fact.event_id == event.event_id for fact in timeline.memberships):
        return False
    if (fact := fact_of(event)) is not None:
        timeline.memberships = with_membership(timeline.memberships, (fact,), timeline.floor)
    return True


def note(timeline: Timeline, wishes: Wishes, gone: Sequence[Match], made: Sequence[Match], log_time_ms: int) -> None:
    """Note what matches made of the person's lists, where no listener judges it: no event of it is put in its place."""
    left = [match.match_id for match in gone if not wishes.keeps((match.listener, match.version))]
    without = [fact.event_id for fact in timeline.memberships if fact.match_id in left]
    moving = [match for match in made if match.match_id not in timeline.cap.capped]
    events = [event for match in moving for event in wishes.events_of(match, 1, log_time_ms)]
    if without or events:
        known = [fact for event in events if (fact := fact_of(replaced(event, order=MADE_ORDER))) is not None]
        timeline.memberships = with_membership(timeline.memberships, known, timeline.floor, without=without)


def forget(timeline: Timeline) -> None:
    """Forget what is known of the person's lists, and of what matches made of them."""
    timeline.memberships, timeline.depths, timeline.cap = (), {}, CapState()


def take_back(timeline: Timeline, event_ids: Collection[str]) -> None:
    """Note that events which matches made were none after all; they are not made again."""
    timeline.unmade = (*timeline.unmade, *event_ids)[-KEPT_UNMADE:]
    timeline.memberships = with_membership(timeline.memberships, (), timeline.floor, without=event_ids)
