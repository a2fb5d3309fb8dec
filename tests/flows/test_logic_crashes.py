"""A crash at every index gives the same commands; a poison record is set aside and the flow goes on (DESIGN 6, 7)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from contracts.actions import VOCABULARY
from contracts.beacons import BeaconRecord, Source
from contracts.codec import json_reader, msgpack_reader, to_json, to_msgpack
from contracts.commands import Command
from contracts.errors import LogUnavailable
from contracts.events import LogTime
from contracts.log import Log, Outgoing, PublishOutcome, Record, Stored
from contracts.rows import DeadLetter
from contracts.topics import BEACONS, DEAD_LETTERS, EVENTS, ROWS
from flows.language.parse import parse_listeners
from flows.operators.log_sink import LogSinkPartition
from flows.operators.logic import FollowBatch, FollowLogic, InOne, RecogniseLogic, Shared
from flows.recognise import Rules
from flows.state.changelog import Changelog
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.pinned_terms import Terms
from tests.flows.test_changelog import unsynced

T0_MS = 1_800_000_000_000
LISTENERS = b"""
listener: engaged
sequence: [{action: email_clicked}, {action: page_viewed, times: 2}]
then: [{move: {from: newsletter, to: engaged, at: mailbox}}]
---
listener: abandoned
sequence: [{action: product_added}, {not: product_bought, for: 1s}]
then: [{add: {to: abandoned, at: mailbox}}]
"""
_read_letter = msgpack_reader(DeadLetter)
_read_command = json_reader(Command)


def shared() -> Shared:
    listeners = parse_listeners([("l.yaml", LISTENERS)], known_actions=VOCABULARY)
    engine = WorkspaceEngine("w", listeners, terms=Terms(600_000, 1_800_000, 86_400_000, 200))
    return Shared({"w": Rules(VOCABULARY, 2_000)}, {"w": engine}, 1)


def beacon(device: str, *actions: str, at_ms: int, subscriber: str = "", **more: Any) -> bytes:
    events = [
        {"event_id": f"{device}-{at_ms}-{number}", "action": action, "occurred_at_ms": at_ms, "order": number}
        for number, action in enumerate(actions)
    ]
    body = to_json({"site": "k", "device": device, "sent_at_ms": at_ms, "events": events}) if actions else b""
    given = {"workspace": "w", "site": "s", "source": Source.SDK, "received_at_ms": at_ms, "body": body}
    return to_msgpack(BeaconRecord(**{**given, "device": device, "subscriber": subscriber, **more}))


def story() -> list[Record]:
    """Anonymous views, then a person; a click on trial; a basket left; ticks; one poison record in the middle."""
    values: list[tuple[bytes, bytes | None]] = [
        (b"w/d1", beacon("d1", "email_clicked", "page_viewed", at_ms=T0_MS)),
        (b"w/d1", beacon("d1", "page_viewed", at_ms=T0_MS + 100)),
        (b"w/d2", beacon("d2", "product_added", at_ms=T0_MS + 200, subscriber="s_ben")),
        (b"w/d1", b"\xffpoison"),
        (b"w/d1", beacon("d1", "page_viewed", at_ms=T0_MS + 300, subscriber="s_anna")),
        (b"w/s_cleo", beacon("", at_ms=T0_MS + 400, subscriber="s_cleo", source=Source.REDIRECT, click="c9")),
        (b"w/d3", beacon("d3", "page_viewed", "page_viewed", at_ms=T0_MS + 500, subscriber="s_cleo")),
        (b"w/d1", beacon("d1", "page_viewed", "page_viewed", at_ms=T0_MS + 600)),
        (b"", None),
        (b"", None),
        (b"", None),
        (b"w/d2", beacon("d2", "product_bought", at_ms=T0_MS + 5_000, subscriber="s_ben")),
        (b"", None),
    ]
    times = [0, 100, 200, 250, 300, 400, 500, 600, 1_000, 1_500, 3_000, 5_000, 6_000]
    return [
        Record(BEACONS, 0, offset, T0_MS + at, key, value)
        for offset, ((key, value), at) in enumerate(zip(values, times, strict=True))
    ]


def emitted(records: Sequence[Outgoing]) -> list[tuple[Record, int]]:
    """What the events' source makes of what recognise wrote: records with the log time at each."""
    found, now_ms = [], 0
    for offset, record in enumerate(each for each in records if each.topic == EVENTS):
        if not record.key:
            now_ms = max(now_ms, json_reader(LogTime)(record.value or b"").log_time_ms)
            # A group hears of the time with a batch; here as a record of its own.
        found.append((Record(EVENTS, 0, offset, now_ms, record.key, record.value), now_ms))
    return found


class Disk:
    """A directory that outlives processes: each call opens the state store as a new process would."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._stores = directory, 0

    def __call__(self) -> Changelog:
        return Changelog(self._directory, segment_bytes=2_000, slack_bytes=0, sync=unsynced)

    def other(self) -> Disk:
        """Another directory."""
        self._stores += 1
        return Disk(self._directory / f"other-{self._stores}")


class AwayOnce:
    """A log that is away when it is first written to."""

    def __init__(self) -> None:
        self.stored: list[Outgoing] = []
        self._is_away = True

    def publisher(self) -> AwayOnce:
        return self

    def publish(self, records: Sequence[Outgoing]) -> list[PublishOutcome]:
        if self._is_away:
            self._is_away = False
            return [LogUnavailable("away") for _ in records]
        self.stored += records
        return [Stored(0, number, T0_MS) for number, _ in enumerate(records)]


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def feed(logic: FollowLogic, records: Sequence[tuple[Record, int]]) -> list[Outgoing]:
    out: list[Outgoing] = []
    for record, now_ms in records:
        mine = ((record, now_ms),) if record.key else ()
        out += logic.on_batch([FollowBatch(mine, now_ms)])[0]
    return out


def commands(out: Sequence[Outgoing]) -> list[Command]:
    return [_read_command(each.value) for each in out if each.topic.startswith("moves.") and each.value]


def test_the_story_comes_out_as_it_should(disk: Disk) -> None:
    events = list(RecogniseLogic(shared(), disk(), None).on_batch([story()])[0])
    out = feed(FollowLogic(shared(), disk(), None), emitted(events))
    assert [(each.listener, each.subscriber) for each in commands(out)] == [
        ("engaged", "s_anna"),
        ("abandoned", "s_ben"),
        ("engaged", "s_cleo"),
    ]


def test_a_poison_record_is_set_aside_with_its_place_and_the_flow_goes_on(disk: Disk) -> None:
    out = list(RecogniseLogic(shared(), disk(), None).on_batch([story()])[0])
    (letter,) = [_read_letter(each.value) for each in out if each.topic == DEAD_LETTERS and each.value]
    assert (letter.reason, letter.topic, letter.partition, letter.offset) == ("undecodable", BEACONS, 0, 3)
    poison = (Record(EVENTS, 0, 7, T0_MS, b"w/x", b"{"), T0_MS)
    out = feed(FollowLogic(shared(), disk(), None), [poison])
    (letter,) = [_read_letter(each.value) for each in out if each.topic == DEAD_LETTERS and each.value]
    assert (letter.reason, letter.topic, letter.offset) == ("undecodable", EVENTS, 7)


def test_a_defect_of_ours_on_one_record_sets_it_aside(monkeypatch: pytest.MonkeyPatch, disk: Disk) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("flows.operators.device_group.recognise", broken)
    out = list(RecogniseLogic(shared(), disk(), None).on_batch([story()[:1]])[0])
    (letter,) = [_read_letter(each.value) for each in out if each.topic == DEAD_LETTERS and each.value]
    assert (letter.reason, letter.detail) == ("processing_failed", "ZeroDivisionError")


def test_every_accepted_event_ends_as_a_row_or_a_dead_letter(disk: Disk) -> None:
    events = list(RecogniseLogic(shared(), disk(), None).on_batch([story()])[0])
    out = feed(FollowLogic(shared(), disk(), None), emitted(events))
    rows = [each for each in out if each.topic == ROWS and b'"row":"event"' in (each.value or b"")]
    assert len(rows) == sum(1 for each in events if each.topic == EVENTS and each.key)


def test_what_a_logic_says_of_a_batch_goes_on_as_one_item_and_nothing_as_none(disk: Disk) -> None:
    events = list(RecogniseLogic(shared(), disk(), None).on_batch([story()])[0])
    out, ended = InOne(RecogniseLogic(shared(), disk.other()(), None)).on_batch([story()])
    assert (list(out), ended) == ([events], False)
    quiet = InOne(RecogniseLogic(shared(), disk.other()(), None))
    assert list(quiet.on_batch([[]])[0]) == []
    assert quiet.snapshot() == RecogniseLogic(shared(), disk.other()(), None).snapshot()


def test_the_sink_writes_batches_in_their_order_and_again_while_the_log_is_away() -> None:
    log, pauses = AwayOnce(), list[float]()
    sink = LogSinkPartition(cast("Log", log), pauses.append)
    batches = [[Outgoing(ROWS, b"a", b"1"), Outgoing(ROWS, b"b", b"2")], [Outgoing(ROWS, b"a", b"3")]]
    sink.write_batch(batches)
    assert ([each.value for each in log.stored], len(pauses)) == ([b"1", b"2", b"3"], 1)


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("crash", range(14))
def test_recognise_says_the_same_again_after_a_crash_at_every_index(disk: Disk, crash: int, settled: bool) -> None:
    records = story()
    whole = list(RecogniseLogic(shared(), disk(), None).on_batch([records])[0])
    for saved in range(crash + 1):
        store = disk.other()
        first = RecogniseLogic(shared(), store(), None)
        before = list(first.on_batch([records[:saved]])[0])
        snapshot = first.snapshot()
        lost = list(first.on_batch([records[saved:crash]])[0])
        if settled:
            first.snapshot()  # of an epoch that was not committed
        again = list(RecogniseLogic(shared(), store(), snapshot).on_batch([records[saved:]])[0])
        assert before + again == whole
        assert again[: len(lost)] == lost


def test_follow_says_the_same_again_after_a_crash_at_every_index(disk: Disk) -> None:
    records = emitted(list(RecogniseLogic(shared(), disk(), None).on_batch([story()])[0]))
    whole = feed(FollowLogic(shared(), disk(), None), records)
    for crash in range(len(records) + 1):
        for saved in {0, crash // 2, max(crash - 1, 0), crash}:
            store = disk.other()
            first = FollowLogic(shared(), store(), None)
            before = feed(first, records[:saved])
            snapshot = first.snapshot()
            lost = feed(first, records[saved:crash])
            first.snapshot()  # of an epoch that was not committed
            again = feed(FollowLogic(shared(), store(), snapshot), records[saved:])
            assert before + again == whole
            assert again[: len(lost)] == lost
