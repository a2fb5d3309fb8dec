"""Which of an account's commands stand at a person's places, and what each of them changed there. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

from contracts.commands import Command, MatchPlace, Outcome, Result
from sinks.base import Marks
from sinks.delivery.places import mark_of, place

_FIRST: Final[MatchPlace] = (0, 0, "", 0)


class Entry(NamedTuple):
    """What became of a command. ``page``: where its outcome stands in the log (:class:`Pages`), once it was read."""

    command_id: str
    subscriber: str
    result: Result
    places: tuple[str, ...]
    at_ms: int
    undoes: str = ""
    page: int = -1


class _Claim(NamedTuple):
    """A command that was carried out and not taken back, at one of a person's places: ``into`` (True) or out of it.

    ``changed``: the place is so because of this command, or of one taken back that had changed it before this one.
    ``at``: the place of its match; of one without a match that of whatever stood there before it.
    """

    command_id: str
    into: bool
    changed: bool
    at: MatchPlace


class Claims:
    """Command id → its end; (person, list or tag) → the commands that stand there, by the places of their matches.

    A place is as the newest command that stands there wants it; without any, as it was before the first. The newest is
    the one whose match has the latest place, whenever it was given (SEMANTICS 9). So a command that is taken back while
    a later one stands at the same place changes nothing there, and hands over what it had changed: the later one takes
    it back, should it be taken back as well (SEMANTICS 8, docs/semantics.md 10).
    """

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self._at: dict[tuple[str, str], list[_Claim]] = {}
        self._outlived, self._covered = set[str](), set[str]()

    def stands_on(self, command_id: str, page: int) -> None:
        """Note on which page of the log the newest outcome of a command stands."""
        self.entries[command_id] = self.entries[command_id]._replace(page=page)
        self._outlived.discard(command_id)

    def forget(self, command_id: str, page: int) -> Entry | None:
        """Let go of a command whose outcome the log let go, but at the places where it is the newest.

        Returns: what is forgotten whole.
        """
        entry = self.entries.get(command_id)
        if entry is None or entry.page != page:
            return None
        newest = tuple(name for name in entry.places if self._newest(entry.subscriber, name) == command_id)
        for name in entry.places:
            if name not in newest:
                claims = self._at.get((entry.subscriber, name), [])
                claims[:] = [each for each in claims if each.command_id != command_id]
        if newest:
            self._outlived.add(command_id)
            self.entries[command_id] = entry._replace(places=newest)
            return None
        self._outlived.discard(command_id)
        return self.entries.pop(command_id)

    def covered(self) -> list[tuple[str, int]]:
        """Those that were kept as the newest at a place where that has changed since → their pages."""
        found, self._covered = self._covered & self._outlived, set()
        return [(each, self.entries[each].page) for each in found]

    def _newest(self, subscriber: str, name: str) -> str:
        claims = self._at.get((subscriber, name))
        return claims[-1].command_id if claims else ""

    def _is_to_change(self, claims: list[_Claim]) -> None:
        if claims and claims[-1].command_id in self._outlived:
            self._covered.add(claims[-1].command_id)

    def end_list(self, list_name: str) -> None:
        """A list is no more: nothing stands there."""
        name = place("", list_name)
        for key in [key for key in self._at if key[1] == name]:
            self._is_to_change(self._at.pop(key))

    def put(self, outcome: Outcome, held: Mapping[str, bool], changed: Collection[str]) -> dict[str, bool]:
        """From now on the command stands at these places; what it had changed before it failed it has changed still.

        Returns: those of the places where no later command stands.
        """
        command_id, newest = outcome.command_id, dict[str, bool]()
        for name, into in held.items():
            claims = self._at.setdefault((outcome.subscriber, name), [])
            self._is_to_change(claims)
            former = [each for each in claims if each.command_id == command_id]
            own = name in changed or any(each.changed for each in former)
            claims[:] = [each for each in claims if each not in former]
            at = outcome.place or max([each.at for each in claims], default=_FIRST)
            below = sum(each.at <= at for each in claims)
            claims.insert(below, _Claim(command_id, into, own, at))
            if below == len(claims) - 1:
                newest[name] = into
            else:
                _put_beneath(claims, below)
        return newest

    def restated(self, command: Command, names: Iterable[str]) -> dict[str, bool] | None:
        """What is to change where a command stands at another place: a person's place → whether they are in it then.

        None: the command that is restated stands nowhere.
        """
        found, stands = dict[str, bool](), False
        for name in names:
            claims = self._at.get((command.subscriber, name), [])
            own = [each for each in claims if each.command_id == command.restates]
            if own and command.place is not None:
                others = [each for each in claims if each not in own]
                over = others and others[-1].at > command.place
                wanted, stands = (others[-1] if over else own[0]).into, True
                found |= {name: wanted} if wanted is not claims[-1].into else {}
        return found if stands else None

    def restate(self, outcome: Outcome, changed: Collection[str]) -> None:
        """The command that is restated stands at the outcome's place from now on."""
        place_now = outcome.place
        for name in self.entries[outcome.restates].places if outcome.restates in self.entries else ():
            claims = self._at.get((outcome.subscriber, name), [])
            at = next((index for index, each in enumerate(claims) if each.command_id == outcome.restates), None)
            if at is None or place_now is None:
                continue
            self._is_to_change(claims)
            gone = claims.pop(at)
            if at < len(claims) and gone.changed:
                claims[at] = claims[at]._replace(changed=claims[at].into == gone.into)
            below = sum(each.at <= place_now for each in claims)
            was_newest, is_newest = at == len(claims), below == len(claims)
            own = gone.changed if was_newest else name in changed
            claims.insert(below, gone._replace(at=place_now, changed=own))
            if not is_newest:
                _put_beneath(claims, below)

    def outdone(self, command: Command, names: Iterable[str]) -> set[str]:
        """Of these places those where a command stands whose match has a later place than this one's."""
        own = command.place
        if own is None:
            return set()
        claims = {name: self._at.get((command.subscriber, name)) for name in names}
        return {name for name, found in claims.items() if found and any(each.at > own for each in found)}

    def take_back(self, command_id: str) -> None:
        """The command stands no more; the one that came after it inherits what it had changed."""
        entry = self.entries.get(command_id)
        if entry is None:
            return
        self.entries[command_id] = entry._replace(result=Result.SKIPPED)
        for name in entry.places:
            claims = self._at.get((entry.subscriber, name), [])
            at = next((index for index, each in enumerate(claims) if each.command_id == command_id), None)
            if at is None:
                continue
            self._is_to_change(claims)
            gone = claims.pop(at)
            if at < len(claims) and gone.changed:
                claims[at] = claims[at]._replace(changed=claims[at].into == gone.into)

    def to_undo(self, command_id: str) -> Marks:
        """What taking the command back has to revert: what is so because of it, where no later command stands."""
        entry = self.entries.get(command_id)
        if entry is None:
            return ()
        newest = {name: claims[-1] for name in entry.places if (claims := self._at.get((entry.subscriber, name)))}
        return tuple(
            mark_of(name, each.into)
            for name, each in sorted(newest.items())
            if each.command_id == command_id and each.changed
        )


def _put_beneath(claims: list[_Claim], index: int) -> None:
    """Tell anew what a command put beneath a later one would have changed, and what the later one has."""
    own, above = claims[index], claims[index + 1]
    was_in = above.into is not above.changed
    claims[index] = own._replace(changed=own.into is not was_in)
    claims[index + 1] = above._replace(changed=above.into is not own.into)
