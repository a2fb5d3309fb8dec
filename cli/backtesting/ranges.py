"""The ranges of a back-test, one after the other or by several processes."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from analytics.clickhouse import ClickHouse
from analytics.recorded import Arrival, arrivals, capped
from cli.backtesting.plan import Plan, Work
from contracts.codec import json_reader, to_json
from contracts.errors import SegmaError
from flows.backtest.answer import EXAMPLES, Told, kind_of
from flows.backtest.members import MemberFound, member_of
from flows.backtest.past import PastFound, past_of
from flows.backtest.person import found_of, timeline
from flows.backtest.replay import Capped, replay
from flows.backtest.subject import Subject

_read_told = json_reader(Told)
_read_member = json_reader(MemberFound)
_read_past = json_reader(PastFound)


class Door(NamedTuple):
    """The way to the history, as it is handed to a process."""

    url: str
    user: str
    password: str
    database: str


class ProcessLost(SegmaError):
    """A process of the back-test was ended from outside."""


def people_of(
    plan: Plan, subjects: list[Subject], persons: Iterator[list[Arrival]], capped: Mapping[str, Sequence[Capped]]
) -> Iterator[Told]:
    """Yield each person of a range of whom there is something to say. In each group of people the first few come with
    their timelines. ``capped``: by person, see :func:`flows.backtest.replay.replay`.
    """
    shown: Counter[str] = Counter()
    for own in persons:
        subscriber = own[0].event.subscriber
        marks = capped.get(subscriber, ())
        found = [found_of(subscriber, replay(subject, own, plan.until_ms, capped=marks)) for subject in subjects]
        told = Told(found[0], found[1] if len(found) > 1 else None)
        if told.other is not None:
            news = [any(match.matched_at_ms >= plan.since_ms for match in each.matches) for each in found]
            kind = kind_of(*news)
            shown[kind] += 1
            if kind and shown[kind] <= EXAMPLES:
                told = Told(told.found, told.other, timeline(own, found[0] if news[0] else found[1]))
        if not all(each.is_silent for each in found):
            yield told


def members_of(before_ms: int, subjects: list[Subject], persons: Iterator[list[Arrival]]) -> Iterator[MemberFound]:
    """Yield what is to be made good of each person of a range, as of an instant of log time.

    ``subjects``: the version as if it had always been live, then those before it, as they were, if there are any.
    """
    for everything in persons:
        own = [each for each in everything if each.event.log_time_ms < before_ms]
        if own:
            replayed = [replay(subject, own, before_ms) for subject in subjects]
            earlier = replayed[1] if len(replayed) > 1 else None
            found = member_of(subjects[0].listeners[0], replayed[0], own, earlier)
            if not found.is_silent:
                yield found


def pasts_of(workspace: str, before_ms: int, subject: Subject, persons: Iterator[list[Arrival]]) -> Iterator[PastFound]:
    """Yield the state of each person of a range, as of an instant of log time."""
    for own in persons:
        found = past_of(workspace, subject, own, before_ms)
        if found is not None:
            yield found


def do_range(work: Work, plan: Plan, subjects: list[Subject], clickhouse: ClickHouse, number: int) -> None:
    """Do one range and keep what it found."""
    persons = arrivals(clickhouse, plan.asked(subjects), plan.ranges[number])
    request = plan.request
    found: Iterator[Told | MemberFound | PastFound]
    if plan.before_ms is not None and plan.states:
        found = pasts_of(request.workspace, plan.before_ms, subjects[0], persons)
    elif plan.before_ms is not None:
        found = members_of(plan.before_ms, subjects, persons)
    else:
        name = subjects[0].listeners[0].name
        marks = {} if request.alone else capped(clickhouse, request.workspace, name, plan.ranges[number])
        found = people_of(plan, subjects, persons, marks)
    work.write(work.range_file(number).name, b"".join(to_json(each) + b"\n" for each in found))


def do_ranges(work: Work, plan: Plan, door: Door, processes: int, done: Callable[[], None]) -> None:
    """Do the ranges that are missing. Raises as the client does, and :class:`ProcessLost`; what is done stays done."""
    missing = work.missing(plan)
    if processes == 1 or len(missing) < 2:
        _begin(work.folder, door)
        for number in missing:
            _one(number)
            done()
        return
    given = (work.folder, door)
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=_begin_process, initargs=given) as pool:
        try:
            for each in as_completed([pool.submit(_one, number) for number in missing]):
                each.result()
                done()
        except BrokenProcessPool:
            raise ProcessLost("a process of the back-test was ended; the same command goes on where it stood") from None
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def told_in(work: Work, number: int) -> Iterator[Told]:
    """Yield what a range has found."""
    with work.range_file(number).open("rb") as file:
        for line in file:
            yield _read_told(line)


def members_in(work: Work, number: int) -> Iterator[MemberFound]:
    """Yield what a range of a back-fill has found."""
    with work.range_file(number).open("rb") as file:
        for line in file:
            yield _read_member(line)


def pasts_in(work: Work, number: int) -> Iterator[PastFound]:
    """Yield the states that a range of a back-fill has found."""
    with work.range_file(number).open("rb") as file:
        for line in file:
            yield _read_past(line)


class _Here:
    """What a process works with."""

    work: Work
    plan: Plan
    subjects: list[Subject]
    clickhouse: ClickHouse


def _begin_process(folder: Path, door: Door) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    os.umask(0o077)
    _begin(folder, door)


def _begin(folder: Path, door: Door) -> None:
    _Here.work = Work(folder)
    plan = _Here.work.plan()
    assert plan is not None  # noqa: S101
    _Here.plan, _Here.subjects, _Here.clickhouse = plan, plan.request.subjects(), ClickHouse(*door)


def _one(number: int) -> None:
    do_range(_Here.work, _Here.plan, _Here.subjects, _Here.clickhouse, number)
