"""Desired state over any list platform: look, then write what is missing, add before remove (promises 2 to 6 of base).

A platform that can be read is written against :class:`~sinks.toolkit.platform.ListPlatform`: plain calls in bulk, and
nothing about order, vetoes or what changed. All of those are here, once:

* *Look first.* Who is in which list and who left is read before anything is written. So a call in doubt repeats only
  what it did not finish, ``changed`` is exact, and no call can re-subscribe anybody by accident.
* *Add before remove.* A person is taken out of a list only after every adding of theirs has been confirmed.
* *A refused batch is halved* until the one that spoils it stands alone (:class:`BatchRefused`).
* *A vanished list* (:class:`ListGone`) is made anew for an adding, and is "already gone" for a removal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeVar

from contracts.reasons import Reason
from contracts.tokens import other_spelling
from sinks.base import (
    Answer,
    Change,
    Fate,
    Halt,
    Member,
    NoSuchList,
    PlatformError,
    Right,
    Tell,
    Traits,
    Trouble,
    nobody,
)
from sinks.toolkit.answers import MISSHAPEN, unreadable
from sinks.toolkit.consent import Seen, Strangers, leavings_of, left_reason, verdict
from sinks.toolkit.platform import BatchRefused, ListGone, ListPlatform, ListRefused, One, PersonFault
from sinks.toolkit.work import Work, joinings_of

T = TypeVar("T")
MAX_ADDRESS: Final = 254
AFTER_ASKED: Final = {None, Reason.UNCLEAR, Reason.PAUSED, Reason.UNDELIVERABLE, Reason.UNKNOWN}
"""What a person is told only where they have not been asked to confirm (docs/semantics.md 8.1, 8)."""
THEIRS: Final = 3
"""How often one person alone meets an error of the platform's before it counts as theirs, if the account is well."""


class ListSink:
    """A :class:`~sinks.base.Sink` of a platform. ``strangers``, ``known``: the account's settings of that name."""

    def __init__(self, platform: ListPlatform, *, strangers: str | None = None, known: str = "confirmed") -> None:
        self._platform = platform
        self._strangers = Strangers(strangers or (Strangers.OPT_IN if platform.knows_opt_in else Strangers.ADD))
        self._known_opt_in = known == "opt_in"
        self._alone: tuple[str, int] = ("", 0)

    @property
    def traits(self) -> Traits:
        """See :attr:`sinks.base.Sink.traits`."""
        return self._platform.traits._replace(one_by_one=self._known_opt_in)

    def apply(self, changes: Sequence[Change], tell: Tell = nobody) -> list[Answer]:
        """See :meth:`sinks.base.Sink.apply`."""
        fit = [change for change in changes if is_address(change.address)]
        asked = iter(self._applied(fit, tell) if fit else [])
        bad = Trouble(Reason.BAD_ADDRESS, Fate.LASTING)
        return [next(asked) if is_address(change.address) else bad for change in changes]

    def _applied(self, changes: Sequence[Change], tell: Tell) -> list[Answer]:
        answers = _Call(self._platform, self._strangers, known_opt_in=self._known_opt_in).applied(changes, tell)
        return [self._whose(changes[0], answers[0])] if len(changes) == 1 else answers

    def _whose(self, change: Change, answer: Answer) -> Answer:
        """A trouble that one person alone meets again and again while the account is well is theirs.

        Else one person's data, which a platform answers with an error of its own, would hold up everybody for ever.
        """
        if not isinstance(answer, Trouble) or answer.reason not in {Reason.UNREACHABLE, Reason.WRONG_ANSWER}:
            self._alone = ("", 0)
            return answer
        if answer.fate is not Fate.AWAY:
            return answer
        times = self._alone[1] + 1 if self._alone[0] == change.change_id else 1
        self._alone = (change.change_id, times)
        return answer._replace(fate=Fate.PASSING) if times >= THEIRS and self._is_well() else answer

    def _is_well(self) -> bool:
        try:
            next(iter(self._platform.members("")), None)
        except NoSuchList:
            return True
        except (Halt, *MISSHAPEN):
            return False
        return True

    def members(self, list_name: str) -> Iterator[Member]:
        """See :meth:`sinks.base.Sink.members`."""
        try:
            yield from self._platform.members(list_name)
        except Halt as halt:
            raise PlatformError(halt.trouble) from None
        except NoSuchList:
            raise
        except MISSHAPEN as error:
            raise PlatformError(unreadable(error)) from None

    def rights(self) -> Iterator[Right]:
        """See :meth:`sinks.base.Sink.rights`."""
        try:
            yield from self._platform.rights()
        except Halt as halt:
            raise PlatformError(halt.trouble) from None
        except MISSHAPEN as error:
            raise PlatformError(unreadable(error)) from None

    def close(self) -> None:
        """See :meth:`sinks.base.Sink.close`."""
        self._platform.close()


def is_address(text: str) -> bool:
    """Return whether a platform could take a text as an address: one line of text around an @, of bounded length."""
    local, at, domain = text.strip().rpartition("@")
    return bool(local and at and domain) and len(text) <= MAX_ADDRESS and text.strip().isprintable()


class _Call:
    """One ``apply``: look people up, judge, announce the intent, write."""

    def __init__(self, platform: ListPlatform, strangers: Strangers, *, known_opt_in: bool) -> None:
        self._platform, self._strangers, self._known_opt_in = platform, strangers, known_opt_in
        self._there: dict[str, bool] = {}

    def applied(self, changes: Sequence[Change], tell: Tell) -> list[Answer]:
        """Return one answer for each change, in order. See :meth:`sinks.base.Sink.apply`."""
        try:
            judged = self._judged(changes)
        except Halt as halt:
            return [halt.trouble] * len(changes)
        except ListRefused as refused:
            return [Trouble(Reason.LIST_REFUSED, Fate.LASTING, refused.answer)] * len(changes)
        except MISSHAPEN as error:
            return [unreadable(error)._replace(fate=Fate.AWAY)] * len(changes)
        works = [each for each in judged if isinstance(each, Work)]
        tell({work.change.change_id: work.marks for work in works if work.marks})
        _Round(self._platform, works, self._left_since if self._platform.overwrites else None).run()
        self._note_ids(works)
        return [each.answer() if isinstance(each, Work) else each for each in judged]

    def _judged(self, changes: Sequence[Change]) -> list[Work | Trouble]:
        lists = frozenset(name for each in changes for name in _asked_about(each))
        return [
            look if isinstance(look, Trouble) else self._judge(change, look)
            for change, look in self._looked_up(changes, lists)
        ]

    def _looked_up(self, changes: Sequence[Change], lists: frozenset[str]) -> list[tuple[Change, Seen | Trouble]]:
        """Each change with what the platform shows; of a stranger by the address's other spelling, where it has one.

        Whoever is there by that one is asked for and changed by it: a platform takes the two for different people.
        """
        found = list(zip(changes, self._platform.look(changes, lists), strict=True))
        again = {
            index: change._replace(address=other)
            for index, (change, look) in enumerate(found)
            if isinstance(look, Seen) and look.stranger and (other := other_spelling(change.address))
        }
        if again:
            looks = self._platform.look(list(again.values()), lists)
            for (index, change), look in zip(again.items(), looks, strict=True):
                if isinstance(look, Trouble) or not look.stranger:
                    found[index] = change, look
        return found

    def _judge(self, change: Change, seen: Seen) -> Work | Trouble:
        """Promise 4: who left is added nowhere; taking them out of more is allowed."""
        leavings = leavings_of(change, seen, lambda name: self._is_same(change, name))
        reason = verdict(change, seen, leavings, self._strangers)
        asking = self._asking(change, seen) if reason in AFTER_ASKED else []
        if asking and change.asked:
            reason = Reason.ASKED
        if reason is not None:
            return Trouble(reason, Fate.LASTING, leavings=tuple(leavings), joinings=joinings_of(change, seen))
        return Work(change, seen, leavings, asking)

    def _asking(self, change: Change, seen: Seen) -> list[str]:
        """The lists that ask the person to confirm instead of taking them in; of a stranger the first one decides.

        Whoever was put into that one is no stranger to the others.
        """
        if seen.stranger or change.made:
            first = change.first_add or next(iter(change.add), "") if self._strangers is Strangers.OPT_IN else ""
            return [first] if first and first not in seen.lists and self._platform.asks(first, known=False) else []
        missing = [name for name in change.add if name not in seen.lists] if self._known_opt_in else []
        return [name for name in missing if self._platform.asks(name, known=True)]

    def _left_since(self, works: Sequence[Work]) -> dict[str, Trouble]:
        """Of those who were put in: who left before the call reached the platform; by change."""
        lists = frozenset(
            name for work in works for name in (*work.change.add, *work.change.remove, *work.change.consent_in)
        )
        found = {}
        changes = [work.change for work in works]
        for work, look in zip(works, self._platform.look(changes, lists), strict=True):
            if isinstance(look, Trouble):
                work.trouble = look
                continue
            # NOTE: whoever was made anew by this very call has another id than the one before.
            change = work.change._replace(platform_id="", known_there=False, met_in=())
            leavings = [each for each in leavings_of(change, look, lambda name: False) if not each.silent]
            reason = left_reason(work.change, leavings)
            if reason is not None:
                work.leavings = tuple(leavings)
                found[work.change.change_id] = Trouble(reason, Fate.LASTING, "left meanwhile")
        return found

    def _note_ids(self, works: Sequence[Work]) -> None:
        """Which lists those were: a name may be another list's one day."""
        ids: dict[str, str] = {}
        for work in works:
            named = [*work.change.add, *work.invite, *(name for name in work.change.remove if name in work.seen.lists)]
            ids |= {name: self._id_of(name) for name in named if name not in ids}
            work.list_ids = {name: ids[name] for name in named if ids[name]}

    def _id_of(self, name: str) -> str:
        try:
            return self._platform.id_of(name)
        except (Halt, ListRefused, *MISSHAPEN):
            return ""  # what was done is done: it is learnt at the next call

    def _is_same(self, change: Change, name: str) -> bool:
        """Whether there is the list in which the person was put or seen: one of another id is another list."""
        return self._exists(name) and change.list_ids.get(name, "") in {"", self._platform.id_of(name)}

    def _exists(self, name: str) -> bool:
        if name not in self._there:
            self._there[name] = self._platform.exists(name)
        return self._there[name]


class _Round:
    """The writes of one ``apply``. After the first :class:`Halt` nothing more is asked: it concerns the account."""

    def __init__(
        self,
        platform: ListPlatform,
        works: Sequence[Work],
        left_since: Callable[[Sequence[Work]], dict[str, Trouble]] | None,
    ) -> None:
        self._platform, self._works, self._left_since = platform, works, left_since
        self._halted: Trouble | None = None

    def run(self) -> None:
        """Add before remove; fields first, so that whatever an automation sends on joining has its token."""
        platform, works = self._platform, self._works
        self._invite([work for work in works if work.invite])
        self._enrol([work for work in works if work.adds and not work.person])
        self._ask([work for work in works if work.write], "", platform.write)
        for name in _names(work.put for work in works):
            self._ask([work for work in works if name in work.put], f"+{name}", self._putting(name))
        for name in _names(work.tag for work in works):
            self._ask([work for work in works if name in work.tag], f"t+{name}", self._marking(name, on=True))
        self._restore([work for work in works if work.done and work.adds and work.trouble is None])
        for name in _names(work.remove for work in works):
            self._ask([work for work in works if name in work.remove], f"-{name}", self._removing(name))
        for name in _names(work.untag for work in works):
            self._ask([work for work in works if name in work.untag], f"t-{name}", self._marking(name, on=False))

    def _restore(self, works: Sequence[Work]) -> None:
        """Look after a call that may have overwritten an unsubscription: who left in between is taken out again."""
        if self._left_since is None or not works or self._halted is not None:
            return
        try:
            left = self._left_since(works)
        except (Halt, *MISSHAPEN) as error:
            self._halted = error.trouble if isinstance(error, Halt) else unreadable(error)._replace(fate=Fate.AWAY)
            for work in works:  # NOTE: nobody is done of whom it is not known that they stayed
                work.trouble = self._halted
            return
        back = [work for work in works if work.change.change_id in left]
        for name in _names(work.put for work in back):
            some = [work for work in back if name in work.put]
            self._ask(some, f"-{name}", self._removing(name))
        for work in back:
            if work.trouble is None:
                work.done = [mark for mark in work.done if mark[1:] not in work.put]
                work.trouble = left[work.change.change_id]

    def _invite(self, works: Sequence[Work]) -> None:
        """Ask for confirmation, once a person; who is asked for one list is asked for no other."""
        for name in _names(work.invite[:1] for work in works):
            some = [work for work in works if work.invite[:1] == [name]]
            self._ask(some, f"?{name}", lambda ones, name=name: self._platform.invite(name, ones))  # type: ignore[misc]

    def _enrol(self, strangers: Sequence[Work]) -> None:
        def ask(some: Sequence[Work]) -> Sequence[str | Trouble]:
            return self._platform.enrol([work.change for work in some])

        for work, found in self._asked(strangers, ask):
            if isinstance(found, Trouble):
                work.trouble = found
            else:
                # NOTE: whom Segma made anew has another id than before, and was not erased since.
                work.person, work.number = found, found if self._platform.numbers else ""

    def _ask(self, works: Sequence[Work], mark: str, call: Callable[[Sequence[One]], Sequence[PersonFault]]) -> None:
        """Make a call for those who have met no trouble so far, and note each one's result."""

        def ask(some: Sequence[Work]) -> Sequence[PersonFault]:
            return call([One(work.change, work.person, work.seen) for work in some])

        for work, fault in self._asked([work for work in works if work.trouble is None], ask):
            if fault is None:
                work.done.extend([mark] if mark else [f"={name}" for name in work.write])
            else:
                work.trouble = fault

    def _asked(
        self, works: Sequence[Work], ask: Callable[[Sequence[Work]], Sequence[T]]
    ) -> Iterator[tuple[Work, T | Trouble]]:
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
            except MISSHAPEN as error:
                yield from ((work, unreadable(error)) for work in chunk)
            except ListRefused as refused:
                fault = Trouble(Reason.LIST_REFUSED, Fate.LASTING, refused.answer)
                yield from ((work, fault) for work in chunk)
            except BatchRefused as refused:
                if len(chunk) == 1:
                    yield chunk[0], Trouble(Reason.REFUSED_BY_PLATFORM, Fate.LASTING, refused.answer)
                else:
                    half = len(chunk) // 2
                    chunks[:0] = [chunk[:half], chunk[half:]]

    def _putting(self, name: str) -> Callable[[Sequence[One]], Sequence[PersonFault]]:
        def put(ones: Sequence[One]) -> Sequence[PersonFault]:
            try:
                return self._platform.put(name, ones)
            except ListGone:
                self._platform.forget(name)
                return self._platform.put(name, ones)

        return put

    def _removing(self, name: str) -> Callable[[Sequence[One]], Sequence[PersonFault]]:
        def remove(ones: Sequence[One]) -> Sequence[PersonFault]:
            try:
                return self._platform.remove(name, ones)
            except ListGone:
                self._platform.forget(name)
                return [None] * len(ones)

        return remove

    def _marking(self, tag: str, *, on: bool) -> Callable[[Sequence[One]], Sequence[PersonFault]]:
        return lambda ones: self._platform.mark(tag, ones, on=on)


def _asked_about(change: Change) -> set[str]:
    """The lists of which a look must say whether the person is there: what it is silent of they would have left."""
    said_joined = {name for _, name in change.unless_in if name}
    return {*change.add, *change.remove, *change.only_if_in, *change.consent_in, *change.expected_in, *said_joined}


def _names(groups: Iterable[Sequence[str]]) -> list[str]:
    """Every name once, in order of first mention."""
    return list(dict.fromkeys(name for group in groups for name in group))
