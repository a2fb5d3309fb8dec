"""Who is in which list and has which tag: facts with their places, the newest of each counts (SEMANTICS 9). Pure.

A fact is an event ``list_joined``, ``list_left``, ``tag_added`` or ``tag_removed``. Those ``by: segma`` are made by the
flow with the match that wants them (:mod:`flows.subscriber.weaving`); others come through the log of events.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

from contracts.codec import Packed, replaced
from contracts.events import Event, Trust
from contracts.membership import BY_OTHERS, LIST_JOINED, LIST_LEFT, MEMBERSHIP, PERSON, SEGMA, TAG_ADDED

SESSION_ORDER: Final = 1 << 61
"""The ``order`` of an end of a session: behind all that a person does at one time (their numbers are below 2^53)."""
MADE_ORDER: Final = SESSION_ORDER + 1
"""The ``order`` of the first event that matches make at one time; the others follow in their turn."""
KEPT_OF_EACH: Final = 4
"""Facts of one list or tag that are kept behind what is final: an outcome may still take the newest back."""
NEAR_MS: Final = 3_600_000
"""How long before a match's completion an event by Segma counts for its depth."""
MAX_FACTS: Final = 500
"""Of one person; past it the oldest are let go."""

Standing = tuple[str, str, str]
"""Account, ``list`` or ``tag``, and its name."""
NOWHERE: Final[frozenset[Standing]] = frozenset()


class MembershipFact(Packed, frozen=True):
    """One joining or leaving, and since which place in the person's order. ``depth``, ``match_id`` and ``position`` (in
    its ``then``): of the match that made it; 0 and empty where it came by others.
    """

    at_ms: int
    order: int
    event_id: str
    account: str
    kind: str
    name: str
    is_in: bool
    depth: int = 0
    match_id: str = ""
    position: int = 0

    @property
    def place(self) -> tuple[int, int, str]:
        """As :attr:`contracts.events.Event.place`."""
        return (self.at_ms, self.order, self.event_id)

    @property
    def of(self) -> Standing:
        """The list or tag."""
        return (self.account, self.kind, self.name)


def is_made(order: int) -> bool:
    """Whether an event of this ``order`` is one that the flow itself made."""
    return order >= SESSION_ORDER


def sent_by_others(event: Event) -> Event:
    """A membership event as it comes from outside: nobody but the flow says ``by: segma``."""
    by = event.properties.get("by")
    if by in BY_OTHERS:
        return event
    return replaced(event, properties={**event.properties, "by": PERSON})


def is_membership(action: str, properties: Mapping[str, Any]) -> bool:
    """Whether an event of this action says of which account's list or tag it tells."""
    account, name = properties.get("account"), properties.get(kind_of(action))
    return isinstance(account, str) and isinstance(name, str) and bool(name)


def kind_of(action: str) -> str:
    """``list`` or ``tag``: of what a membership event tells, and the property with its name."""
    return "list" if action in {LIST_JOINED, LIST_LEFT} else "tag"


def fact_of(event: Event) -> MembershipFact | None:
    """The fact of a membership event; None where it names no list or tag, or nothing vouches for it."""
    properties, kind = event.properties, kind_of(event.action)
    if not is_membership(event.action, properties):
        return None
    account, name = properties["account"], properties[kind]
    if event.trust.level < Trust.TOKEN.level or event.stitched:
        return None
    at_ms, order, event_id = event.place
    is_in = event.action in {LIST_JOINED, TAG_ADDED}
    if not is_made(order):
        return MembershipFact(at_ms, order, event_id, account, kind, name, is_in)
    made = (properties["depth"], properties["match"], properties["position"])
    return MembershipFact(at_ms, order, event_id, account, kind, name, is_in, *made)


def standing_at(facts: Sequence[MembershipFact], place: tuple[int, int, str]) -> frozenset[Standing]:
    """The lists and tags that the person has at a place. ``facts``: in the order of their places."""
    if not facts:
        return NOWHERE
    newest = {fact.of: fact.is_in for fact in facts[: bisect_right(facts, place, key=_place)]}
    return frozenset(of for of, is_in in newest.items() if is_in)


def is_heard(facts: Sequence[MembershipFact], event: Event) -> bool:
    """Whether an event may fit a step: of a membership event whether it is news, of any other always."""
    if event.action not in MEMBERSHIP:
        return True
    own = fact_of(event)
    if own is None:
        return False
    before = [fact.is_in for fact in facts if fact.of == own.of and fact.place < own.place]
    return not before or before[-1] is not own.is_in


def with_membership(
    facts: Sequence[MembershipFact],
    more: Collection[MembershipFact],
    final: tuple[int, int, str] | None,
    *,
    without: Collection[str] = (),
) -> tuple[MembershipFact, ...]:
    """The facts with others in their places, and without those of some events.

    ``final``: what is older than it by more than an hour is kept of each list and tag for the newest few alone.
    """
    if not without and _are_news(facts, more) and (final is None or facts[0].at_ms > final[0] - NEAR_MS):
        return (*facts, *more)[-MAX_FACTS:]
    known = {fact.event_id: fact for fact in (*facts, *more) if fact.event_id not in without}
    ordered = sorted(known.values(), key=_place)
    if final is not None:
        old = bisect_right(ordered, final[0] - NEAR_MS, key=attrgetter("at_ms"))
        ordered = [*_newest_of_each(ordered[:old]), *ordered[old:]]
    return tuple(ordered[-MAX_FACTS:])


def _are_news(facts: Sequence[MembershipFact], more: Collection[MembershipFact]) -> bool:
    """Whether it is one fact behind all others, as almost always. PERF: then nothing has to be put in its place."""
    if not facts or len(more) != 1:
        return False
    (fact,) = more
    return facts[-1].place < fact.place and all(each.event_id != fact.event_id for each in facts)


def _newest_of_each(facts: Sequence[MembershipFact]) -> list[MembershipFact]:
    seen: dict[Standing, int] = {}
    kept = []
    for fact in reversed(facts):
        seen[fact.of] = seen.get(fact.of, 0) + 1
        if seen[fact.of] <= KEPT_OF_EACH:
            kept.append(fact)
    return kept[::-1]


def _place(fact: MembershipFact) -> tuple[int, int, str]:
    return fact.place


def is_by_segma(event: Event) -> bool:
    """Whether a match made the event."""
    return is_made(event.order) and event.properties.get("by") == SEGMA
