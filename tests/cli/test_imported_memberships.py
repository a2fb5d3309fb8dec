"""``segma import`` and ``segma reconcile`` tell listeners who is in a list, by import: no veto is lifted by it."""

from __future__ import annotations

from pathlib import Path

from cli.people import import_people
from cli.reconcile import Drift, membership_reports
from contracts.actions import VOCABULARY
from contracts.beacons import BeaconRecord
from contracts.codec import msgpack_reader
from contracts.events import Event, Trust
from contracts.log import Record
from contracts.reading import all_of
from contracts.topics import BEACONS, fixed_topics
from flows.derived.joinings import joining_of
from flows.recognise import Device, Rules, recognise
from sinks.base import Member
from tests.cli.importing_home import home, id_of, segma_import, told
from transport import open_log
from transport.config import Settings, wall_clock_ms

__all__ = ["home"]
RULES = Rules(frozenset(VOCABULARY), 60_000)
_read = msgpack_reader(BeaconRecord)


def recognised(record: Record) -> list[Event]:
    _, events, refused = recognise(Device(), _read(record.value or b""), record, RULES)
    assert not refused
    return events


def events_of(home: Path) -> list[Event]:
    """What the flow hears of it; nothing may be refused."""
    log = open_log(Settings(data=home / "data"))
    log.ensure(fixed_topics())
    found = [event for record in all_of(log, BEACONS) for event in recognised(record)]
    log.close()
    return found


def in_short(home: Path) -> list[tuple[str, str]]:
    return [(event.subscriber, event.action) for event in events_of(home)]


def test_members_have_joined_and_leavings_have_left_by_import(home: Path) -> None:
    rows = "ada@example.org,active,\nben@example.org,unsubscribed,2026-01-02T03:04:05Z\n"
    segma_import(home, f"email,status,unsubscribed_at\n{rows}")
    left, joined = events_of(home)
    said = {"account": "mailbox", "list": "newsletter", "by": "import"}
    assert (left.subscriber, left.action, left.properties) == (id_of("ben@example.org"), "list_left", said)
    assert left.occurred_at_ms == min(1_767_323_045_000, left.received_at_ms)
    assert (joined.subscriber, joined.action, joined.properties) == (id_of("ada@example.org"), "list_joined", said)
    assert {left.trust, joined.trust} == {Trust.SERVER}
    assert joining_of(joined) is None, "an import lifts nothing"


def test_importing_again_tells_a_leaving_once_and_a_run_has_ids_of_its_own(home: Path) -> None:
    rows = "email,status\nada@example.org,active\nben@example.org,unsubscribed\n"
    for _ in range(2):
        segma_import(home, rows)
    ada, ben = id_of("ada@example.org"), id_of("ben@example.org")
    assert in_short(home) == [(ben, "list_left"), (ada, "list_joined"), (ada, "list_joined")]
    assert len({event.event_id for event in events_of(home)}) == 3, "who left in between is in it again"


def test_a_file_does_not_tell_of_whom_a_veto_knows_better_and_the_platform_does(home: Path) -> None:
    segma_import(home, "email,status\nben@example.org,unsubscribed\n")
    segma_import(home, "email,status\nben@example.org,active\n", name="older.csv")
    assert [action for _, action in in_short(home)] == ["list_left"]
    import_people(home, "demo/mailbox", "newsletter", [Member("ben@example.org", "Ben", person="7")])
    assert [action for _, action in in_short(home)] == ["list_left"], "members that are handed over are no sighting"


def test_a_leaving_of_long_ago_is_a_veto_and_no_event(home: Path) -> None:
    done = segma_import(home, "email,status,unsubscribed_at\nben@example.org,unsubscribed,2019-01-02T03:04:05Z\n")
    assert told(done)["vetoes"] == 1
    assert events_of(home) == []


def test_a_trial_tells_nothing(home: Path) -> None:
    segma_import(home, "email\nada@example.org\n", "--dry-run")
    assert events_of(home) == []


def test_the_drift_of_a_list_is_told_as_of_before_it_was_read() -> None:
    drift = Drift(missing=["s_1"], left=["s_2"], back=["s_3"], behind=["s_4"])
    since_ms = wall_clock_ms() - 5_000
    records = list(membership_reports(drift, "demo", "mailbox", "vip", since_ms))
    beacons = [Record(BEACONS, 0, 0, since_ms, each.key, each.value) for each in records]
    events = [event for record in beacons for event in recognised(record)]
    told = [(event.subscriber, event.action, event.properties["by"]) for event in events]
    assert told == [
        ("s_1", "list_left", "import"),
        ("s_2", "list_left", "import"),
        ("s_3", "list_joined", "import"),
    ]
    assert {event.occurred_at_ms for event in events} == {since_ms}
