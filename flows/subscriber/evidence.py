"""The evidence index: matches that rest on a click, for as long as a verdict on it may come (SEMANTICS 7), or on a
joining or leaving, which may be taken back (SEMANTICS 9). Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

from contracts.events import Event
from contracts.membership import MEMBERSHIP
from flows.machine.machine import Match

KEPT_MS: Final = 30 * 86_400_000
KEPT: Final = 200
"""Matches a subscriber that the index holds; past it the oldest are final."""
CLICKED: Final = "email_clicked"


class Evidence(NamedTuple):
    """The matches that rest on a click, a joining or a leaving, by id, oldest first. ``revoked``: ids of those that
    a late verdict, or an outcome, took back.
    """

    matches: Mapping[str, Match] = {}
    revoked: tuple[str, ...] = ()


def is_late_verdict(event: Event) -> bool:
    """Whether an event says that a click was a machine's."""
    return event.action == CLICKED and event.verdict.startswith("machine")


def noted(evidence: Evidence, gone: Iterable[Match], made: Iterable[Match], log_time_ms: int) -> tuple[Evidence, int]:
    """The index after retractions and matches, and how many matches its bound made final too soon."""
    matches = {name: match for name, match in evidence.matches.items() if log_time_ms - match.matched_at_ms <= KEPT_MS}
    for match in gone:
        matches.pop(match.match_id, None)
    for match in made:
        if _may_fall(match):
            matches[match.match_id] = match
    over = max(len(matches) - KEPT, 0)
    if over:
        matches = dict(list(matches.items())[over:])
    return Evidence(matches, evidence.revoked), over


def _may_fall(match: Match) -> bool:
    for refs in match.steps.values():
        for ref in refs:
            if ref.action == CLICKED or ref.action in MEMBERSHIP:
                return True
    return False


def revoked(evidence: Evidence, event_ids: Collection[str]) -> tuple[Evidence, tuple[Match, ...]]:
    """The matches that hold one of these events, and the index without them."""
    found = tuple(match for match in evidence.matches.values() if any(each in event_ids for each in match.events))
    ids = {match.match_id for match in found}
    left = {name: match for name, match in evidence.matches.items() if name not in ids}
    return Evidence(left, (*evidence.revoked, *sorted(ids))[-KEPT:]), found
