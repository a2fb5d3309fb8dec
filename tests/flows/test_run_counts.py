"""Runs at each step as rows: a count by hand, and at every minute that of a brute-force recount, whatever happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest

from contracts.actions import VOCABULARY
from contracts.codec import json_reader, to_json
from contracts.events import Event
from contracts.log import Outgoing, Record
from contracts.rows import Row, RunsRow
from contracts.topics import EVENTS, ROWS
from flows.counts.run_counts import A_BATCH, AT_A_MINUTE
from flows.language.model import Listener
from flows.language.parse import parse_listeners
from flows.operators.logic import FollowBatch, FollowLogic, Shared
from flows.recognise import Rules
from flows.state.changelog import Changelog
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.generations import Deployed
from flows.subscriber.pinned_terms import Terms
from tests.flows.test_logic_crashes import Disk

T0_MS = 1_800_056_700_000
"""A whole minute, a quarter of an hour before midnight (UTC)."""
GRACE_MS = 200
LISTENERS = b"""
listener: basket
within: 10m
sequence: [{action: page_viewed}, {step: basket, action: product_added}, {action: searched}]
then: [{add: {to: x, at: mailbox}}]
---
listener: left
sequence: [{action: product_added}, {not: product_bought, for: 150s}]
then: [{add: {to: y, at: mailbox}}]
---
listener: forked
sequence:
  - {step: a, action: page_viewed, times: {at_least: 1}}
  - {action: searched, within: 3m}
  - {action: logged_in}
then: [{add: {to: z, at: mailbox}}]
---
listener: plain
within: 4m
sequence: [{action: page_viewed}, {action: logged_in}]
then: [{add: {to: z, at: mailbox}}]
---
listener: plainer
within: 40m
sequence: [{action: page_viewed}, {action: logged_in}]
then: [{add: {to: z, at: mailbox}}]
---
listener: endless
sequence: [{action: page_viewed}, {action: searched}, {action: logged_in}]
then: [{add: {to: z, at: mailbox}}]
---
listener: uneven
within: 95s
sequence: [{action: product_bought}, {action: page_viewed}, {action: logged_in}]
then: [{add: {to: z, at: mailbox}}]
---
listener: unevener
within: 1500ms
sequence: [{action: product_bought}, {action: logged_in}]
then: [{add: {to: z, at: mailbox}}]
---
listener: evener
sequence: [{action: product_bought}, {action: page_viewed}, {action: searched}]
then: [{add: {to: z, at: mailbox}}]
"""
ACTIONS = ("page_viewed", "product_added", "searched", "logged_in", "product_bought")
Batch = FollowBatch
Element = tuple[str, int, int]


def listeners() -> list[Listener]:
    return parse_listeners([("l.yaml", LISTENERS)], known_actions=VOCABULARY)


def shared(deployed: Sequence[Deployed] = ()) -> Shared:
    engine = WorkspaceEngine("w", listeners(), terms=Terms(60_000, 1_800_000, 300_000, GRACE_MS))
    if deployed:
        engine.deploy(deployed)
    return Shared({"w": Rules(VOCABULARY, 2_000)}, {"w": engine}, 1)


def record(number: int, who: str, action: str, after_ms: int, *, late_ms: int = 0) -> tuple[Record, int]:
    at_ms = T0_MS + after_ms
    event = Event("w", who, f"e{number}", action, at_ms - late_ms, log_time_ms=at_ms)
    return Record(EVENTS, 0, number, at_ms, f"w/{who}".encode(), to_json(event)), at_ms


def rows_of(out: Sequence[Outgoing]) -> list[RunsRow]:
    read: Callable[[bytes | str], Row] = json_reader(Row)
    found = [read(each.value or b"") for each in out if each.topic == ROWS]
    return [row for row in found if isinstance(row, RunsRow)]


def said(rows: Sequence[RunsRow]) -> list[tuple[int, dict[Element, tuple[int, int]]]]:
    """Seconds after the beginning, and what each row says: listener, version, element → runs, subscribers."""
    return [
        (
            (row.at_ms - T0_MS) // 1_000,
            {(each.listener, each.version, each.element): (each.runs, each.subscribers) for each in row.counts},
        )
        for row in rows
    ]


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def test_a_row_a_minute_says_what_has_changed_and_a_day_begins_with_everything(disk: Disk) -> None:
    logic = FollowLogic(shared(), disk(), None)
    story = [
        record(1, "s_anna", "page_viewed", 1_000),
        record(2, "s_ben", "page_viewed", 2_000),
        record(3, "s_ben", "page_viewed", 3_000),
        record(4, "s_anna", "product_added", 70_000),
    ]
    out: list[Outgoing] = []
    for each in story:
        out += logic.on_batch([Batch((each,), each[1], (3, 5))])[0]
    out += logic.on_batch([Batch((), T0_MS + 1_000_000, (3, 5))])[0]
    rows = rows_of(out)
    # Ben's two views are two runs: each has a window of its own; where there is none the first is enough.
    assert said(rows) == [
        (
            60,
            {
                ("basket", 1, 2): (3, 2),
                ("endless", 1, 2): (2, 2),
                ("forked", 1, 2): (3, 2),
                ("plain", 1, 2): (3, 2),
                ("plainer", 1, 2): (3, 2),
            },
        ),
        (120, {("basket", 1, 2): (2, 1), ("basket", 1, 3): (1, 1), ("left", 1, 2): (1, 1)}),
        # 70 s + 150 s + the grace: the deadline has fired. The window of the second step of `forked` is over at 183 s:
        # the loop before it may still take another view.
        (240, {("forked", 1, 1): (3, 2), ("forked", 1, 2): (0, 0), ("left", 1, 2): (0, 0)}),
        (300, {("plain", 1, 2): (0, 0)}),
        (660, {("basket", 1, 2): (0, 0), ("basket", 1, 3): (0, 0)}),
        (900, {("endless", 1, 2): (2, 2), ("forked", 1, 1): (3, 2), ("plainer", 1, 2): (3, 2)}),
    ]
    assert {(row.workspace, row.partition, row.group) for row in rows} == {("w", 3, 5)}
    named = {(each.element, each.elements, each.name) for row in rows for each in row.counts if each.listener == "left"}
    assert named == {(2, 2, "no product_bought until the deadline")}
    assert {each.name for row in rows for each in row.counts if each.listener == "basket"} == {"basket", "searched"}


def test_runs_of_versions_that_are_not_at_work_any_more_are_none(disk: Disk) -> None:
    common = shared([Deployed(each, until_ms=T0_MS + 90_000) for each in listeners()])
    logic = FollowLogic(common, disk(), None)
    out = logic.on_batch([Batch((record(1, "s_anna", "page_viewed", 1_000),), T0_MS + 1_000_000)])[0]
    found = said(rows_of(list(out)))
    assert [after_s for after_s, _ in found] == [60, 120]
    assert set(found[1][1].values()) == {(0, 0)}


def stream(random: Random, count: int) -> list[tuple[Record, int]]:
    """Events of a few people over half an hour, some late, some after a long silence."""
    found, after_ms = [], 1_000
    for number in range(count):
        after_ms += random.choice([0, 100, 5_000, 20_000, 61_000, 200_000])
        late_ms = random.choice([0, 0, 0, 3_000, 30_000, 400_000])
        who = random.choice(["s_anna", "s_ben", "s_cleo", "a_nobody"])
        found.append(record(number, who, random.choice(ACTIONS), after_ms, late_ms=late_ms))
    return found


def recount(store: Changelog, records: Sequence[tuple[Record, int]], at_ms: int) -> dict[Element, tuple[int, int]]:
    """Brute force: everything up to an instant by a flow of its own, and a look at each person's bytes."""
    common = shared()
    engine = common.engines["w"]
    logic = FollowLogic(common, store, None)
    logic.on_batch([Batch(tuple(each for each in records if each[1] <= at_ms), at_ms)])
    runs: Counter[Element] = Counter()
    subscribers: Counter[Element] = Counter()
    for who in {each[0].key.decode() for each in records}:
        found: dict[tuple[str, int, int], int] = {}
        for listener, element, opened_ms in engine.in_flight(logic._group._people.peek(who), at_ms):
            key = (listener.name, listener.version, opened_ms)
            found[key] = max(element, found.get(key, 0))
        elements = [(name, version, element) for (name, version, _), element in found.items()]
        runs.update(elements)
        subscribers.update(set(elements))
    return {element: (count, subscribers[element]) for element, count in runs.items()}


def batches(random: Random, records: Sequence[tuple[Record, int]], most: int) -> list[FollowBatch]:
    """The records as a worker may happen to read them."""
    found, index = [], 0
    while index < len(records):
        size = random.randint(1, most)
        some = tuple(records[index : index + size])
        index += size
        found.append(Batch(some, some[-1][1]))
        if random.random() < 0.3 and index < len(records):
            found.append(Batch((), random.randint(some[-1][1], records[index][1])))
    return [*found, Batch((), records[-1][1] + 3_600_000)]


def by_id(out: Sequence[Outgoing]) -> dict[int, RunsRow]:
    """The rows by their id; one that comes again must be the same."""
    found: dict[int, RunsRow] = {}
    for row in rows_of(out):
        assert found.setdefault(row.at_ms, row) == row
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_at_every_minute_the_rows_say_what_a_recount_finds(disk: Disk, seed: int) -> None:
    random = Random(seed)
    records = stream(random, 60)
    out: list[Outgoing] = []
    logic = FollowLogic(shared(), disk(), None)
    for batch in batches(random, records, 7):
        out += logic.on_batch([batch])[0]
    rows, now, seen = by_id(out), dict[Element, tuple[int, int]](), 0
    last_ms = records[-1][1] + 3_600_000
    for at_ms in range(T0_MS + 60_000, last_ms, 60_000):
        row = rows.pop(at_ms, None)
        for each in row.counts if row is not None else ():
            now[each.listener, each.version, each.element] = (each.runs, each.subscribers)
        now = {element: counts for element, counts in now.items() if counts != (0, 0)}
        assert now == recount(disk.other()(), records, at_ms), (at_ms - T0_MS) // 1_000
        seen += bool(now)
    assert not rows
    assert seen > 10


def test_after_a_restart_the_minute_is_told_though_nobody_comes_any_more(disk: Disk) -> None:
    first = FollowLogic(shared(), disk(), None)
    first.on_batch([Batch((record(1, "s_anna", "page_viewed", 1_000),), T0_MS + 1_500)])
    snapshot = first.snapshot()
    second = FollowLogic(shared(), disk(), snapshot)
    # One batch is enough to count everybody again, before the minute is over.
    assert rows_of(list(second.on_batch([Batch((), T0_MS + 2_000)])[0])) == []
    found = said(rows_of(list(second.on_batch([Batch((), T0_MS + 60_001)])[0])))
    waiting = ("basket", "endless", "forked", "plain", "plainer")
    assert found == [(60, dict.fromkeys([(each, 1, 2) for each in waiting], (1, 1)))]


@pytest.mark.parametrize("seed", range(3))
def test_a_crash_at_any_index_and_any_batches_give_the_same_rows(disk: Disk, seed: int) -> None:
    random = Random(100 + seed)
    records = stream(random, 40)
    whole: list[Outgoing] = []
    logic = FollowLogic(shared(), disk.other()(), None)
    for each in batches(random, records, 1):
        whole += logic.on_batch([each])[0]
    expected = by_id(whole)
    assert len(expected) > 5
    for index in range(1, len(records), 3):
        store = disk.other()
        first = FollowLogic(shared(), store(), None)
        saved = random.randint(0, index)
        before = batches(random, records[:saved], 9)[:-1] if saved else []
        out = [each for batch in before for each in first.on_batch([batch])[0]]
        snapshot = first.snapshot()
        # What the crash takes back has been said already, and is said again.
        for batch in batches(random, records[saved:index], 9)[:-1] if index > saved else []:
            out += first.on_batch([batch])[0]
        second = FollowLogic(shared(), store(), snapshot)
        for batch in batches(random, records[saved:], 9):
            out += second.on_batch([batch])[0]
        assert by_id(out) == expected, index


def test_after_a_restart_a_large_group_is_counted_a_few_at_a_time_and_nothing_is_said_before(disk: Disk) -> None:
    people, midnight_ms = 200, 900_000
    came = [record(number, f"s_{number}", "page_viewed", 1_000) for number in range(people)]
    came += [record(people + number, f"s_{number}", "product_added", 840_000) for number in range(5)]
    store = disk.other()
    first = FollowLogic(shared(), store(), None)
    first.on_batch([Batch(tuple(came), T0_MS + 840_000)])
    snapshot = first.snapshot()
    second = FollowLogic(shared(), store(), snapshot)
    waits, rows, after_ms, left, crashes = second._group._gauges, list[RunsRow](), 840_000, people, 0
    while waits._uncounted:
        after_ms += 30_000
        batch = Batch((), T0_MS + after_ms)
        rows = rows_of(list(second.on_batch([batch])[0]))
        assert not rows or not waits._uncounted
        assert left - len(waits._uncounted) <= AT_A_MINUTE + A_BATCH
        left = len(waits._uncounted)
        if after_ms > midnight_ms + 60_000 and not crashes:
            # It counts from the beginning, and still owes a row with everything.
            snapshot, crashes = second.snapshot(), 1
            second = FollowLogic(shared(), store(), snapshot)
            waits, left = second._group._gauges, people
    assert crashes, "the day began meanwhile"
    at_ms = T0_MS + after_ms
    while not rows:
        after_ms += 30_000
        rows = rows_of(list(second.on_batch([Batch((), T0_MS + after_ms)])[0]))
    assert len(rows) == 1
    counts = {(each.listener, each.version, each.element): (each.runs, each.subscribers) for each in rows[0].counts}
    expected = recount(disk.other()(), came, rows[0].at_ms)
    assert expected == {element: count for element, count in counts.items() if count != (0, 0)}
    assert ("plainer", 1, 2) in counts, "a day begins with everything, also with what has not changed"
    assert rows[0].at_ms >= at_ms // 60_000 * 60_000
