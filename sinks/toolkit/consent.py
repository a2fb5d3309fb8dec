"""Whether a platform's own word lets a person be added: the order of reasons of docs/semantics.md. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from contracts.reasons import Reason
from sinks.base import Change, Leaving, Standing


class Strangers(StrEnum):
    """What becomes of people whom a platform does not know."""

    ADD = "add"
    OPT_IN = "opt_in"
    NEVER = "never"


class Seen(NamedTuple):
    """A person as the platform shows them, as far as was asked. ``person`` empty: the platform does not know them.

    ``lists``: names of those asked for that they are in (and get mail of). ``left``: of those asked for, the ones they
    unsubscribed from; ``pending``: where they have not confirmed. ``standing`` LEFT: they left altogether, for
    ``because``. ``elsewhere``: whether they are in a list that was not asked for; None: the platform does not show it.
    ``notes``: what the platform's own calls need again. ``refusal``: why nothing may be added, beside consent.
    ``never_there``: nobody has ever seen them in a list, be it that the platform knows them by unanswered opt-ins, or
    that an address is all that a person is there.
    ``number``: the platform's own id of the person, where it is another for one who was erased and made anew.
    ``paused``: a list does not take people who get their mail as they do.
    """

    person: str = ""
    standing: Standing = Standing.ACTIVE
    lists: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    fields: Mapping[str, str] = {}
    notes: Mapping[str, Any] = {}
    pending: frozenset[str] = frozenset()
    because: Reason = Reason.UNSUBSCRIBED
    elsewhere: bool | None = None
    refusal: Reason | None = None
    never_there: bool = False
    number: str = ""
    paused: bool = False

    @property
    def stranger(self) -> bool:
        """Whether the platform does not know the person."""
        return not self.person or self.never_there


def leavings_of(change: Change, seen: Seen, exists: Callable[[str], bool]) -> list[Leaving]:
    """What the platform shows of a person's leaving; everything where they left the last list that they were in.

    With it what was told of before and the look does not take back (``unless_in``).
    """
    if _erased(change, seen) or (not seen.person and _was_there(change, exists)):
        return [Leaving("", Reason.GONE)]
    told = [leaving for leaving, name in change.unless_in if not shows(seen, name)]
    if seen.standing is Standing.LEFT:
        return [Leaving("", seen.because), *told]
    found = [Leaving(name, Reason.UNSUBSCRIBED) for name in sorted(seen.left)]
    missing = [
        name
        for name in dict.fromkeys((*change.only_if_in, *change.expected_in))
        if name not in seen.lists and name not in seen.left and name not in seen.pending and exists(name)
    ]
    found += [Leaving(name, Reason.UNSUBSCRIBED, silent=True) for name in missing]
    last = [each for each in found if each.list_name not in change.not_last]
    if last and not seen.lists and seen.elsewhere is False:
        return [*found, Leaving("", Reason.UNSUBSCRIBED, all(each.silent for each in last)), *told]
    return [*found, *told]


def _was_there(change: Change, exists: Callable[[str], bool]) -> bool:
    """Whether somebody unknown to the platform must be known: in a list of it, or by an id without any list."""
    return any(exists(name) for name in change.met_in) or bool(change.known_there and not change.met)


def _erased(change: Change, seen: Seen) -> bool:
    """Whether the address is another record's than the person's was: they were erased, and it was made anew."""
    return bool(change.platform_id and seen.person and seen.number and seen.number != change.platform_id)


def shows(seen: Seen, list_name: str) -> bool:
    """Whether a look shows the person in a list; of the empty name: at the platform, as one who gets mail."""
    if list_name:
        return list_name in seen.lists and seen.standing is not Standing.LEFT
    return not seen.stranger and seen.standing is Standing.ACTIVE


LEFT: Final = (Reason.GONE, Reason.COMPLAINED, Reason.BLOCKED, Reason.ARCHIVED, Reason.UNSUBSCRIBED)
"""The reasons of leavings, the first that fits."""


GRAVER_THAN_UNCLEAR: Final = {*LEFT, Reason.PENDING, Reason.ASKED}


def verdict(change: Change, seen: Seen, leavings: list[Leaving], strangers: Strangers) -> Reason | None:
    """Why nothing of the change may be done; None: nothing is in the way. Taking out alone is always allowed."""
    if not change.adding:
        makes = bool(change.fields) and not seen.person
        return None if not makes else Reason.GONE if leavings or change.erased else Reason.UNKNOWN
    return left_reason(change, leavings) or seen.refusal or _not_yet(change, seen, strangers)


def left_reason(change: Change, leavings: Sequence[Leaving]) -> Reason | None:
    """The first reason that fits of leavings which forbid the change; None: none does."""
    bound = {"", *change.add, *change.consent_in, *change.only_if_in}
    reasons = {each.reason for each in leavings if each.list_name in bound}
    return next((reason for reason in LEFT if reason in reasons), None)


def _not_yet(change: Change, seen: Seen, strangers: Strangers) -> Reason | None:
    """What keeps somebody who left nothing from being added: no answer yet, bounced mail, never heard of."""
    stranger = seen.stranger
    if seen.standing is Standing.PENDING or seen.pending & {*change.add, *change.consent_in}:
        return Reason.ASKED if change.asked else Reason.PENDING
    if change.asked and stranger:
        return Reason.ASKED
    if {*change.unclear} & {*change.add, *change.consent_in, *change.only_if_in}:
        return Reason.UNCLEAR
    if seen.paused:
        return Reason.PAUSED
    if seen.standing is Standing.UNDELIVERABLE:
        return Reason.UNDELIVERABLE
    nobody_made = strangers is Strangers.NEVER or not change.add
    return Reason.UNKNOWN if stranger and nobody_made else None
