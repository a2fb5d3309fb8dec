"""The cap: how many matches may change a person's lists within a time, over all listeners (SEMANTICS 9). Pure.

A match takes its place when its commands are given, in log time. The place comes back when the match is undone, or when
the outcomes say that nothing was changed. A match that stands for another one takes over its place, or its mark.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from contracts.codec import Packed, replaced
from flows.machine.machine import Match
from flows.subscriber.wishes import Wishes

KEPT_CAPPED: Final = 400
"""Capped matches that are remembered of a person."""


class CapPlace(Packed, frozen=True):
    """The place that a match takes. ``positions``: of those of its list changes that may have changed something."""

    match_id: str
    given_ms: int
    positions: tuple[int, ...]


class CapState(NamedTuple):
    """The places that are taken, and the ids of matches that found none, oldest first."""

    places: tuple[CapPlace, ...] = ()
    capped: tuple[str, ...] = ()

    def without(self, match_ids: Collection[str], position: int | None = None) -> CapState:
        """The state without the places of some matches, or without what one position of each has taken."""
        left = []
        for each in self.places:
            if each.match_id in match_ids:
                positions = tuple(own for own in each.positions if position is not None and own != position)
                each = replaced(each, positions=positions)  # noqa: PLW2901
            if each.positions:
                left.append(each)
        return CapState(tuple(left), self.capped)


class Cap(NamedTuple):
    """``moves`` matches within ``within_ms`` of log time; 0: no cap."""

    moves: int
    within_ms: int


class CapJudge:
    """Judges which of a person's matches are capped, where their listeners wish it so."""

    def __init__(self, cap: Cap, wishes: Wishes) -> None:
        self._cap, self._wishes = cap, wishes

    @property
    def is_set(self) -> bool:
        """Whether there is a cap."""
        return self._cap.moves > 0

    def judged(
        self,
        state: CapState,
        gone: Sequence[Match],
        made: Sequence[Match],
        depths: Mapping[str, int],
        now_ms: int,
        *,
        only: Collection[str] | None = None,
    ) -> CapState:
        """The state after retractions and matches. ``only``: the new matches that have a place in any case; no others.

        Judging what was judged before changes nothing.
        """
        if not self._cap.moves:
            return state
        wishes, since_ms = self._wishes, now_ms - self._cap.within_ms
        had = {each.match_id: each for each in state.places if each.given_ms > since_ms}
        heirs = wishes.heirs(gone, made, depths)
        former = {heir: match.match_id for heir, match in heirs.items()}
        ended = {each.match_id for each in gone if not wishes.keeps((each.listener, each.version))}
        places = {name: each for name, each in had.items() if name not in ended and name not in former.values()}
        capped = dict.fromkeys(state.capped)
        for match in sorted(made, key=lambda each: (each.matched_at_ms, depths.get(each.match_id, 1), each.listener)):
            name, before = match.match_id, former.get(match.match_id)
            positions = wishes.list_changes(match, depths.get(name, 1))
            if not positions or name in had or name in capped:
                continue
            if only is not None:
                has_place = name in only
            else:
                has_place = before not in capped if before is not None else len(places) < self._cap.moves
            if not has_place:
                capped[name] = None
            elif before is None:
                places[name] = CapPlace(name, now_ms, positions)
            elif before in had:
                places[name] = replaced(had[before], match_id=name)
        return CapState(tuple(places.values()), tuple(capped)[-KEPT_CAPPED:])
