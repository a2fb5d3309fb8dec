"""Desired state over any list platform: look, then write what is missing, add before remove (promises 2 to 6 of base).

A platform that can be read is written against :class:`Platform`: plain calls in bulk, nothing about order, vetoes or
what changed. All of those are here, once:

* *Look first.* Who is in which list and who left is read before anything is written. So a call in doubt repeats only
  what it did not finish, ``changed`` is exact, and no call can re-subscribe anybody by accident.
* *Add before remove.* A person is taken out of a list only after every adding of theirs has been confirmed.
* *A refused batch is halved* until the one that spoils it stands alone (:class:`BatchRefused`).
* *A vanished list* (:class:`ListGone`) is made anew for an adding, and is "already gone" for a removal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

from contracts.reasons import Reason
from sinks.base import (
    Answer,
    Change,
    Done,
    Fate,
    Halt,
    Marks,
    Member,
    PlatformError,
    Standing,
    Tell,
    Traits,
    Trouble,
    nobody,
)

T = TypeVar("T")


class Seen(NamedTuple):
    """A person as the platform shows them, as far as was asked. ``person`` empty: the platform does not know them.

    ``lists``: names of those asked for that they are in (and get mail of). ``left``: of those asked for, the ones they
    unsubscribed from. ``standing`` LEFT: they left altogether. ``notes``: what the platform's own calls need again.
    """

    person: str = ""
    standing: Standing = Standing.ACTIVE
    lists: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    fields: Mapping[str, str] = {}
    notes: Mapping[str, str] = {}


class One(NamedTuple):
    """A person in a call: the change that is wanted, the platform's id, what was seen."""

    change: Change
    person: str
    seen: Seen


Fault = Trouble | None
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


class Platform(Protocol):
    """The calls of a platform. Each may raise :class:`Halt`; those over people :class:`BatchRefused` for them all."""

    traits: Traits
    most: int
    """People that one call of ``put``, ``remove``, ``mark`` or ``write`` takes."""

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """Each person's memberships in these lists, whether they left, their tags and fields if a change names any."""

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """Make strangers known to the platform, in no list; their ids. No opt-in mail, no changed consent."""

    def exists(self, list_name: str) -> bool:
        """Whether there is such a list now: asked, not remembered."""

    def forget(self, list_name: str) -> None:
        """Drop what is remembered about a list: it vanished."""

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[Fault]:
        """Put them in; the list is made if missing. May raise :class:`ListGone`."""

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[Fault]:
        """Take them out, neutrally. May raise :class:`ListGone`."""

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[Fault]:
        """Set or take away a tag."""

    def write(self, people: Sequence[One]) -> Sequence[Fault]:
        """Write the ``fields`` of each one's change; a missing field is made."""

    def members(self, list_name: str) -> Iterator[Member]:
        """See :meth:`sinks.base.Sink.members`; troubles as :class:`Halt`."""

    def close(self) -> None:
        """Release everything."""


class _Work:
    """One change on its way: what was seen, what is to be done, what was done, what went wrong."""

    def __init__(self, change: Change, seen: Seen) -> None:
        self.change, self.seen, self.person = change, seen, seen.person
        self.trouble: Fault = None
        self.done: list[str] = []
        self.put = [name for name in change.add if name not in seen.lists]
        self.remove = [name for name in change.remove if name in seen.lists]
        self.tag = [name for name in change.tag if name not in seen.tags]
        self.untag = [name for name in change.untag if name in seen.tags]
        self.write = [name for name, value in change.fields if seen.fields.get(name) != value]

    @property
    def marks(self) -> Marks:
        return (
            *(f"+{name}" for name in self.put),
            *(f"-{name}" for name in self.remove),
            *(f"t+{name}" for name in self.tag),
            *(f"t-{name}" for name in self.untag),
            *(f"={name}" for name in self.write),
        )

    @property
    def adds(self) -> bool:
        return bool(self.put or self.tag or self.write)

    def answer(self) -> Answer:
        if self.trouble is not None:
            return self.trouble._replace(changed=tuple(self.done))
        return Done(tuple(self.done), "changed" if self.done else "already so")


class ListSink:
    """A :class:`~sinks.base.Sink` of a platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    @property
    def traits(self) -> Traits:
        """See :attr:`sinks.base.Sink.traits`."""
        return self._platform.traits

    def apply(self, changes: Sequence[Change], tell: Tell = nobody) -> list[Answer]:
        """See :meth:`sinks.base.Sink.apply`."""
        return applied(self._platform, changes, tell) if changes else []

    def members(self, list_name: str) -> Iterator[Member]:
        """See :meth:`sinks.base.Sink.members`."""
        try:
            yield from self._platform.members(list_name)
        except Halt as halt:
            raise PlatformError(halt.trouble) from None

    def close(self) -> None:
        """See :meth:`sinks.base.Sink.close`."""
        self._platform.close()


def applied(platform: Platform, changes: Sequence[Change], tell: Tell) -> list[Answer]:
    """Make the changes so; one answer each, in order. See :meth:`sinks.base.Sink.apply`."""
    lists = frozenset(name for each in changes for name in (*each.add, *each.remove, *each.only_if_in))
    answers: list[Answer | None] = [None] * len(changes)
    works: dict[int, _Work] = {}
    try:
        there: dict[str, bool] = {}
        for index, (change, look) in enumerate(zip(changes, platform.look(changes, lists), strict=True)):
            if isinstance(look, Trouble):
                answers[index] = look
                continue
            work = _Work(change, look)
            if _vetoed(work, platform, there):
                answers[index] = Trouble(Reason.UNSUBSCRIBED, Fate.LASTING)
            else:
                works[index] = work
    except Halt as halt:
        return [halt.trouble] * len(changes)
    tell({work.change.change_id: work.marks for work in works.values() if work.marks})
    _Round(platform, list(works.values())).run()
    return [works[index].answer() if answer is None else answer for index, answer in enumerate(answers)]


def _vetoed(work: _Work, platform: Platform, there: dict[str, bool]) -> bool:
    """Promise 4: who left is added nowhere; taking them out of more is allowed."""
    change, seen = work.change, work.seen
    if not (work.put or work.tag):
        return False
    if seen.standing is Standing.LEFT or any(name in seen.left and name not in change.taken_out for name in work.put):
        return True
    missing = [name for name in change.only_if_in if name not in seen.lists]
    for name in missing:
        if name not in there:
            there[name] = platform.exists(name)
    return any(there[name] for name in missing)


class _Round:
    """The writes of one ``apply``. After the first :class:`Halt` nothing more is asked: it concerns the account."""

    def __init__(self, platform: Platform, works: Sequence[_Work]) -> None:
        self._platform, self._works = platform, works
        self._halted: Trouble | None = None

    def run(self) -> None:
        """Add before remove; fields first, so that whatever an automation sends on joining has its token."""
        platform, works = self._platform, self._works
        self._enrol([work for work in works if work.adds and not work.person])
        self._ask([work for work in works if work.write], "", platform.write)
        for name in _names(work.put for work in works):
            self._ask([work for work in works if name in work.put], f"+{name}", self._putting(name))
        for name in _names(work.tag for work in works):
            self._ask([work for work in works if name in work.tag], f"t+{name}", self._marking(name, on=True))
        for name in _names(work.remove for work in works):
            self._ask([work for work in works if name in work.remove], f"-{name}", self._removing(name))
        for name in _names(work.untag for work in works):
            self._ask([work for work in works if name in work.untag], f"t-{name}", self._marking(name, on=False))

    def _enrol(self, strangers: Sequence[_Work]) -> None:
        def ask(some: Sequence[_Work]) -> Sequence[str | Trouble]:
            return self._platform.enrol([work.change for work in some])

        for work, found in self._asked(strangers, ask):
            if isinstance(found, Trouble):
                work.trouble = found
            else:
                work.person = found

    def _ask(self, works: Sequence[_Work], mark: str, call: Callable[[Sequence[One]], Sequence[Fault]]) -> None:
        """Ask for those who have met no trouble so far, and note for each what came of it."""

        def ask(some: Sequence[_Work]) -> Sequence[Fault]:
            return call([One(work.change, work.person, work.seen) for work in some])

        for work, fault in self._asked([work for work in works if work.trouble is None], ask):
            if fault is None:
                work.done.extend([mark] if mark else [f"={name}" for name in work.write])
            else:
                work.trouble = fault

    def _asked(
        self, works: Sequence[_Work], ask: Callable[[Sequence[_Work]], Sequence[T]]
    ) -> Iterator[tuple[_Work, T | Trouble]]:
        """Each work's answer, asked in chunks; a refused chunk is halved until the one that spoils it stands alone."""
        chunks = [works[start : start + self._platform.most] for start in range(0, len(works), self._platform.most)]
        while chunks:
            chunk = chunks.pop(0)
            if self._halted is not None:
                yield from ((work, self._halted) for work in chunk)
                continue
            try:
                yield from zip(chunk, ask(chunk), strict=True)
            except Halt as halt:
                self._halted = halt.trouble
                chunks.insert(0, chunk)
            except ListRefused as refused:
                fault = Trouble(Reason.LIST_REFUSED, Fate.LASTING, refused.answer)
                yield from ((work, fault) for work in chunk)
            except BatchRefused as refused:
                if len(chunk) == 1:
                    yield chunk[0], Trouble(Reason.REFUSED_BY_PLATFORM, Fate.LASTING, refused.answer)
                else:
                    half = len(chunk) // 2
                    chunks[:0] = [chunk[:half], chunk[half:]]

    def _putting(self, name: str) -> Callable[[Sequence[One]], Sequence[Fault]]:
        def put(ones: Sequence[One]) -> Sequence[Fault]:
            try:
                return self._platform.put(name, ones)
            except ListGone:
                self._platform.forget(name)
                return self._platform.put(name, ones)

        return put

    def _removing(self, name: str) -> Callable[[Sequence[One]], Sequence[Fault]]:
        def remove(ones: Sequence[One]) -> Sequence[Fault]:
            try:
                return self._platform.remove(name, ones)
            except ListGone:
                self._platform.forget(name)
                return [None] * len(ones)

        return remove

    def _marking(self, tag: str, *, on: bool) -> Callable[[Sequence[One]], Sequence[Fault]]:
        return lambda ones: self._platform.mark(tag, ones, on=on)


def _names(groups: Iterable[Sequence[str]]) -> list[str]:
    """Every name once, in order of first mention."""
    return list(dict.fromkeys(name for group in groups for name in group))
