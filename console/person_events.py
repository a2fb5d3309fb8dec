"""One person's events as the history has them, and a listener run over them in words, by the steps that run live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from analytics.clickhouse import ClickHouse
from analytics.recorded import Asked, Range, arrivals
from contracts.events import Event
from contracts.installation import Workspace
from contracts.time_zones import named_zone
from contracts.tokens import subscriber_id
from contracts.versions import Pause
from flows.language.model import Listener
from flows.replay.explain import explain

MOST_EVENTS: Final = 2_000
"""The newest events of a person that a listener is run over."""
LONGEST: Final = 320
"""Characters of an address or an id."""


def is_person(wanted: str) -> bool:
    """Whether this may be an address or an id."""
    return 0 < len(wanted) <= LONGEST


def person_named(secret: bytes, wanted: str) -> str:
    """The opaque id of an address; an id is itself. The address goes no further than this."""
    return subscriber_id(secret, wanted) if "@" in wanted else wanted


class Whose(NamedTuple):
    """Of whom the history is asked: a person of a workspace, by its terms, up to an instant."""

    workspace: str
    terms: Workspace
    person: str
    until_ms: int


def recorded(whose: Whose, listener: Listener, clickhouse: ClickHouse, *, pauses: tuple[Pause, ...] = ()) -> str:
    """The lives of a person's runs. ``pauses``: of the listener. Raises :class:`HistoryError`."""
    asked = Asked(whose.workspace, whose.until_ms, None, None, None)
    found: list[Event] = []
    for arrived in arrivals(clickhouse, asked, Range(whose.person, f"{whose.person}\0")):
        own = [each.event for each in arrived if not each.reason and each.event.subscriber == whose.person]
        found = own[-MOST_EVENTS:]
    if not found:
        return "No event of this person that a listener could have heard is in the history."
    ordered = sorted(found, key=lambda event: event.place)
    return explained(listener, ordered, whose.terms, whose.until_ms, pauses=pauses)


def explained(
    listener: Listener,
    events: Sequence[Event],
    terms: Workspace,
    final_ms: int,
    *,
    pauses: tuple[Pause, ...] = (),
) -> str:
    """The lives of the runs of one person's events, which are in order, by the workspace's terms."""
    zone = named_zone(terms.time_zone)
    gap_ms = terms.session_gap
    return explain(listener, events, final_ms=final_ms, session_gap_ms=gap_ms, zone=zone, pauses=pauses)
