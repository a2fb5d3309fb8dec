"""A version that takes its past over goes on as a shadow would that had heard all of it (SEMANTICS 9, the past).

Random histories: what came before an instant is handed to the flow as a state, at any time after it, once or twice,
with restarts in between. From its promotion on the version then says what the steps that run live say of the whole
recorded log, by which lateness is as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from analytics.recorded import Arrival
from contracts.codec import to_json
from contracts.commands import Command
from contracts.log import Outgoing, Record
from contracts.rows import MatchRow, Row
from contracts.topics import EVENTS, ROWS
from flows.backtest.past import past_of
from flows.backtest.replay import replay
from flows.backtest.subject import Subject
from flows.operators.logic import FollowBatch, FollowLogic, Shared
from flows.state.changelog import Changelog
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.generations import Deployed
from flows.subscriber.pinned_terms import Terms
from tests.flows.test_changelog import unsynced
from tests.properties.generate import GAP_MS, parsed
from tests.properties.past import (
    NOON,
    THEN,
    WORKSPACE,
    _arrivals,
    _believed,
    _listener,
    _read,
    arrivals_of,
    recorded,
)

PEOPLE = ("s_one", "s_two")
Written = list[tuple[Record, Row | Command]]


class Case(NamedTuple):
    """A version that asks for its past up to ``until_ms``, is told at ``told_ms``, and is promoted at ``live_ms``."""

    version: Deployed
    others: list[Deployed]
    terms: Terms
    arrivals: list[Record]
    told_ms: int
    end_ms: int

    @property
    def until_ms(self) -> int:
        return self.version.past_until_ms or 0

    @property
    def live_ms(self) -> int:
        return self.version.live_from_ms or 0


def _row(random: Random) -> dict[str, Any]:
    """A plain listener, which matches often."""
    steps: list[dict[str, Any]] = [
        {"action": random.choice(("page_viewed", "product_added"))} for _ in range(random.choice((1, 2, 3)))
    ]
    if len(steps) > 1 and random.random() < 0.5:
        steps[-1:] = [{"not": "product_bought", "for": "1s"}]
    repeat = random.choice(("every", "every", "once", {"cooldown": "5s"}))
    within = random.choice(({}, {"within": "9s"}))
    return {"listener": "l0", "sequence": steps, "repeat": repeat, **within, "then": [{"add": {"to": "x", "at": "a"}}]}


def case(random: Random, *, plain: float = 0.6) -> Case:
    """A random one. ``plain``: how often the listener is one that matches often."""
    any_listener = random.random() < 1 - plain
    listener = replace(
        _listener(random, asks=False) if any_listener else parsed(_row(random)), name="l0", version=2, then=THEN.then
    )
    until_ms = NOON + random.choice((2_000, 4_000, 8_000))
    told_ms = until_ms + random.choice((0, 2_000, 4_000))
    live_ms = told_ms + random.choice((1, 1, 2_000))
    past_ms = random.choice((0, NOON, NOON + 2_000))
    shadow_ms = random.choice((NOON, until_ms - 2_000, until_ms))
    version = Deployed(listener, shadow_ms, live_ms, None, False, past_ms, until_ms)
    others = [Deployed(replace(_listener(random, asks=False), name="l1"), 0, 0)] if random.random() < 0.5 else []
    times = random.choice((3_000, 8_000, 60_000)), GAP_MS, random.choice((20_000, 60_000)), random.choice((0, 500))
    found = [each for who in PEOPLE for each in _arrivals(random, who)]
    believed = _believed(random, sorted(found, key=lambda each: each[1]))
    records = [
        Record(EVENTS, 0, number, at_ms, f"{WORKSPACE}/{event.subscriber}".encode(), to_json(event))
        for number, (event, at_ms) in enumerate(believed)
    ]
    end_ms = believed[-1][1] + random.choice((4_000, 30_000))
    # Whatever the log took from the promotion on stands behind the states: the promotion is written after them.
    live_ms = max([live_ms, *(event.log_time_ms + 1 for event, at_ms in believed if at_ms < told_ms)])
    version = version._replace(live_from_ms=live_ms)
    return Case(version, others, Terms(*times), records, told_ms, max(end_ms, live_ms))


def flow(
    made: Case, states: Path, random: Random, *, restarts: float, batches: list[FollowBatch] | None = None
) -> Written:
    """What the flow writes, in order. The states are told when log time has come to ``told_ms``.

    ``batches``: where all that it heard goes.
    """
    logic: FollowLogic | None = None
    changelog: Changelog | None = None
    snapshot: bytes | None = None
    out, pending, told = list[tuple[int, Outgoing]](), list(made.arrivals), False
    heard_all = [] if batches is None else batches
    while pending or not told:
        if logic is None or random.random() < restarts:
            if changelog is not None:
                changelog.close()
            changelog = Changelog(states, sync=unsynced)
            logic = logic_of(made, changelog, snapshot)
        if not told and (not pending or pending[0].log_time_ms >= made.told_ms):
            told = True
            state_records = list(states_of(made, _rows(out)))
            batch = tuple((each, made.told_ms) for each in state_records * random.choice((1, 2)))
            at_ms = made.told_ms
        else:
            record = pending.pop(0)
            batch, at_ms = ((record, record.log_time_ms),), record.log_time_ms
        heard_all.append(FollowBatch(batch, at_ms))
        out += ((at_ms, each) for each in logic.on_batch(heard_all[-1:])[0])
        snapshot = logic.snapshot()
    assert logic is not None
    heard_all.append(FollowBatch((), made.end_ms))
    out += ((made.end_ms, each) for each in logic.on_batch(heard_all[-1:])[0])
    return _rows(out)


def logic_of(made: Case, changelog: Changelog, snapshot: bytes | None) -> FollowLogic:
    """The flow as a process starts it."""
    engine = WorkspaceEngine(WORKSPACE, terms=made.terms)
    engine.deploy([made.version, *made.others])
    return FollowLogic(Shared({}, {WORKSPACE: engine}, 1), changelog, snapshot)


def _rows(out: Sequence[tuple[int, Outgoing]]) -> Written:
    return [
        (Record(each.topic, 0, number, at_ms, each.key, each.value), _read(each))
        for number, (at_ms, each) in enumerate(out)
        if each.topic == ROWS or each.topic.startswith("moves")
    ]


def alone(made: Case) -> Subject:
    shadow = Deployed(made.version.listener, made.version.past_from_ms or 0, None)
    return Subject(WORKSPACE, [shadow], made.terms)


def heard(subject: Subject, written: Written) -> Mapping[str, list[Arrival]]:
    return arrivals_of(recorded(written), subject.actions, subject.heard)


def states_of(made: Case, written: Written) -> Iterator[Record]:
    subject = alone(made)
    for who, own in heard(subject, written).items():
        found = past_of(WORKSPACE, subject, own, made.until_ms)
        if found is not None:
            yield Record(EVENTS, 0, 0, made.told_ms, f"{WORKSPACE}/{who}".encode(), to_json(found.past))


def said(made: Case, rows: Sequence[Row | Command], who: str) -> list[MatchRow | Command]:
    """What is said of the version and a person from its promotion on: rows, then commands."""
    own = [each for each in rows if isinstance(each, MatchRow | Command) and each.log_time_ms >= made.live_ms]
    of_it = [each for each in own if (each.listener, each.subscriber) == ("l0", who)]
    return sorted(of_it, key=lambda each: isinstance(each, Command))


def expected(made: Case, written: Written, who: str) -> list[MatchRow | Command]:
    """The same, by the whole recorded log."""
    past_ms = made.version.past_from_ms or 0
    whole = made.version._replace(shadow_from_ms=past_ms, past_until_ms=past_ms)
    subject = Subject(WORKSPACE, [whole], made.terms)
    own = heard(subject, written).get(who)
    if not own:
        return []
    found = replay(subject, own, made.end_ms)
    return said(made, [*found.rows, *found.commands], who)


@pytest.mark.parametrize("block", [0, *(pytest.param(block, marks=pytest.mark.slow) for block in range(1, 40))])
def test_it_goes_on_as_a_shadow_that_heard_all_of_it(block: int, tmp_path: Path) -> None:
    matches = 0
    for number in range(block * 25, (block + 1) * 25):
        random = Random(number)
        made = case(random)
        written = flow(made, tmp_path / str(number), random, restarts=random.choice((0, 0.3)))
        for who in PEOPLE:
            own = said(made, [row for _, row in written], who)
            assert own == expected(made, written, who), (number, who)
            matches += len(own)
    assert matches > 3


def heard_by(logic: FollowLogic, batches: Sequence[FollowBatch]) -> tuple[list[Outgoing], bytes]:
    """What is said of them, and the snapshot behind the last; there is one behind each."""
    said, snapshot = list[Outgoing](), logic.snapshot()
    for batch in batches:
        said += logic.on_batch([batch])[0]
        snapshot = logic.snapshot()
    return said, snapshot


def killed(made: Case, states: Path, batches: Sequence[FollowBatch], saved: int, crash: int) -> list[Outgoing]:
    """What the flow says that is killed behind ``crash`` batches, its last epoch committed being that of ``saved``."""
    first = Changelog(states, sync=unsynced)
    logic = logic_of(made, first, None)
    said, snapshot = heard_by(logic, batches[:saved])
    heard_by(logic, batches[saved:crash])
    first.close()
    again = Changelog(states, sync=unsynced)
    said += heard_by(logic_of(made, again, snapshot), batches[saved:])[0]
    again.close()
    return said


SLOW = [pytest.param(number, marks=pytest.mark.slow) for number in (37, 41, 46, 50, *range(12))]


@pytest.mark.parametrize("number", [24, 34, *SLOW])  # in most of those above 20 what is taken over is what matches
def test_killed_at_any_record_it_says_the_same_again(number: int, tmp_path: Path) -> None:
    made, batches = case(Random(number), plain=1), list[FollowBatch]()
    flow(made, tmp_path / "told", Random(number), restarts=0, batches=batches)
    whole = killed(made, tmp_path / "whole", batches, 0, 0)
    for crash in range(1, len(batches) + 1):
        for saved in {0, crash // 2, crash - 1}:
            assert killed(made, tmp_path / f"{crash}-{saved}", batches, saved, crash) == whole, (crash, saved)
