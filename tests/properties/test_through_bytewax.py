"""Through Bytewax itself: a crash (``ABORT``) and an end (``EOF``) at every index; sessions as its windows have them.

The items are what ``follow``'s source makes: records of two key groups, with log time.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import EventClock, SessionWindower, fold_window
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSink, TestingSource, run_main

from contracts.codec import json_reader, replaced, to_json
from contracts.events import Event
from contracts.log import Outgoing, Record
from contracts.rows import Row, SessionRow
from contracts.topics import EVENTS
from flows.operators.logic import FollowBatch, FollowLogic, InOne, Shared
from flows.state.changelog import Changelog
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.pinned_terms import Terms
from tests.flows.test_changelog import unsynced
from tests.properties.case import Case, cases
from tests.properties.generate import GAP_MS, stream

CASES = 50
ENOUGH_MS = 3_600_000
GROUPS = {"s_one": "0-0", "s_two": "0-1"}
Items = list[tuple[str, FollowBatch]]
_read_row = json_reader(Row)


def engine_of(case: Case) -> WorkspaceEngine:
    return WorkspaceEngine("w", [case.listener], terms=Terms(ENOUGH_MS, GAP_MS, ENOUGH_MS, 0))


def items_of(case: Case, random: Random) -> Items:
    """Both subscribers' events in an order of arrival of their own, and the log time that runs ahead of some."""
    found: Items = []
    log_ms = 0
    arrivals = [(event, who) for event in case.events for who in GROUPS]
    arrivals.sort(key=lambda each: each[0].occurred_at_ms + random.choice((0, 0, 2_000, 9_000)))
    for offset, (event, who) in enumerate(arrivals):
        log_ms = min(max(log_ms, event.occurred_at_ms + random.choice((0, 0, 3_000))), case.end_ms)
        own = replaced(event, workspace="w", subscriber=who)
        record = Record(EVENTS, 0, offset, log_ms, f"w/{who}".encode(), to_json(own))
        found.append((GROUPS[who], FollowBatch(((record, log_ms),), log_ms)))
    return [*found, *((group, FollowBatch((), case.end_ms + ENOUGH_MS)) for group in GROUPS.values())]


class Process:
    """A recovery store and a state store; each run is a process that goes on where the last one was saved."""

    def __init__(self, directory: Path, case: Case) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        init_db_dir(directory, 1)  # type: ignore[no-untyped-call]
        self._directory, self._case = directory, case

    def run(self, source: Sequence[Any]) -> dict[bytes, list[Outgoing]]:
        """What comes out, by subscriber."""
        shared = Shared({}, {"w": engine_of(self._case)}, 1)
        changelog = Changelog(self._directory / "states", segment_bytes=1_500, slack_bytes=0, sync=unsynced)
        flow, out = Dataflow("test"), list[tuple[str, list[Outgoing]]]()
        items = op.input("in", flow, TestingSource(source))
        emitted = op.stateful_batch("follow", items, lambda resumed: InOne(FollowLogic(shared, changelog, resumed)))
        op.output("out", emitted, TestingSink(out))
        run_main(flow, epoch_interval=timedelta(0), recovery_config=RecoveryConfig(str(self._directory)))  # type: ignore[no-untyped-call]
        changelog.close()
        found: dict[bytes, list[Outgoing]] = {}
        for _, records in out:
            for record in records:
                found.setdefault(record.key, []).append(record)
        return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(CASES))
def test_a_crash_and_an_end_at_every_index_say_the_same_again(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    case = next(each for each in cases(seed, 50) if 3 <= len(each.events) <= 4)
    items = items_of(case, random)
    whole = Process(tmp_path / "whole", case).run(items)
    for index in range(len(items) + 1):
        process = Process(tmp_path / "ended", case)
        ended = [*items[:index], TestingSource.EOF(), *items[index:]]
        first, then = process.run(ended), process.run(ended)
        for key in whole:
            assert first.get(key, []) + then.get(key, []) == whole[key], (index, case)
        process = Process(tmp_path / "killed", case)
        killed = [*items[:index], TestingSource.ABORT(), *items[index:]]
        first, then = process.run(killed), process.run(killed)
        for key in whole:
            before, after = first.get(key, []), then.get(key, [])
            assert before == whole[key][: len(before)], (index, case)
            assert after == whole[key][len(whole[key]) - len(after) :], (index, case)
            assert len(before) + len(after) >= len(whole[key]), (index, case)


def windows(events: Sequence[Event]) -> list[tuple[int, int, int]]:
    """Start, end and count of the sessions, as Bytewax's own windowing operators see them."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    clock: EventClock[Event] = EventClock(
        lambda event: start + timedelta(milliseconds=event.occurred_at_ms), timedelta(days=1)
    )
    flow, out = Dataflow("windows"), list[tuple[str, tuple[int, list[int]]]]()
    keyed = op.map("key", op.input("in", flow, TestingSource(events, batch_size=100)), lambda event: ("s", event))
    folded = fold_window(
        "sessions",
        keyed,
        clock,
        SessionWindower(timedelta(milliseconds=GAP_MS)),
        list,
        lambda times, event: [*times, event.occurred_at_ms],
        lambda one, other: [*one, *other],
    )
    op.output("out", folded.down, TestingSink(out))
    run_main(flow)  # type: ignore[no-untyped-call]
    return sorted((min(times), max(times), len(times)) for _, (_, times) in out)


@pytest.mark.slow
def test_sessions_are_those_of_bytewaxs_own_windows_in_any_order_of_arrival() -> None:
    random = Random(6)
    for _ in range(300):
        events = [replaced(event, workspace="w", subscriber="s_one") for event in stream(random)]
        flow = WorkspaceEngine("w", terms=Terms(ENOUGH_MS, GAP_MS, ENOUGH_MS, 0))
        person, rows = flow.new("s_one"), dict[str, SessionRow]()
        for event in (*random.sample(events, k=len(events)), None):
            if event is None:
                emitted = flow.pass_time(person, events[-1].occurred_at_ms + GAP_MS + 1)
            else:
                emitted = flow.apply(person, event, 0)
            for row in emitted.rows:
                if isinstance(row, SessionRow):
                    rows[row.session] = row
                    for joined in row.joined:
                        del rows[joined]
        found = sorted((row.started_at_ms, row.ended_at_ms, row.events) for row in rows.values())
        assert found == windows(events), events
