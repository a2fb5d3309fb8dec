"""A command that changed nothing takes the events of its match back, all the way from its outcome to the flow."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.actions import known_actions
from contracts.beacons import BeaconRecord
from contracts.codec import msgpack_reader, replaced
from contracts.commands import Command, Outcome
from contracts.events import Event, Trust
from contracts.log import Outgoing, Record
from contracts.reasons import Reason
from contracts.topics import BEACONS
from flows.language.parse import parse_listeners
from flows.recognise import Device, Rules, recognise
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.pinned_terms import Terms
from sinks.base import Done, Fate, Trouble
from sinks.delivery.outcomes import outcome_of
from sinks.delivery.taken_back import unchanged
from tests.sinks.test_deliver import Account, command

LISTENERS = """
listener: viewed
sequence: [{action: page_viewed}]
then: [{add: {to: hot, at: mail}}]
---
listener: joined
sequence: [{action: list_joined, where: {list: hot}}]
then: [{add: {to: warm, at: mail}}]
"""


def outcome(given: Command, answer: Any, **changes: Any) -> Outcome:
    return replaced(outcome_of(given, answer, calls=1, at_ms=9_000), **changes)


def heard(told: Outgoing) -> Event:
    beacon = msgpack_reader(BeaconRecord)(told.value or b"")
    record = Record(BEACONS, 0, 0, 9_000, told.key, told.value)
    _, (event,), refused = recognise(Device(), beacon, record, Rules(known_actions(), 60_000))
    assert refused == []
    return event


def test_whoever_is_vetoed_has_not_joined_and_what_rests_on_it_is_undone() -> None:
    parsed = parse_listeners([("l", LISTENERS.encode())], known_actions=known_actions())
    engine = WorkspaceEngine("w", parsed, terms=Terms(600_000, 1_800_000, 86_400_000, 0))
    anna = engine.new("s_anna")
    view = Event("w", "s_anna", "e1", "page_viewed", 1_000, trust=Trust.TOKEN, log_time_ms=1_000)
    first, second = engine.apply(anna, view, 1_000).commands
    (told,) = unchanged([outcome(first, Trouble(Reason.UNSUBSCRIBED, Fate.LASTING))])
    (undo,) = engine.apply(anna, heard(told), 9_000).commands
    assert undo.undoes == second.command_id


@pytest.mark.parametrize(
    ("answer", "changes", "told"),
    [
        (Trouble(Reason.GONE, Fate.LASTING), {}, True),
        (Trouble(Reason.REFUSED_BY_PLATFORM, Fate.LASTING), {}, True),
        (Trouble(Reason.SUPERSEDED, Fate.LASTING), {}, False),
        (Trouble(Reason.REFUSED_BY_PLATFORM, Fate.LASTING, changed=("+vip",)), {}, False),
        (Trouble(Reason.GONE, Fate.LASTING), {"undoes": "c0"}, False),
        (Trouble(Reason.GONE, Fate.LASTING), {"match_id": ""}, False),
        (Trouble(Reason.GONE, Fate.LASTING), {"verb": "webhook"}, False),
        (Done(("+vip",)), {}, False),
        (Done(()), {}, False),
    ],
)
def test_only_what_changed_nothing_is_told(answer: Any, changes: dict[str, Any], told: bool) -> None:
    assert len(unchanged([outcome(command(1), answer, **changes)])) == told


def test_the_delivery_tells_it_with_the_outcome(tmp_path: Any) -> None:
    account = Account(tmp_path)
    account.send(replaced(command(1), subscriber="s_nobody"), command(2))
    account.deliver()
    log = account.open()
    found = [heard(Outgoing(BEACONS, each.key, each.value)) for each in log.consumer("t", BEACONS).poll(10, 0.0)]
    log.close()
    assert [(each.subscriber, each.properties["reason"]) for each in found] == [("s_nobody", "unknown_subscriber")]
