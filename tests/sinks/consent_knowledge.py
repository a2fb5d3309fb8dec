"""What is known at one account, each time found from its whole history: a part of :mod:`tests.sinks.consent_model`.

Written from docs/semantics.md 8 and 8.1 alone: nothing of ``sinks`` is read for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

IN, LEFT, PENDING, OUT = "active", "left", "pending", "out"
EVERYTHING, NEW = "", "new"


class Shows(NamedTuple):
    """What a platform shows, and so what can be known of it."""

    lists_are_left: bool
    """People leave one list; else the platform as a whole."""
    leavings: bool
    """It says who left; else they are only gone."""
    removals: bool
    """Who is gone without a word was taken out by others, for it would say so of a leaving."""
    other_lists: bool
    """Whether somebody is in any list beside those asked for."""
    numbers: bool
    """Somebody erased and made anew has another number."""
    people: bool = True
    """People are there without being in a list."""
    because: str = "unsubscribed"
    """What it says of who left altogether."""
    anything: bool = True
    """It can be read at all; else it is told of everything."""
    pending: bool = True
    """A look shows who has not confirmed; else only a try to put them in does."""
    asks: str = ""
    """What strangers are asked to confirm: each ``list`` that asks, or ``all``; empty: nothing."""
    fields_of_left: bool = True
    """Fields of who left altogether are written; else they are passed over, with the reason of the leaving."""


@dataclass
class Person:
    """What the platform shows of somebody."""

    number: str
    lists: dict[str, str] = field(default_factory=dict)
    standing: str = IN
    because: str = ""


class Item(NamedTuple):
    """One thing that is known.

    ``kind``: left, joined, unsure (joined at no known time), put, out, seen, imported, link, cut, did, undone, number,
    asked.
    """

    kind: str
    at: int
    person: str
    name: str = EVERYTHING
    more: Any = None


class Command(NamedTuple):
    """What is asked for. ``undoes``: the id of a command."""

    id: str
    verb: str
    person: str
    to: str = ""
    out_of: str = ""
    undoes: str = ""


class End(NamedTuple):
    """How a command must end; ``changed``: list → whether they are in it now."""

    result: str
    reason: str = ""
    changed: tuple[tuple[str, bool], ...] = ()


class Knowledge:
    """The history of one account, and what follows from it."""

    def __init__(self, shows: Shows, *, strangers: str = "add", known: str = "confirmed") -> None:
        self.shows, self.strangers, self.known = shows, strangers, known
        self.history: list[Item] = []
        self.truth: dict[str, Person] = {}
        self.lists: set[str] = set()
        self.asking: set[str] = set()
        """Lists that ask."""
        self.mails = 0
        self._looks: list[Item] = []
        self._to_take_out: list[tuple[str, str]] = []

    # What is known, each time from the whole history

    def _of(self, kind: str, person: str, name: str | None = None) -> list[Item]:
        return [
            each
            for each in self.history
            if each.kind == kind and each.person == person and (name is None or each.name == name)
        ]

    def joined_at(self, person: str, name: str) -> int:
        return max((each.at for each in self._of("joined", person, name)), default=-1)

    def standing(self, person: str, name: str) -> list[Item]:
        """The leavings of a list (or of everything) that nobody has lifted; a later joining of their own lifts."""
        if name == EVERYTHING:
            left = [each for each in self._of("left", person) if each.name == name or each.more == "complained"]
            joined = self._of("joined", person)
        else:
            left = [each for each in self._of("left", person, name) if each.more != "complained"]
            joined = self._of("joined", person, name)
        return [each for each in left if not any(other.at > each.at for other in joined)]

    def may_have_joined(self, person: str, name: str) -> str | None:
        """The list that they are said to have joined since they left, at no known time."""
        left = max(each.at for each in self.standing(person, name))
        told = [each for each in self._of("unsure", person) if each.at > left and name in {EVERYTHING, each.name}]
        return told[-1].name if told else None

    def links(self, person: str) -> list[Item]:
        cut = {each.more for each in self._of("cut", person)}
        return [each for each in self._of("link", person) if each.more[1] not in cut]

    def bound(self, person: str, names: Iterable[str]) -> set[str]:
        """The lists whose leaving forbids adding to these: those that the person's moves link to them."""
        found = set(names)
        while True:
            more = {
                other
                for each in self.links(person)
                for here, other in ((each.name, each.more[0]), (each.more[0], each.name))
                if here in found and each.at > self.joined_at(person, here)
            }
            if more <= found:
                return found
            found |= more

    def held(self, person: str) -> set[str]:
        """Where Segma has put or seen them and not taken them out since."""
        last: dict[str, str] = {}
        for each in self.history:
            if each.person == person and each.kind in {"put", "out", "seen"}:
                last[each.name] = each.kind
        return {name for name, kind in last.items() if kind != "out"}

    def explained(self, person: str, name: str) -> bool:
        """Whether their being gone is a leaving that the customer's own server says they joined after."""
        held = [each.at for kind in ("put", "seen") for each in self._of(kind, person, name)]
        left = [each.at for each in self._of("left", person) if each.name in {EVERYTHING, name}]
        told = [each.at for each in self._of("joined", person, name) if each.more == "server"]
        return any(max(held, default=-1) <= at < max(told, default=-1) for at in left)

    def been(self, person: str) -> bool:
        """Whether they were in any list, as far as Segma put, saw or took out."""
        return bool(
            self._of("put", person) or self._of("seen", person) or any(each.more[1] for each in self._of("did", person))
        )

    def by_segma(self, person: str, name: str) -> bool:
        last = [each.kind for each in self.history if each.person == person and each.name == name]
        return [kind for kind in last if kind in {"put", "out"}][-1:] == ["put"]

    # What happens

    def tell(self, kind: str, at: int, person: str, name: str = EVERYTHING, more: Any = None) -> None:
        """Something becomes known; of a leaving, what follows from it as well."""
        item = Item(kind, at, person, name, more)
        if item in self.history:
            return
        self.history.append(item)
        if kind == "left" and name:
            self._follow(item)

    def _follow(self, left: Item) -> None:
        """Who leaves a list has left those that moves link to it, and is taken out of where moves from it led."""
        reached, onward = {left.name}, {left.name}
        while True:
            size = len(reached), len(onward)
            for each in self.links(left.person):
                if each.at > left.at and left not in self.standing(left.person, left.name):
                    continue
                into, out_of = each.more[0], each.name
                if each.at > self.joined_at(left.person, into):
                    reached |= {into} if out_of in reached else set()
                    onward |= {into} if out_of in onward else set()
                if each.at > self.joined_at(left.person, out_of):
                    reached |= {out_of} if into in reached else set()
            if size == (len(reached), len(onward)):
                break
        for name in sorted(reached - {left.name}):
            self.history.append(Item("left", left.at, left.person, name, left.more))
        for name in sorted(onward - {left.name}):
            if self.by_segma(left.person, name):
                self._to_take_out.append((left.person, name))

    def numbered(self, person: str, number: str) -> None:
        """The platform's number of somebody; whom a command made anew is known by it from then on."""
        self.truth[person].number = number
        for at, each in enumerate(self.history):
            if (each.kind, each.person, each.more) == ("number", person, NEW):
                self.history[at] = each._replace(more=number)

    def _set(self, person: str, name: str, state: str) -> None:
        if state == OUT:
            self.truth[person].lists.pop(name, None)
        else:
            self.truth[person].lists[name] = state
