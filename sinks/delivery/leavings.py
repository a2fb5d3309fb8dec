"""Who left what, and who joined again by themselves: the facts of one account's people in the order of their times.

Facts come in any order and any number of times; what they come to depends on neither (docs/semantics.md 8.1, 5 and 6).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from contracts.accounts import Fact, Veto
from contracts.codec import json_reader
from contracts.errors import BadRecord
from contracts.log import Record
from contracts.reasons import Reason
from sinks.base import Leaving

GRAVEST_FIRST: Final = (Reason.GONE, Reason.COMPLAINED, Reason.BLOCKED, Reason.UNSUBSCRIBED)
_TOLD: Final = {"email_complained": Reason.COMPLAINED, **{str(each): each for each in GRAVEST_FIRST}}
_read: Final[Callable[[bytes], Veto]] = json_reader(Veto)


class Standing(NamedTuple):
    """A leaving that stands. ``unless_in``: only until a look shows the person in this list; None: for good."""

    leaving: Leaving
    unless_in: str | None = None


class Leavings:
    """The facts of the people of one account."""

    def __init__(self, twins: Callable[[str], Collection[str]] = lambda subscriber: ()) -> None:
        """``twins``: the other ids under which a person's mailbox stands in the directory."""
        self._twins = twins
        self._of: dict[str, dict[bytes, Veto]] = {}
        self._whose: dict[bytes, str] = {}

    def take(self, record: Record) -> Veto | None:
        """Take in a record of the topic; the fact, where it is a new one."""
        if record.value is None:
            self._of.get(self._whose.pop(record.key, ""), {}).pop(record.key, None)
            return None
        try:
            veto = _read(record.value)
        except BadRecord:
            return None
        return veto if self.note(record.key, veto) else None

    def note(self, key: bytes, veto: Veto) -> bool:
        """Take in a fact; whether it is a new one. What a look has confirmed no repetition of its report takes back."""
        held = self._of.setdefault(veto.subscriber, {})
        new = key not in held
        if new or not held[key].timed:
            held[key] = veto
            self._whose[key] = veto.subscriber
        return new

    def knows(self, key: bytes) -> bool:
        """Whether this fact was told before."""
        return key in self._whose

    def standing(self, subscriber: str, lists: Collection[str]) -> Iterator[Standing]:
        """What stands against adding the person to these lists: of each, and of everything, the gravest leaving."""
        facts = self.of(subscriber)
        joined = [each for each in facts if each.fact is Fact.JOINED]
        for name in sorted({"", *lists}):
            left = [each for each in facts if _is_left(each, name)]
            left = [each for each in left if not any(_lifts(one, each) for one in joined if one.timed)]
            if left:
                unsure = [one for one in joined if all(_lifts(one, each) for each in left)]
                unless_in = max(unsure, key=lambda one: one.at_ms).list_name if unsure else None
                yield Standing(Leaving(name, gravest(reason_of_leaving(each) for each in left)), unless_in)

    def unsure(self, subscriber: str, list_name: str) -> list[Veto]:
        """The joinings of a list that wait for a look to confirm them."""
        return [each for each in self.of(subscriber) if _is_unsure(each) and each.list_name == list_name]

    def unclear(self, subscriber: str) -> set[str]:
        """The lists of which it is not known whether the person left them or was taken out."""
        return {name for name, veto in self._last_words(subscriber).items() if veto.fact is Fact.UNCLEAR}

    def removed(self, subscriber: str) -> Mapping[str, int]:
        """The lists out of which others took the person, as the customer says → when they were found gone."""
        words = self._last_words(subscriber).items()
        return {name: veto.at_ms for name, veto in words if veto.fact is Fact.REMOVED}

    def questions(self) -> dict[str, list[Veto]]:
        """List → those who are gone from it with many others, of whom the customer has not said why."""
        found: dict[str, list[Veto]] = {}
        for subscriber in sorted(self._of):
            for name, veto in self._last_words(subscriber).items():
                if veto.fact is Fact.UNCLEAR:
                    found.setdefault(name, []).append(veto)
        return found

    def joined_ms(self, subscriber: str) -> int:
        """When the person joined anything by themselves last, as far as it is known; -1: never."""
        return max((each.at_ms for each in self.of(subscriber) if each.fact is Fact.JOINED), default=-1)

    def joined_in(self, subscriber: str) -> dict[str, int]:
        """List → when the person joined it by themselves last, as far as that is sure."""
        facts = [each for each in self.of(subscriber) if each.fact is Fact.JOINED and each.timed]
        return {each.list_name: each.at_ms for each in sorted(facts, key=lambda each: each.at_ms)}

    def rejoined(self, subscriber: str, list_name: str, since_ms: int) -> bool:
        """Whether the person left a list after this time and, as the customer's server says, joined it after that.

        The platform itself need not have heard of it: their being gone from it is that leaving and no other.
        """
        facts = self.of(subscriber)
        left_ms = [each.at_ms for each in facts if any(_is_left(each, name) for name in ("", list_name))]
        told_ms = [each.at_ms for each in facts if each.source == "server" and each.list_name == list_name]
        return any(since_ms <= left < max(told_ms, default=-1) for left in left_ms)

    def of(self, subscriber: str) -> list[Veto]:
        """Every fact of a person, under whichever of their ids it was told."""
        ids = (subscriber, *self._twins(subscriber))
        return [veto for each in ids for veto in self._of.get(each, {}).values()]

    def _last_words(self, subscriber: str) -> dict[str, Veto]:
        """The newest fact of each list; of the same time an answer comes after its question."""
        newest: dict[str, Veto] = {}
        for each in sorted(self.of(subscriber), key=lambda each: (each.at_ms, each.fact is not Fact.UNCLEAR)):
            newest[each.list_name] = each
        return newest


def leavings_of_accounts(
    records: Iterable[Record], twins: Callable[[str, str], Collection[str]] = lambda workspace, subscriber: ()
) -> dict[tuple[str, str], Leavings]:
    """The facts of every account: (workspace, account) → its people's. ``twins``: as :meth:`Directory.twins`."""
    found: dict[tuple[str, str], Leavings] = {}
    for record in records:
        parts = record.key.decode("utf-8", "replace").split("/", 2)
        if len(parts) == 3:
            own = Leavings(functools.partial(twins, parts[0]))
            found.setdefault((parts[0], parts[1]), own).take(record)
    return found


def reason_of_leaving(veto: Veto) -> Reason:
    """The reason that an outcome gives for it."""
    return _TOLD.get(veto.reason, Reason.UNSUBSCRIBED)


def gravest(reasons: Iterable[Reason]) -> Reason:
    """The first that fits; of leavings alone."""
    found = set(reasons)
    return next(each for each in GRAVEST_FIRST if each in found)


def _lifts(joined: Veto, left: Veto) -> bool:
    """Whether a joining lifts a leaving: a later one of the same list; any, where everything was left."""
    if _is_left(left, ""):
        return joined.at_ms > left.at_ms and left.list_id in {"", joined.list_id}
    return joined.at_ms > left.at_ms and joined.list_name == left.list_name


def _is_left(veto: Veto, list_name: str) -> bool:
    """Whether it is a leaving of this list; a complaint is always one of everything."""
    where = "" if reason_of_leaving(veto) is Reason.COMPLAINED else veto.list_name
    return veto.fact is Fact.LEFT and where == list_name


def _is_unsure(veto: Veto) -> bool:
    return veto.fact is Fact.JOINED and not veto.timed
