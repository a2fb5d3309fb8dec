"""What a back-test answers, summed up person by person. Pure; its size does not hang on the number of people."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple

from contracts.codec import Value
from flows.backtest.person import FoundMatch, Moment, PersonFound
from flows.backtest.replay import Waiting

NEAREST: Final = 20
EXAMPLES: Final = 3


class NearMiss(NamedTuple):
    """A person whose run waits for its last elements."""

    subscriber: str
    waiting: Waiting

    @property
    def rank(self) -> tuple[int, int, str]:
        """Nearest first: fewest elements left, then the newest."""
        return (self.waiting.elements - self.waiting.element, -self.waiting.opened_ms, self.subscriber)


class Told(Value, frozen=True):
    """What a range found of one person. ``other``: of the version it is compared with; ``story``: their timeline."""

    found: PersonFound
    other: PersonFound | None = None
    story: tuple[Moment, ...] = ()


@dataclass
class Answer:
    """The sums. ``since_ms``: matches completed before it are no news, but their lists and runs are."""

    since_ms: int = 0
    matches: int = 0
    people: int = 0
    taken_back: int = 0
    failed: int = 0
    days: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    lists: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)
    waiting: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    """(version, element, elements) → runs."""
    nearest: list[NearMiss] = field(default_factory=list)

    def add(self, found: PersonFound) -> None:
        """Take in one person."""
        news = self.news(found)
        self.matches += len(news)
        self.people += bool(news)
        self.taken_back += found.taken_back
        self.failed += found.failed
        self.days.update(_day(match.matched_at_ms) for match in news)
        self.reasons.update(match.reason for match in news if match.reason)
        self.lists.update((stay.account, stay.name, stay.tag) for stay in found.stays)
        self.commands.update(found.commands)
        self.waiting.update((each.version[1], each.element, each.elements) for each in found.waiting)
        near = [NearMiss(found.subscriber, each) for each in found.waiting]
        if near and not news:
            self.nearest = heapq.nsmallest(NEAREST, [*self.nearest, min(near, key=_rank)], key=_rank)

    def news(self, found: PersonFound) -> list[FoundMatch]:
        """The matches of a person in the time that is asked about."""
        return [match for match in found.matches if match.matched_at_ms >= self.since_ms]


@dataclass
class Comparison:
    """People with a match by the one version only, by the other only, and by both; the first few with timelines."""

    answer: Answer
    other: Answer
    people: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Told]] = field(default_factory=dict)

    def add(self, told: Told) -> None:
        """Take in one person."""
        kind = kind_of(bool(self.answer.news(told.found)), bool(told.other and self.other.news(told.other)))
        if kind:
            self.people[kind] += 1
            shown = self.examples.setdefault(kind, [])
            if len(shown) < EXAMPLES:
                shown.append(told)


def kind_of(mine: bool, others: bool) -> str:
    """``only``, ``only_other``, ``both``, or nothing."""
    return "both" if mine and others else "only" if mine else "only_other" if others else ""


def _rank(near: NearMiss) -> tuple[int, int, str]:
    return near.rank


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d")
