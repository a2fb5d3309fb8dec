"""Whether a platform's own word lets a person be added: the order of reasons of docs/semantics.md. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    ``never_there``: of a platform where an address is all that a person is: nobody has ever seen them in a list.
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

    @property
    def stranger(self) -> bool:
        """Whether the platform does not know the person."""
        return not self.person or self.never_there


def leavings_of(change: Change, seen: Seen, exists: Callable[[str], bool]) -> list[Leaving]:
    """What the platform shows of a person's leaving; everything where they left the last list that they were in."""
    if not seen.person and any(exists(name) for name in change.met_in):
        return [Leaving("", Reason.GONE)]
    if seen.standing is Standing.LEFT:
        return [Leaving("", seen.because)]
    found = [Leaving(name, Reason.UNSUBSCRIBED) for name in sorted(seen.left)]
    missing = [
        name
        for name in change.only_if_in
        if name not in seen.lists and name not in seen.left and name not in seen.pending and exists(name)
    ]
    found += [Leaving(name, Reason.UNSUBSCRIBED) for name in missing]
    if found and not seen.lists and seen.elsewhere is False:
        return [*found, Leaving("", Reason.UNSUBSCRIBED)]
    return found


LEFT: Final = (Reason.GONE, Reason.COMPLAINED, Reason.BLOCKED, Reason.ARCHIVED, Reason.UNSUBSCRIBED)
"""The reasons of leavings, the first that fits."""


def verdict(change: Change, seen: Seen, leavings: list[Leaving], strangers: Strangers) -> Reason | None:
    """Why nothing of the change may be done; None: nothing is in the way. Taking out alone is always allowed."""
    if not change.adding:
        makes = bool(change.fields) and seen.stranger
        return None if not makes else Reason.GONE if leavings else Reason.UNKNOWN
    bound = {"", *change.add, *change.consent_in, *change.only_if_in}
    reasons = {each.reason for each in leavings if each.list_name in bound}
    left = next((reason for reason in LEFT if reason in reasons), None)
    return left or seen.refusal or _not_yet(change, seen, strangers)


def _not_yet(change: Change, seen: Seen, strangers: Strangers) -> Reason | None:
    """What keeps somebody who left nothing from being added: no answer yet, bounced mail, never heard of."""
    stranger = seen.stranger
    if seen.standing is Standing.PENDING or seen.pending & {*change.add, *change.consent_in}:
        return Reason.ASKED if change.asked else Reason.PENDING
    if change.asked and stranger:
        return Reason.ASKED
    if seen.standing is Standing.UNDELIVERABLE:
        return Reason.UNDELIVERABLE
    nobody_made = strangers is Strangers.NEVER or not change.add
    return Reason.UNKNOWN if stranger and nobody_made else None
