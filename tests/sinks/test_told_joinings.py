"""``list_joined``, told by a mail's link or the customer's server, lifts what the person left (SEMANTICS 8.1, 5)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.accounts import Fact, Veto
from contracts.beacons import BeaconRecord, ServerBeacon, Source
from contracts.codec import Raw, json_reader, msgpack_reader, to_json, to_msgpack
from contracts.commands import Outcome, Result
from contracts.log import Outgoing, Record
from contracts.rows import DeadLetter
from contracts.topics import BEACONS, DEAD_LETTERS, EVENTS, VETOES, fact_key
from flows.operators.logic import RecogniseLogic, Shared
from flows.recognise import Rules
from flows.state.changelog import Changelog
from tests.sinks.beds import Bed, bed_of, now_ms
from tests.sinks.courier import Courier, command

pytestmark = pytest.mark.slow

ANNA = "anna@example.org"
JOINED = {"account": "mail", "list": "hot", "by": "person"}
_veto, _letter = json_reader(Veto), msgpack_reader(DeadLetter)


class Told:
    """A courier's account, and the flow that hears of its people."""

    def __init__(self, name: str, data: Path) -> None:
        self.bed: Bed = bed_of(name, data / "bed")
        self.courier = Courier(self.bed, data / "log")  # type: ignore[arg-type]
        self._changelog = Changelog(data / "state", segment_bytes=10_000, slack_bytes=0)
        self._shared = Shared({"w": Rules(frozenset({"page_viewed"}), 2_000)}, {}, 1)

    def hears(
        self, properties: dict[str, Any], *, source: Source = Source.SERVER, subscriber: str = "s_anna", at_ms: int = 0
    ) -> list[Outgoing]:
        """An event ``list_joined`` of Anna; what the flow says of it."""
        at_ms = at_ms or now_ms()
        event = {"event_id": f"e{at_ms}", "action": "list_joined", "occurred_at_ms": at_ms, "properties": properties}
        body = to_json(ServerBeacon("k", [Raw(to_json(event))], subscriber))
        if source is Source.SDK:
            body = to_json({"site": "k", "device": "d1", "sent_at_ms": at_ms, "events": [{**event, "order": 1}]})
        beacon = BeaconRecord("w", "s", source, now_ms(), body, device="d1", subscriber=subscriber)
        record = Record(BEACONS, 0, 0, now_ms(), b"w/d1", to_msgpack(beacon))
        out = list(RecogniseLogic(self._shared, self._changelog, None).on_batch([[record]])[0])
        self.courier.publish(*(each for each in out if each.topic == VETOES))
        return [each for each in out if each.topic != EVENTS or each.key]

    def leaves(self, list_name: str, reason: str = "email_unsubscribed") -> None:
        left = Veto("w", "mail", "s_anna", list_name, now_ms() - 1_000, reason)
        self.courier.publish(Outgoing(VETOES, fact_key(left), to_json(left)))

    def asks(self, *given: Any) -> Outcome:
        self.courier.send(*given)
        self.courier.deliver()
        return self.courier.outcomes()[-1]


@pytest.fixture
def told(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Told]:
    found = Told(getattr(request, "param", "file"), tmp_path)
    yield found
    found.courier.close()
    found.bed.close()


@pytest.mark.parametrize(
    "told", ["file", "klaviyo", "listmonk", "mailchimp", "hubspot", "activecampaign"], indirect=True
)
@pytest.mark.parametrize("source", [Source.SERVER, Source.SDK])
def test_a_joining_that_is_vouched_for_lifts_the_veto_of_that_list(told: Told, source: Source) -> None:
    told.bed.put(ANNA, "other")
    for name in ("hot", "vip"):
        told.leaves(name)
    assert told.asks(command("hot")).reason == "unsubscribed"
    told.hears(JOINED, source=source)
    assert told.asks(command("hot")).result is Result.APPLIED
    assert told.asks(command("vip")).reason == "unsubscribed", "other lists that they left stay left"


def test_after_leaving_everything_it_opens_the_account_and_that_list(told: Told) -> None:
    for name in ("", "hot", "vip"):
        told.leaves(name)
    told.hears(JOINED)
    assert told.asks(command("hot")).result is Result.APPLIED
    assert told.asks(command("news")).result is Result.APPLIED
    assert told.asks(command("vip")).reason == "unsubscribed"


def test_one_without_a_list_opens_the_account_alone(told: Told) -> None:
    for name in ("", "hot"):
        told.leaves(name)
    told.hears({"account": "mail"})
    assert told.asks(command("news")).result is Result.APPLIED
    assert told.asks(command("hot")).reason == "unsubscribed"


@pytest.mark.parametrize(
    ("properties", "more"),
    [
        (JOINED, {"source": Source.SDK, "subscriber": ""}),
        (JOINED, {"at_ms": 1_800_000_000}),
        ({**JOINED, "by": "platform"}, {}),
        ({**JOINED, "by": "import"}, {}),
        ({**JOINED, "by": "segma"}, {}),
        ({**JOINED, "by": ""}, {}),
        ({**JOINED, "account": "other"}, {}),
        ({**JOINED, "list": "vip"}, {}),
    ],
    ids=["a browser alone", "before the leaving", "platform", "import", "segma", "nobody", "elsewhere", "another list"],
)
def test_nothing_else_lifts(told: Told, properties: dict[str, Any], more: dict[str, Any]) -> None:
    told.leaves("hot")
    told.hears(properties, **more)
    assert told.asks(command("hot")).reason == "unsubscribed"


@pytest.mark.parametrize("properties", [{}, {"account": 7}, {**JOINED, "list": ["hot"]}, {**JOINED, "by": True}])
def test_one_that_names_no_account_is_set_aside(told: Told, properties: dict[str, Any]) -> None:
    (letter,) = told.hears(properties)
    assert letter.topic == DEAD_LETTERS
    assert _letter(letter.value or b"").reason == "bad_event"


def test_it_is_kept_as_told_by_the_server_and_is_a_step_of_a_listener_besides(told: Told) -> None:
    step, record = told.hears(JOINED, at_ms=now_ms() + 3_600_000)
    assert step.topic == EVENTS
    fact = _veto(record.value or b"")
    assert (record.topic, fact.fact, fact.source, fact.timed) == (VETOES, Fact.JOINED, "server", True)
    assert fact.at_ms <= now_ms(), "never later than it was heard of"


def test_whom_the_platform_has_not_heard_of_since_has_not_left_again(told: Told) -> None:
    """On a platform that keeps no trace of who left, being gone is the leaving that the joining came after."""
    told.bed.put(ANNA, "news")
    assert told.asks(command("hot", "news")).result is Result.APPLIED
    told.bed.leave(ANNA, "hot")
    assert told.asks(command("vip", "hot")).reason == "unsubscribed"
    told.hears(JOINED)
    told.hears({**JOINED, "list": "news"})
    assert told.asks(command("hot")).result is Result.APPLIED
    told.bed.leave(ANNA, "hot")
    assert told.asks(command("hot")).reason == "unsubscribed", "put in again and gone again they have left again"


def test_a_joining_before_they_were_gone_explains_nothing(told: Told) -> None:
    assert told.asks(command("hot")).result is Result.APPLIED
    told.hears(JOINED)
    told.bed.leave(ANNA, "hot")
    assert told.asks(command("hot")).reason == "unsubscribed"
