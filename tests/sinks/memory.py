"""A sink in memory, for the loop's tests: it can be told to have trouble, and it counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from contracts.reasons import Reason
from sinks.base import Answer, Change, Done, Fate, Member, NoSuchList, Right, Tell, Traits, Trouble, nobody


class Crash(BaseException):
    """The process dies here."""


class MemorySink:
    """Lists as sets. ``trouble``: answers to give first. ``crash_at``: die before (even) or after (odd) a call."""

    traits = Traits(batch=1)

    def __init__(self, lists: dict[str, set[str]] | None = None) -> None:
        self.lists = lists if lists is not None else {}
        self.trouble: list[Trouble] = []
        self.calls: list[Change] = []
        self.crash_at = -1

    def apply(self, changes: Sequence[Change], tell: Tell = nobody) -> list[Answer]:
        tell({each.change_id: marks for each in changes if (marks := self._marks(each))})
        return [self._apply(change) for change in changes]

    def _apply(self, change: Change) -> Answer:
        if self.crash_at == 2 * len(self.calls):
            raise Crash
        self.calls.append(change)
        if self.trouble:
            return self.trouble.pop(0)
        if change.adding and any(
            change.address not in self.lists.get(each, {change.address}) for each in change.only_if_in
        ):
            return Trouble(Reason.UNSUBSCRIBED, Fate.LASTING)
        changed = []
        for name in change.add:
            if change.address not in self.lists.setdefault(name, set()):
                self.lists[name].add(change.address)
                changed.append(f"+{name}")
        for name in change.remove:
            if change.address in self.lists.get(name, set()):
                self.lists[name].remove(change.address)
                changed.append(f"-{name}")
        if self.crash_at == 2 * len(self.calls) - 1:
            raise Crash
        return Done(tuple(changed))

    def _marks(self, change: Change) -> tuple[str, ...]:
        put = [f"+{name}" for name in change.add if change.address not in self.lists.get(name, set())]
        return (*put, *(f"-{name}" for name in change.remove if change.address in self.lists.get(name, set())))

    def members(self, list_name: str) -> Iterator[Member]:
        if list_name not in self.lists:
            raise NoSuchList(list_name, sorted(self.lists))
        yield from (Member(address) for address in sorted(self.lists[list_name]))

    def rights(self) -> Iterator[Right]:
        yield Right("everything", True)

    def close(self) -> None:
        pass
