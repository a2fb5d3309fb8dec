"""No record ends the flow: hostile values through both flows, their snapshots and resumes, in every order.

Whatever comes, neither a batch nor a snapshot raises, what is resumed goes on like what was never stopped, and every
record is either an event or a dead letter.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from contracts.actions import VOCABULARY
from contracts.beacons import BeaconRecord, Source
from contracts.codec import msgpack_reader, to_json, to_msgpack
from contracts.events import Event
from contracts.log import Outgoing, Record
from contracts.reasons import Reason
from contracts.rows import DeadLetter
from contracts.topics import DEAD_LETTERS, EVENTS, ROWS
from flows.language.parse import parse_listeners
from flows.operators.logic import FollowBatch, FollowLogic, RecogniseLogic, Shared
from flows.recognise import Rules
from flows.state.changelog import Changelog
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.limits import Limit
from flows.subscriber.pinned_terms import Terms
from flows.subscriber.steps import SubscriberSteps
from tests.flows.test_changelog import unsynced

T0_MS = 1_800_000_000_000
LISTENERS = """
listener: carried
sequence:
  - {step: looked, action: page_viewed}
  - {action: product_added, where: {value: {same_as: looked.value}}, optional: true}
  - {action: product_added, where: {count: {at_least: 0}}, times: {between: [1, 3]}, distinct_by: tag}
  - {not: product_bought, for: 2s}
then: [{add: {to: "viewed-{looked.value}", at: mailbox}}]
---
listener: summed
sequence: [{action: page_viewed, sum: {of: value, at_least: 1000000}}]
then: [{add: {to: summed, at: mailbox}}]
---
listener: noted
sequence: [{step: first, action: page_viewed}, {action: "*", where: {tag: {differs_from: first.value}}}]
then: [{add: {to: "noted-{first.tag}", at: mailbox}}]
"""
_read_letter = msgpack_reader(DeadLetter)


def deep(levels: int) -> Any:
    found: Any = 1
    for number in range(levels):
        found = {"d": found} if number % 2 else [found]
    return found


HOSTILE: list[str] = [
    "99999999999999999999",
    "-9223372036854775809",
    "18446744073709551615",
    "-9223372036854775808",
    "9" * 310,
    "1" * 400,
    "1e308",
    "-1e308",
    "1e999",
    "NaN",
    "Infinity",
    "1e-400",
    "0.1",
    "null",
    "true",
    '""',
    '"\\u0000"',
    '"\\ud83d"',
    '"\\ude00\\ud83d"',
    '"\\ud83d\\ude00"',
    '"' + "x" * 20_000 + '"',
    '"' + "😀" * 9_000 + '"',
    json.dumps(deep(10)),
    json.dumps(deep(28)),
    json.dumps(deep(40)),
    json.dumps({"k" * 300: 1}),
    json.dumps({"": {"": [[], {}, [{}]]}}),
    json.dumps({f"k{n}": n for n in range(2_100)}),
    json.dumps([[1, "1", 1.0, True, None]] * 20),
]


def body(rng: random.Random, number: int) -> bytes:
    """One event as JSON text, most of them with hostile values, some with hostile fields."""
    names = ("value", "count", "tag", "category", "path", "campaign", "items", "machine", "ünïcode", "a.b")
    pairs = ",".join(
        f"{json.dumps(name)}:{rng.choice(HOSTILE) if rng.random() < 0.6 else rng.randrange(5)}"
        for name in rng.sample(names, rng.randrange(5))
    )
    action = rng.choice(("page_viewed", "product_added", "product_bought", "email_clicked", "searched"))
    at = rng.choice((T0_MS + number * 100, T0_MS - rng.randrange(100_000), 0, 253_402_300_799_999))
    order = rng.choice((number, 0, -(2**53), 2**53, "9" * 25 if rng.random() < 0.1 else 1))
    return (
        f'{{"event_id":"e{rng.randrange(number + 1)}","action":"{action}","occurred_at_ms":{at},"order":{order},'
        f'"properties":{{{pairs}}}}}'
    ).encode()


def beacon(rng: random.Random, number: int) -> Record:
    events = b",".join(body(rng, number * 3 + each) for each in range(rng.randrange(1, 4)))
    device = f"d{rng.randrange(3)}"
    sent = b'{"site":"s","device":"' + device.encode() + b'","sent_at_ms":1,"events":[' + events + b"]}"
    value = to_msgpack(
        BeaconRecord(
            "w",
            "shop",
            rng.choice((Source.SDK, Source.SDK, Source.SDK, Source.SERVER, Source.REDIRECT, Source.PIXEL)),
            received_at_ms=T0_MS + number * 100,
            body=sent,
            device=device,
            subscriber=rng.choice(("", "", "s1", "s2")),
            click="c1",
            skew_ms=rng.choice((0, -T0_MS * 2, T0_MS)),
            properties={"campaign": "x" * rng.randrange(3), "machine": "true"},
        )
    )
    return Record("beacons", 0, number, T0_MS + number * 100, device.encode(), value)


def shared() -> Shared:
    listeners = parse_listeners([("l.yaml", LISTENERS.encode())], known_actions=VOCABULARY)
    engine = WorkspaceEngine("w", listeners, terms=Terms(60_000, 30_000, 86_400_000, 200))
    return Shared({"w": Rules(frozenset(VOCABULARY), 2_000)}, {"w": engine}, 1)


class Flow:
    """Both flows in one store, that may be ended and begun again where it stands."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.snapshots: tuple[bytes | None, bytes | None] = (None, None)
        self.begin()

    def begin(self) -> None:
        self.shared, self.changelog = shared(), Changelog(self.store, sync=unsynced)
        self.recognise = RecogniseLogic(self.shared, self.changelog, self.snapshots[0])
        self.follow = FollowLogic(self.shared, self.changelog, self.snapshots[1])

    def end(self) -> None:
        self.changelog.close()

    def snapshot(self) -> None:
        self.snapshots = (self.recognise.snapshot(), self.follow.snapshot())

    def step(self, record: Record) -> list[Outgoing]:
        recognised = list(self.recognise.on_batch([[record]])[0])
        events = [each for each in recognised if each.topic == EVENTS and each.key]
        records = tuple(
            (Record(EVENTS, 0, number, record.log_time_ms, each.key, each.value), record.log_time_ms)
            for number, each in enumerate(events)
        )
        return recognised + list(self.follow.on_batch([FollowBatch(records, record.log_time_ms)])[0])


def letters(out: list[Outgoing]) -> list[DeadLetter]:
    return [_read_letter(each.value or b"") for each in out if each.topic == DEAD_LETTERS]


@pytest.mark.parametrize("seed", range(12))
def test_nothing_that_comes_ends_a_batch_a_snapshot_or_a_resume(seed: int, tmp_path: Path) -> None:
    """The same records through a flow that is never stopped, and one that is begun again after every epoch."""
    whole, broken = Flow(tmp_path / "whole"), Flow(tmp_path / "broken")
    rng = random.Random(seed)
    records = [beacon(rng, number) for number in range(60)]
    said: tuple[list[Outgoing], list[Outgoing]] = ([], [])
    for number, record in enumerate(records):
        said[0].extend(whole.step(record))
        said[1].extend(broken.step(record))
        if number % 4 == 3:
            whole.snapshot()
            broken.snapshot()
            broken.end()
            broken.begin()
    assert [(each.topic, each.key, each.value) for each in said[0]] == [
        (each.topic, each.key, each.value) for each in said[1]
    ]
    reasons = {each.reason for each in letters(said[0])}
    assert Reason.BAD_EVENT in reasons
    assert not reasons & {Reason.PROCESSING_FAILED, Reason.STATE_LOST}
    assert any(each.topic == ROWS for each in said[0])


def test_of_a_beacon_with_one_bad_event_the_rest_counts(tmp_path: Path) -> None:
    flow = Flow(tmp_path)
    good = b'{"event_id":"g","action":"page_viewed","occurred_at_ms":%d,"properties":{"order":7}}' % T0_MS
    bad = good.replace(b'"g"', b'"b"').replace(b":7}", b":99999999999999999999}")
    sent = b'{"site":"s","device":"d","sent_at_ms":%d,"events":[' % T0_MS + bad + b"," + good + b"]}"
    value = to_msgpack(BeaconRecord("w", "shop", Source.SDK, T0_MS, sent, device="d"))
    out = flow.step(Record("beacons", 0, 0, T0_MS, b"d", value))
    flow.snapshot()
    assert [each.reason for each in letters(out)] == [Reason.BAD_EVENT]
    rows = [json.loads(each.value or b"") for each in out if each.topic == ROWS]
    assert [row["event"]["event_id"] for row in rows if "event" in row] == ["g"]


def follow_record(number: int, properties: str, subscriber: str = "s1", action: str = "page_viewed") -> Record:
    event = Event("w", subscriber, f"e{number}", action, T0_MS + number, properties={"p": 0}, log_time_ms=T0_MS)
    value = to_json(event).replace(b'{"p":0}', properties.encode())
    return Record(EVENTS, 0, number, T0_MS, b"w/" + subscriber.encode(), value)


def test_an_event_of_an_older_release_that_no_state_can_hold_is_set_aside(tmp_path: Path) -> None:
    """It is in the topic of events already, so no door will see it."""
    flow = Flow(tmp_path)
    record = follow_record(1, '{"value":99999999999999999999}')
    out = list(flow.follow.on_batch([FollowBatch(((record, T0_MS),), T0_MS)])[0])
    assert [each.reason for each in letters(out)] == [Reason.BAD_EVENT]
    flow.snapshot()


def test_a_state_that_cannot_be_written_is_one_keys_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second line of defence, whatever gets past the first: here the encoder itself fails for one subscriber."""
    flow = Flow(tmp_path)
    encode = WorkspaceEngine.encode

    def failing(engine: WorkspaceEngine, person: Any) -> bytes:
        if person.timeline.state.subscriber == "s1":
            raise OverflowError("no such integer")
        return encode(engine, person)

    monkeypatch.setattr(WorkspaceEngine, "encode", failing)
    records = tuple((follow_record(n, "{}", f"s{n % 3}"), T0_MS) for n in range(9))
    flow.follow.on_batch([FollowBatch(records, T0_MS)])
    for key in ("w/s0", "w/s1", "w/s2"):
        flow.follow._group._people._touch(key)
    flow.snapshot()
    out = letters(list(flow.follow.on_batch([FollowBatch((), T0_MS + 1)])[0]))
    assert [(each.reason, each.key, each.detail) for each in out] == [
        (Reason.STATE_LOST, b"w/s1", "subscriber: OverflowError")
    ]
    assert flow.shared.bounds.total[Limit.UNWRITABLE] == 1
    flow.end()
    flow.begin()
    assert sorted(flow.follow._group._people.known()) == ["w/s0", "w/s2"]


def test_a_device_that_cannot_be_written_is_one_keys_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = Flow(tmp_path)
    rng = random.Random(1)
    for number in range(12):
        flow.step(beacon(rng, number))
    states = flow.recognise._group._states
    encode = states.encode
    monkeypatch.setattr(states, "encode", lambda key, state: 1 / 0 if key == "d1" else encode(key, state))
    flow.snapshot()
    out = letters(list(flow.recognise.on_batch([[Record("beacons", 0, 99, T0_MS + 2_000, b"", None)]])[0]))
    assert [(each.reason, each.key) for each in out] == [(Reason.STATE_LOST, b"d1")]
    monkeypatch.undo()
    flow.end()
    flow.begin()
    assert "d1" not in flow.recognise._group.known()


def test_a_fault_in_the_steps_takes_nothing_of_others_and_says_what_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event, and a deadline, that fail inside: a letter each, and the next subscriber is served."""
    flow = Flow(tmp_path)
    apply, fire = SubscriberSteps.apply, SubscriberSteps.fire

    def failing_apply(steps: SubscriberSteps, person: Any, event: Event, *rest: Any) -> None:
        if event.action == "searched":
            raise RuntimeError("a fault")
        apply(steps, person, event, *rest)

    def failing_fire(steps: SubscriberSteps, person: Any, *rest: Any) -> None:
        if person.timeline.state.subscriber == "s2" and rest[0] > T0_MS + 10_000:
            raise RuntimeError("a fault")
        fire(steps, person, *rest)

    monkeypatch.setattr(SubscriberSteps, "apply", failing_apply)
    monkeypatch.setattr(SubscriberSteps, "fire", failing_fire)
    records = (follow_record(1, "{}", "s1", "searched"), follow_record(2, "{}", "s2"), follow_record(3, "{}", "s3"))
    out = list(flow.follow.on_batch([FollowBatch(tuple((each, T0_MS) for each in records), T0_MS)])[0])
    assert [each.reason for each in letters(out)] == [Reason.PROCESSING_FAILED]
    flow.snapshot()
    later = list(flow.follow.on_batch([FollowBatch((), T0_MS + 2 * 86_400_000)])[0])
    assert [(each.reason, each.key) for each in letters(later)] == [(Reason.STATE_LOST, b"w/s2")]
    assert sorted(flow.follow._group._people.known()) == ["w/s2", "w/s3"]
    flow.snapshot()
    assert flow.follow._group._people.known() == ["w/s3"]
