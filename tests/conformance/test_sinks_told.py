"""The ``kafka`` sink on either log: what it promises to whoever reads the moves. Kafka on a real broker."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.commands import Command, EventRef, Result, Verb
from contracts.errors import LogUnavailable, UnknownTopic
from contracts.log import Log, Outgoing, PublishOutcome, Record
from contracts.topics import Topic
from sinks.base import Change, Fate, NoSuchList, PlatformError, Trouble
from sinks.delivery.loop import Delivery
from sinks.platforms.kafka import MAX_RECORD_BYTES, KafkaOptions, KafkaSink, make
from sinks.toolkit.options import Around
from tests.conformance.test_sinks_faults import NAMES
from tests.sinks.beds import brief, now_ms
from tests.sinks.courier import Courier, command
from tests.sinks.memory import Crash
from transport import open_log
from transport.config import Settings

pytestmark = pytest.mark.slow

TOPIC = "moves-for-anyone"
PEOPLE = ("anna", "ben", "cleo")


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.broker)])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    kafka = request.param == "kafka"
    chosen = request.getfixturevalue("broker").settings(tmp_path) if kafka else Settings(data=tmp_path)
    opened = open_log(chosen)
    yield opened
    opened.close()


@pytest.fixture
def courier(log: Log, tmp_path: Path) -> Courier:
    return Courier(None, tmp_path, *PEOPLE, log=log)  # type: ignore[arg-type]


def sink_on(log: Log, **options: Any) -> KafkaSink:
    around = Around("w/mail", Path(), brief, now_ms, lambda at, field: "", log)
    return make(KafkaOptions.model_validate({"topic": TOPIC, **options}), around)


def records(log: Log) -> list[Record]:
    reader = log.reader(TOPIC)
    found = []
    while some := reader.poll(1_000):
        found += some
    reader.close()
    return found


def told(log: Log) -> list[dict[str, Any]]:
    return [json.loads(each.value or b"") for each in records(log)]


class Refusing:
    """A publisher that is answered so at first, and then as the log answers."""

    def __init__(self, inner: Any, *answers: PublishOutcome) -> None:
        self._inner, self._answers = inner, list(answers)

    def publish(self, records: Sequence[Outgoing]) -> list[PublishOutcome]:
        if self._answers:
            return [self._answers.pop(0)] * len(records)
        found: list[PublishOutcome] = self._inner.publish(records)
        return found

    def close(self) -> None:
        self._inner.close()


def test_every_move_is_a_record_under_its_person_in_order_without_an_address(log: Log, courier: Courier) -> None:
    sent = [command(f"l{number % 5}", "old", person=PEOPLE[number % 3]) for number in range(60)]
    courier.send(*sent)
    courier.deliver(sink_on(log))
    assert [each.result for each in courier.outcomes()] == [Result.APPLIED] * 60
    found = records(log)
    assert {each.key for each in found} == {f"w/s_{name}".encode() for name in PEOPLE}
    for name in PEOPLE:
        own = [each for each in found if each.key == f"w/s_{name}".encode()]
        assert len({each.partition for each in own}) == 1, "one person's records keep their order"
        ids = [json.loads(each.value or b"")["command_id"] for each in own]
        assert ids == [each.command_id for each in sent if each.subscriber == f"s_{name}"]
    assert b"@" not in b"".join(each.value or b"" for each in found)


def test_a_record_says_what_the_move_is_and_why(log: Log, courier: Courier) -> None:
    evidence = {"clicked": (EventRef("e1", "email_clicked", 900),)}
    courier.send(command("new", "old", evidence=evidence, received_at_ms=950))
    courier.deliver(sink_on(log))
    (found,) = told(log)
    (outcome,) = courier.outcomes()
    place = records(log)[0]
    assert outcome.answer == f"partition {place.partition}, offset {place.offset}"
    assert found.pop("command_id") == outcome.command_id
    assert found.pop("match_id") == outcome.match_id
    assert found == {
        "schema": 1,
        "workspace": "w",
        "account": "mail",
        "subscriber": "s_anna",
        "verb": "move",
        "to_list": "new",
        "from_list": "old",
        "listener": "l",
        "version": 1,
        "position": 0,
        "matched_at_ms": 1_000,
        "received_at_ms": 950,
        "evidence": {"clicked": [{"event_id": "e1", "action": "email_clicked", "occurred_at_ms": 900}]},
        "retracted": False,
    }


def test_lists_of_any_name_are_told_as_they_are(log: Log, courier: Courier) -> None:
    courier.send(*(command(name) for name in NAMES))
    courier.deliver(sink_on(log))
    assert [each["to_list"] for each in told(log)] == list(NAMES)


def test_what_is_taken_back_is_told_and_what_was_never_told_is_not(log: Log, courier: Courier) -> None:
    first, strange = command("new", "old"), command("new", person="nobody")
    back = [command("new", "old", undoes=first.command_id), command("new", undoes=strange.command_id)]
    courier.send(first, strange, *back)
    courier.deliver(sink_on(log))
    assert [(each["command_id"], each.get("undoes", ""), each["retracted"]) for each in told(log)] == [
        (first.command_id, "", False),
        (back[0].command_id, first.command_id, True),
    ]


@pytest.mark.parametrize("where", ["outcome", "position"])
def test_after_a_crash_a_record_may_come_again_under_its_id_and_none_is_missing(
    log: Log, courier: Courier, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = [command("new", person=name) for name in PEOPLE]
    courier.send(*sent)

    def die(*_: object) -> None:
        raise Crash

    monkeypatch.setattr(Delivery, "_publish" if where == "outcome" else "_commit", die)
    with pytest.raises(Crash):
        courier.deliver(sink_on(log))
    monkeypatch.undo()
    assert len(told(log)) == 3
    courier.deliver(sink_on(log))
    ids = sorted(each["command_id"] for each in told(log))
    times = 2 if where == "outcome" else 1
    assert ids == sorted(each.command_id for each in sent for _ in range(times))
    assert len(courier.outcomes()) == 3


def test_while_the_log_does_not_confirm_there_is_no_outcome_and_nobody_is_given_up(log: Log, courier: Courier) -> None:
    sink: Any = sink_on(log)
    sink._publisher = Refusing(sink._publisher, *[LogUnavailable("away")] * 12)
    courier.send(*(command("new", person=name) for name in PEOPLE))
    courier.deliver(sink)
    assert sorted(each["subscriber"] for each in told(log)) == sorted(f"s_{name}" for name in PEOPLE)
    assert [each.result for each in courier.outcomes()] == [Result.APPLIED] * 3
    assert courier.letters() == []


def test_what_is_no_record_is_a_dead_letter_of_its_own(log: Log, courier: Courier) -> None:
    events = tuple(EventRef("e" * 100, "page_viewed", number) for number in range(MAX_RECORD_BYTES // 120))
    big = command("new", evidence={"looked": events})
    courier.send(big, command("new", person="ben"), b"\xff")
    courier.deliver(sink_on(log))
    assert [(each.result, each.reason) for each in courier.outcomes()] == [
        (Result.FAILED, "too_large"),
        (Result.APPLIED, ""),
    ]
    assert sorted(each.reason for each in courier.letters()) == ["too_large", "undecodable"]
    assert [each["subscriber"] for each in told(log)] == ["s_ben"]


def test_a_topic_that_is_there_is_taken_as_it_is(log: Log, courier: Courier) -> None:
    log.ensure([Topic(TOPIC, 7)])
    courier.send(command("new"))
    courier.deliver(sink_on(log, partitions=3))
    assert len(told(log)) == 1
    assert {topic.name: topic.partitions for topic in log.topics()}[TOPIC] == 7


def test_an_account_that_is_checked_says_whether_its_topic_can_be_reached(log: Log) -> None:
    sink: Any = sink_on(log)
    with pytest.raises(NoSuchList):
        next(sink.members(""), None)
    sink._topic = Topic("another", 1)
    with pytest.raises(PlatformError):
        next(sink.members(""), None)


def test_a_topic_that_vanished_is_made_again(tmp_path: Path) -> None:
    log = open_log(Settings(data=tmp_path))
    sink: Any = sink_on(log)
    sink._publisher = Refusing(sink._publisher, UnknownTopic("gone"))
    made: list[str] = []
    sink._log = type("Bare", (), {"topics": lambda _: [], "ensure": lambda _, topics: made.append(topics[0].name)})()
    (answer,) = sink.apply([Change("c", "s_1", "", about={"command_id": "c"})])
    assert isinstance(answer, Trouble)
    assert (answer.fate, made) == (Fate.AWAY, [TOPIC])
    log.close()


MOVES = st.lists(st.tuples(st.sampled_from(PEOPLE), st.sampled_from("xyz"), st.booleans()), min_size=1, max_size=20)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(moves=MOVES)
def test_whoever_reads_the_records_knows_the_lists(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[str, str, bool]]
) -> None:
    sent: list[Command] = [
        command(*((name, "") if into else ("", name)), person=person, verb=Verb.ADD if into else Verb.REMOVE)
        for person, name, into in moves
    ]
    data = tmp_path_factory.mktemp("data")
    courier = Courier(None, data, *PEOPLE)  # type: ignore[arg-type]
    courier.send(*sent)
    courier.deliver(sink_on(courier.log))
    known: dict[tuple[str, str], bool] = {}
    for each in told(courier.log):
        known |= {(each["subscriber"], each["to_list"]): True} if each.get("to_list") else {}
        known |= {(each["subscriber"], each["from_list"]): False} if each.get("from_list") else {}
    assert known == {(f"s_{person}", name): into for person, name, into in moves}
    courier.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"topic": ""},
        {"topic": "moves.w.mail"},
        {"topic": "outcomes"},
        {"topic": "subscribers"},
        {"topic": "leases"},
        {"topic": "with spaces"},
        {"topic": "../up"},
        {"topic": "ok", "partitions": 0},
        {"topic": "ok", "colour": "red"},
        {"topic": "ok", "retention": "long"},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        KafkaOptions.model_validate(wrong)
