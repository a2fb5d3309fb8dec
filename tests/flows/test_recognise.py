"""Who is it? Devices, tokens, history handed over, clicks on trial (DESIGN 5)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.beacons import BeaconRecord, Source
from contracts.codec import to_json, to_msgpack
from contracts.errors import BadRecord
from contracts.events import Event, Trust
from contracts.log import Record
from contracts.reasons import Reason
from contracts.tokens import anonymous_id
from contracts.topics import BEACONS
from flows.recognise import HISTORY_EVENTS, HISTORY_MS, OLDEST_MS, Device, Rules, recognise, released

RULES = Rules(frozenset({"page_viewed", "email_clicked"}), quarantine_ms=60_000)
NOW_MS = 1_800_000_000_000


def sent(event_id: str, action: str = "page_viewed", at_ms: int = NOW_MS, **more: Any) -> dict[str, Any]:
    return {"event_id": event_id, "action": action, "occurred_at_ms": at_ms, **more}


def record(*events: Any, subscriber: str = "", at_ms: int = NOW_MS, **more: Any) -> BeaconRecord:
    body = to_json({"site": "k", "device": "d1", "sent_at_ms": at_ms, "events": list(events)})
    given = {"workspace": "w", "site": "s", "source": Source.SDK, "received_at_ms": at_ms, "body": body, "device": "d1"}
    return BeaconRecord(**{**given, "subscriber": subscriber, **more})


def stored(offset: int = 0, log_time_ms: int = NOW_MS) -> Record:
    return Record(BEACONS, 0, offset, log_time_ms, b"w/d1", b"")


def walk(*beacons: BeaconRecord) -> tuple[Device, list[Event]]:
    device, found = Device(), []
    for offset, beacon in enumerate(beacons):
        device, events, refused = recognise(device, beacon, stored(offset), RULES)
        assert refused == []
        found += events
    return device, found


def test_a_device_that_nobody_knows_is_an_anonymous_subscriber() -> None:
    _, (event,) = walk(record(sent("e1", properties={"path": "/"})))
    assert event.subscriber == anonymous_id("w", "d1")
    assert (event.trust, event.stitched, event.properties) == (Trust.BROWSER, False, {"path": "/"})


def test_history_is_handed_over_before_the_event_that_told() -> None:
    _, events = walk(record(sent("e1")), record(sent("e2")), record(sent("e3"), subscriber="s_anna"))
    person = [(event.event_id, event.stitched) for event in events if event.subscriber == "s_anna"]
    assert person == [("e1", True), ("e2", True), ("e3", False)]
    assert [event.event_id for event in events if event.subscriber.startswith("a_")] == ["e1", "e2"]


def test_history_is_two_hundred_events_of_a_day() -> None:
    old = record(sent("old", at_ms=NOW_MS - HISTORY_MS - 1), at_ms=NOW_MS - HISTORY_MS - 1)
    edge = record(sent("edge", at_ms=NOW_MS - HISTORY_MS), at_ms=NOW_MS - HISTORY_MS)
    _, events = walk(old, edge, record(sent("now"), subscriber="s_anna"))
    assert [event.event_id for event in events if event.stitched] == ["edge"]
    many = record(*(sent(f"e{number}") for number in range(HISTORY_EVENTS + 50)))
    _, events = walk(many, record(sent("now"), subscriber="s_anna"))
    assert next(event.event_id for event in events if event.stitched) == "e50"


WRONG = {
    "no_id": ({"action": "page_viewed", "occurred_at_ms": NOW_MS}, Reason.BAD_EVENT),
    "a_text": ("page_viewed", Reason.BAD_EVENT),
    "an_id_with_a_space": (sent("e 2"), Reason.BAD_EVENT),
    "an_id_and_a_line_end": (sent("e2\n"), Reason.BAD_EVENT),
    "an_id_of_other_digits": (sent("\u0662"), Reason.BAD_EVENT),
    "an_action_in_capitals": (sent("e2", "Page_Viewed"), Reason.BAD_EVENT),
    "unheard_of": (sent("e2", "danced"), Reason.UNKNOWN_ACTION),
    "no_number": (sent("e2", at_ms=-1), Reason.BAD_EVENT),
    "an_old_one": (sent("e2", at_ms=NOW_MS - OLDEST_MS - 1), Reason.CLOCK_OFF),
    "too_large_a_number": (sent("e2", properties={"n": [2**64]}), Reason.BAD_EVENT),
    "the_flows_own": (sent("e2", "session_ended"), Reason.UNKNOWN_ACTION),
    "no_servers": (sent("e2", "command_unchanged"), Reason.UNKNOWN_ACTION),
    "a_joining_of_nothing": (sent("e2", "list_joined"), Reason.BAD_EVENT),
    "too_long": (sent("e2", properties={"text": "a" * 40_000}), Reason.BAD_EVENT),
}


@pytest.mark.parametrize("name", WRONG)
def test_one_bad_event_of_a_beacon_is_refused_with_its_bytes_and_the_others_count(name: str) -> None:
    wrong, reason = WRONG[name]
    good = sent("e1", properties={"path": "/é", "tags": ["a", None, 2**63]})
    _, events, refused = recognise(Device(), record(good, wrong, sent("e3")), stored(), RULES)
    assert [event.event_id for event in events] == ["e1", "e3"]
    assert events[0].properties == good["properties"]
    assert [(each.reason, each.data) for each in refused] == [(reason, to_json(wrong))]


def test_a_body_longer_than_an_event_may_be_holds_as_many_as_it_holds() -> None:
    many = [sent(f"e{number}", properties={"text": "a" * 1_000}) for number in range(60)]
    _, events, refused = recognise(Device(), record(*many), stored(), RULES)
    assert ([event.event_id for event in events], refused) == ([each["event_id"] for each in many], [])


def test_a_known_device_stays_the_persons_without_the_token() -> None:
    _, events = walk(record(sent("e1"), subscriber="s_anna"), record(sent("e2")))
    assert [(event.subscriber, event.trust) for event in events] == [
        ("s_anna", Trust.TOKEN),
        ("s_anna", Trust.BROWSER),
    ]


def test_a_forwarded_mail_starts_a_new_device_and_merges_nobody() -> None:
    _, events = walk(record(sent("e1"), subscriber="s_anna"), record(sent("e2"), subscriber="s_ben"))
    assert [(event.subscriber, event.new_device, event.stitched) for event in events] == [
        ("s_anna", False, False),
        ("s_ben", True, False),
    ]


def test_the_clients_clock_is_corrected_and_never_later_than_received() -> None:
    year_ms = 365 * 86_400_000
    behind = record(sent("e1", at_ms=NOW_MS - year_ms - 5_000), skew_ms=year_ms)
    ahead = record(sent("e2", at_ms=NOW_MS + 60_000), skew_ms=0)
    _, events = walk(behind, ahead)
    assert [event.occurred_at_ms for event in events] == [NOW_MS - 5_000, NOW_MS]


def test_a_slow_connection_does_not_exchange_what_a_device_has_numbered() -> None:
    # The first request makes the connection (400 ms); the second leaves when it is answered, and takes 20 ms.
    added = record(sent("added", at_ms=NOW_MS, order=1), at_ms=NOW_MS + 400, skew_ms=400)
    bought = record(sent("bought", at_ms=NOW_MS + 300, order=2), at_ms=NOW_MS + 440, skew_ms=20)
    _, events = walk(added, bought)
    assert [event.event_id for event in sorted(events, key=lambda each: each.place)] == ["added", "bought"]


@given(
    ahead_ms=st.integers(-86_400_000, 86_400_000),
    apart_ms=st.lists(st.integers(0, 500), min_size=1, max_size=12),
    data=st.data(),
)
def test_whatever_the_clock_and_the_network_a_devices_events_keep_their_order(
    ahead_ms: int, apart_ms: list[int], data: st.DataObject
) -> None:
    """One request at a time, as the SDK sends them; each takes its own time to arrive."""
    beacons, at_ms, arrived_ms = [], NOW_MS, NOW_MS
    for number, each_ms in enumerate(apart_ms, 1):
        at_ms += each_ms
        left_ms = max(at_ms, arrived_ms)
        arrived_ms = left_ms + data.draw(st.integers(0, 2_000))
        event = sent(f"e{number}", at_ms=at_ms + ahead_ms, order=number)
        beacons.append(record(event, at_ms=arrived_ms, skew_ms=arrived_ms - left_ms - ahead_ms))
    device, events = walk(*beacons)
    numbers = [event.order for event in sorted(events, key=lambda each: each.place)]
    assert numbers == list(range(1, len(apart_ms) + 1))
    assert all(event.occurred_at_ms <= event.received_at_ms for event in events)
    assert (device.order, device.order_ms) == (events[-1].order, events[-1].occurred_at_ms)


def test_a_number_that_was_passed_and_a_server_move_nothing() -> None:
    """A tab that was offline brings what is older; whoever empties the browser's storage counts anew."""
    later = record(sent("later", order=9))
    earlier = record(sent("earlier", at_ms=NOW_MS - 5_000, order=4))
    body = to_json({"site": "k", "subscriber": "s_anna", "events": [sent("told", at_ms=NOW_MS - 9_000, order=99)]})
    server = record(source=Source.SERVER, subscriber="s_anna", body=body, device="")
    device, events = walk(later, earlier, server)
    assert [event.occurred_at_ms for event in events] == [NOW_MS, NOW_MS - 5_000, NOW_MS - 9_000]
    assert (device.order, device.order_ms) == (9, NOW_MS)


def test_bad_events_are_set_aside_and_the_others_count() -> None:
    beacon = record(sent("ok"), {"event_id": 5}, sent("x", action="nonsense_done"), "text", sent("ok2"))
    _, events, refused = recognise(Device(), beacon, stored(), RULES)
    assert [event.event_id for event in events] == ["ok", "ok2"]
    assert [each.reason for each in refused] == [Reason.BAD_EVENT, Reason.UNKNOWN_ACTION, Reason.BAD_EVENT]


def test_a_body_that_is_no_beacon_is_a_bad_record() -> None:
    with pytest.raises(BadRecord):
        recognise(Device(), record(body=b"{"), stored(), RULES)


def test_server_events_are_the_persons_with_a_servers_trust() -> None:
    body = to_json({"site": "k", "subscriber": "s_anna", "events": [sent("e1")]})
    _, (event,) = walk(record(source=Source.SERVER, subscriber="s_anna", body=body, device=""))
    assert (event.subscriber, event.trust) == ("s_anna", Trust.SERVER)


def clicked(scanner: str = "") -> BeaconRecord:
    properties = {"campaign": "spring"} | ({"scanner": scanner} if scanner else {})
    return record(source=Source.REDIRECT, subscriber="s_anna", body=b"", device="", click="c1", properties=properties)


def test_a_redirects_click_is_on_trial_until_the_quarantine_is_over() -> None:
    device, (event,) = walk(clicked())
    assert (event.event_id, event.action, event.provisional) == ("c-c1", "email_clicked", True)
    assert device.due_ms == NOW_MS + 60_000
    assert released(device, NOW_MS + 59_999) == (device, [])
    device, (verdict,) = released(device, NOW_MS + 60_000)
    assert (verdict.event_id, verdict.provisional, verdict.verdict) == ("c-c1", False, "confirmed:quarantine")
    assert device.is_nobody


def test_a_scanners_click_is_a_machines() -> None:
    device, _ = walk(clicked("head_request"))
    _, (verdict,) = released(device, NOW_MS + 60_000)
    assert verdict.verdict == "machine:head_request"


def test_a_landing_in_a_real_browser_confirms_the_click() -> None:
    _, (event,) = walk(record(sent("c-c1", "email_clicked"), subscriber="s_anna", click="c1"))
    assert (event.event_id, event.provisional, event.verdict) == ("c-c1", False, "confirmed:landed")


def test_an_open_says_whether_a_machine_fetched_it() -> None:
    beacon = record(source=Source.PIXEL, subscriber="s_anna", body=b"", device="", properties={"machine": "true"})
    _, (event,) = walk(beacon)
    assert (event.action, event.properties["machine"]) == ("email_opened", True)


@pytest.mark.parametrize("value", [10**20, 2**64, -(2**63) - 1, {"deep": [10**20]}])
def test_a_number_that_no_state_can_hold_is_set_aside_and_the_rest_of_its_beacon_counts(value: Any) -> None:
    events_sent = [sent("e1"), sent("e2", properties={"order": value}), sent("e3")]
    body = json.dumps({"site": "k", "device": "d1", "sent_at_ms": NOW_MS, "events": events_sent}).encode()
    device, events, refused = recognise(Device(), record(sent("e0"), body=body), stored(), RULES)
    assert [event.event_id for event in events] == ["e1", "e3"]
    assert [each.reason for each in refused] == [Reason.BAD_EVENT]
    assert to_msgpack(device)


@pytest.mark.parametrize(
    ("occurred_at_ms", "sent_at_ms", "kept"),
    [
        (0, NOW_MS, False),
        (-1 % NOW_MS, NOW_MS, True),
        (NOW_MS - OLDEST_MS, NOW_MS, True),
        (NOW_MS - OLDEST_MS - 1, NOW_MS, False),
        (NOW_MS - OLDEST_MS, NOW_MS + 1, False),
        (0, 253_402_300_799_999, False),
        (253_402_300_799_999, NOW_MS, True),
        (253_402_300_799_999, 0, True),
    ],
)
def test_a_time_far_from_now_is_an_event_or_set_aside(occurred_at_ms: int, sent_at_ms: int, kept: bool) -> None:
    beacon = record(sent("e1", at_ms=occurred_at_ms), skew_ms=NOW_MS - sent_at_ms)
    _, events, refused = recognise(Device(), beacon, stored(), RULES)
    assert [0 <= event.occurred_at_ms <= NOW_MS for event in events] == [True] * kept
    assert [each.reason for each in refused] == [Reason.CLOCK_OFF] * (not kept)
