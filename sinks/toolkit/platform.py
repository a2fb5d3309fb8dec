"""The interface of a list platform: plain calls in bulk, nothing about order, vetoes or marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from contracts.reasons import Reason
from sinks.base import Change, Fate, Member, Right, Traits, Trouble
from sinks.toolkit.consent import Seen


class One(NamedTuple):
    """A person in a call: the change that is wanted, the platform's id, what was seen."""

    change: Change
    person: str
    seen: Seen


PersonFault = Trouble | None
"""What one person of a call met; None: nothing."""


class ListGone(Exception):
    """A list that was known is not there any more."""


class BatchRefused(Exception):
    """The platform refused all because of one. ``answer``: its words, safe."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        super().__init__(answer)


class ListRefused(Exception):
    """The platform would not make a list of this name (or a tag, or a field). ``answer``: its words, safe."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        super().__init__(answer)


class NoOptIn:
    """The shared part of platforms that never ask for a confirmation through their API."""

    knows_opt_in = False

    def asks(self, list_name: str, *, known: bool) -> bool:
        """Never."""
        return False

    def invite(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """There is no such call."""
        return [Trouble(Reason.UNSUPPORTED, Fate.LASTING)] * len(people)


class NoTags:
    """The shared part of platforms without tags."""

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[PersonFault]:
        """There is no such call."""
        return [Trouble(Reason.UNSUPPORTED, Fate.LASTING)] * len(people)


class ListPlatform(Protocol):
    """The calls of a platform. Each may raise :class:`Halt`; those over people :class:`BatchRefused` for them all."""

    traits: Traits
    most: int
    """People that one call of ``put``, ``remove``, ``mark`` or ``write`` takes."""

    knows_opt_in: bool
    """Whether the platform can ask a stranger to confirm."""

    overwrites: bool
    """Whether ``put`` writes over an unsubscription that came after the look: then there is a look after it as well."""

    numbers: bool
    """Whether the id of whoever is made anew is another than before (``Seen.number``); else an address is the id."""

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """Each person's memberships in these lists, whether they left, their tags and fields if a change names any."""

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """Make strangers known to the platform, in no list; their ids. No opt-in mail, no changed consent."""

    def asks(self, list_name: str, *, known: bool) -> bool:
        """Return whether the list asks new members to confirm; ``known``: of people whom the platform knows."""

    def invite(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Have the platform ask them to confirm, with one mail each; who is no stranger has an id."""

    def rights(self) -> Iterator[Right]:
        """See :meth:`sinks.base.Sink.rights`; troubles as :class:`Halt`."""

    def exists(self, list_name: str) -> bool:
        """Return whether the list exists now: asked of the platform, not remembered."""

    def id_of(self, list_name: str) -> str:
        """The id of a list, as far as it is remembered or there; empty: there is none."""

    def forget(self, list_name: str) -> None:
        """Drop what is remembered about a list: it vanished."""

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Put them in; the list is made if missing. May raise :class:`ListGone`."""

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Take them out, neutrally. May raise :class:`ListGone`."""

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[PersonFault]:
        """Set or take away a tag."""

    def write(self, people: Sequence[One]) -> Sequence[PersonFault]:
        """Write the ``fields`` of each one's change; a missing field is made."""

    def members(self, list_name: str) -> Iterator[Member]:
        """See :meth:`sinks.base.Sink.members`; troubles as :class:`Halt`."""

    def close(self) -> None:
        """Release everything."""
