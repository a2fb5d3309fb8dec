"""The answer of a back-test, as lines for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from cli.backtesting.drain import Drain
from cli.backtesting.result import Result
from contracts.plurals import counted
from flows.backtest.answer import Comparison

WIDTH: Final = 40
MOST_DAYS: Final = 31
KINDS: Final = {"only": "this one only", "only_other": "the other only", "both": "both"}


def lines(result: Result) -> Iterator[str]:
    """The answer, a sentence or a row a line."""
    answer, plan = result.answer, result.plan
    versions = ", ".join(str(number) for number in sorted({each.version for each in result.listeners}))
    span = f"{moment(plan.since_ms)} to {moment(plan.until_ms)}" if plan.since_ms else f"up to {moment(plan.until_ms)}"
    yield f"{result.name} version {versions}, {span}"
    matches, people = counted(answer.matches, "match", "matches"), counted(answer.people, "person", "people")
    yield f"  {matches} of {people}; {answer.taken_back:,} came and were taken back"
    for reason, count in sorted(answer.reasons.items()):
        yield f"  {count:,} of them make no command: {reason}"
    yield from _days(answer.days)
    for (account, name, tag), there in answer.lists.most_common(MOST_DAYS):
        at_the_end = counted(there, "person", "people")
        yield f"  {'tagged' if tag else 'in'} {name} at {account} at the end: {at_the_end}"
    for (mine, other), there in result.overlap.most_common(MOST_DAYS):
        yield f"  of those in {mine}, {there:,} are in {other} now"
    for (version, element, elements), runs in sorted(answer.waiting.items()):
        flying = counted(runs, "run in flight waits", "runs in flight wait")
        yield f"  {flying} for {result.waits_for(version, element)} ({element} of {elements})"
    for near in answer.nearest:
        waiting = near.waiting
        step = f"{result.waits_for(waiting.version[1], waiting.element)} ({waiting.element} of {waiting.elements})"
        yield f"  near: {near.subscriber} waits for {step} since {moment(waiting.opened_ms)}"
    if result.comparison is not None:
        yield from _compared(result.comparison)
    for account, drained in sorted(result.drains.items()):
        yield f"  {account}: {drained_in_words(drained)}"
    for note in result.notes:
        yield f"  note: {note}"


def _days(days: Mapping[str, int]) -> Iterator[str]:
    shown = sorted(days)[-MOST_DAYS:]
    top = max((days[day] for day in shown), default=0)
    for day in shown:
        yield f"  {day} {'█' * max(1, round(WIDTH * days[day] / top))} {days[day]:,}"


def _compared(comparison: Comparison) -> Iterator[str]:
    other = comparison.other
    matches, people = counted(other.matches, "match", "matches"), counted(other.people, "person", "people")
    yield f"  against: {matches} of {people}"
    for kind, words in KINDS.items():
        yield f"  {words}: {counted(comparison.people[kind], 'person', 'people')}"
        for told in comparison.examples.get(kind, ()):
            yield f"    {told.found.subscriber}"
            for each in told.story:
                yield f"      {moment(each.at_ms)}  {each.what}{f' [{each.detail}]' if each.detail else ''}"


def drained_in_words(drained: Drain) -> str:
    """How long an account would take, as a sentence."""
    moves = counted(drained.moves, "move")
    if drained.an_hour is None:
        return f"{moves}; no quota of it is known"
    slow = 0 < drained.an_hour < 1
    calls = (
        f"one call in {1 / drained.an_hour:.1f} hours" if slow else f"{counted(int(drained.an_hour), 'call')} an hour"
    )
    beside = f"beside {drained.live_an_hour:.1f} live ones an hour"
    if drained.hours is None:
        return f"{moves} would never be done: {calls}, {beside}, leave none for them"
    return f"{moves} would take {_span(drained.hours)} at {calls}, {beside}"


def _span(hours: float) -> str:
    if hours < 1:
        return counted(round(60 * hours), "minute")
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.1f} days"


def moment(at_ms: int) -> str:
    """An instant for a person: UTC, to the second."""
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
