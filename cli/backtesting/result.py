"""The whole answer of a back-test: the ranges' people summed up, and beside whom they are in which list now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from cli.backtesting.drain import Drain
from cli.backtesting.plan import Plan, Work
from cli.backtesting.ranges import told_in
from cli.output import json_line
from contracts.codec import to_builtins
from flows.backtest.answer import Answer, Comparison, NearMiss
from flows.counts.run_counts import name_of
from flows.language.model import Listener

Membership = tuple[str, str, str]
"""Subscriber, account, list."""


@dataclass
class Result:
    """``notes``: sentences about what the history does not hold, and what was not foreseen."""

    name: str
    plan: Plan
    answer: Answer
    listeners: tuple[Listener, ...]
    comparison: Comparison | None = None
    overlap: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(list wanted, list they are in now) → people."""
    drains: dict[str, Drain] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def waits_for(self, version: int, element: int) -> str:
        """The element of a version's sequence, in a word."""
        return next((name_of(each, element) for each in self.listeners if each.version == version), str(element))

    def as_json(self) -> dict[str, Any]:
        """All of it, under the names of the manual."""
        answer = self.answer
        found = {
            "listener": self.name,
            "versions": sorted({each.version for each in self.listeners}),
            "since_ms": self.plan.since_ms,
            "until_ms": self.plan.until_ms,
            **_sums(answer),
            "lists": [
                {"account": account, ("tag" if tag else "list"): name, "people": people}
                for (account, name, tag), people in sorted(answer.lists.items())
            ],
            "overlap": [
                {"list": mine, "in": other, "people": people} for (mine, other), people in sorted(self.overlap.items())
            ],
            "in_flight": [
                {"version": version, "element": element, "of": elements, "runs": runs}
                | {"waits_for": self.waits_for(version, element)}
                for (version, element, elements), runs in sorted(answer.waiting.items())
            ],
            "nearest": [self._near(each) for each in answer.nearest],
            "drain": {account: each._asdict() for account, each in sorted(self.drains.items())},
            "notes": self.notes,
        }
        return found | ({"against": self._against(self.comparison)} if self.comparison else {})

    def _near(self, near: NearMiss) -> dict[str, Any]:
        waiting = near.waiting
        place = {"element": waiting.element, "of": waiting.elements, "since_ms": waiting.opened_ms}
        return {
            "subscriber": near.subscriber,
            **place,
            "waits_for": self.waits_for(waiting.version[1], waiting.element),
        }

    def _against(self, comparison: Comparison) -> dict[str, Any]:
        return {
            "versions": sorted({each.version for each in self.plan.request.against}),
            **_sums(comparison.other),
            "compared": {kind: comparison.people[kind] for kind in ("only", "only_other", "both")},
            "examples": to_builtins(comparison.examples),
        }


def _sums(answer: Answer) -> dict[str, Any]:
    return {
        "matches": answer.matches,
        "people": answer.people,
        "days": dict(sorted(answer.days.items())),
        "reasons": dict(sorted(answer.reasons.items())),
        "taken_back": answer.taken_back,
        "failed": answer.failed,
    }


def sum_up(  # noqa: PLR0917
    result: Result,
    work: Work,
    members: Iterable[Membership],
    erased: frozenset[str],
    people: BinaryIO | None,
    done: Callable[[], None],
) -> None:
    """Sum up every range. ``members``: who is in which list now, by subscriber. ``erased``: who was forgotten by now,
    of them nothing is told. ``people``: where a line for each person goes.
    """
    lists = _Beside(members)
    for number in range(len(result.plan.ranges)):
        for told in told_in(work, number):
            found = told.found
            if found.subscriber in erased:
                continue
            result.answer.add(found)
            if result.comparison is not None:
                if told.other is not None:
                    result.comparison.other.add(told.other)
                result.comparison.add(told)
            beside = lists.of(found.subscriber) if found.stays else ()
            for stay in found.stays:
                own = f"{stay.account}/{stay.name}"
                result.overlap.update((own, other) for other in beside if other != own)
            if people is not None and found.matches:
                people.write(json_line(to_builtins(found)))
        done()


class _Beside:
    """Memberships and people, both in order of subscribers, side by side."""

    def __init__(self, members: Iterable[Membership]) -> None:
        self._members: Iterator[Membership] = iter(members)
        self._next = next(self._members, None)

    def of(self, subscriber: str) -> list[str]:
        """The lists of a subscriber; one comes after the other."""
        found = []
        while self._next is not None and self._next[0] <= subscriber:
            if self._next[0] == subscriber:
                found.append(f"{self._next[1]}/{self._next[2]}")
            self._next = next(self._members, None)
        return found
