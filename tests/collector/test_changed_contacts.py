"""Changed addresses that a platform tells: who is whose afterwards, and who is never merged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from collector.app import create_app
from collector.hooks import Hook
from collector.platform_ids import Known
from contracts.codec import json_reader, to_json
from contracts.errors import LogUnavailable
from contracts.log import Consumer, Record
from contracts.rows import DirectoryEntry
from contracts.tokens import subscriber_id
from contracts.topics import SUBSCRIBERS, subscriber_key
from tests.collector.door import NOW_MS, SECRET, Collector, posted
from tests.collector.hooked import ANNA, FORM, HOOK, events, mailchimp, vetoes

MAILCHIMP = f"/v1/hooks/shop/mailchimp/{HOOK}"


class Directory:
    """A directory of some people; a reader of it reads them once."""

    def __init__(self, *entries: DirectoryEntry) -> None:
        self.records = [
            Record(SUBSCRIBERS, 0, number, NOW_MS, subscriber_key(each.workspace, each.subscriber), to_json(each))
            for number, each in enumerate(entries)
        ]

    def __call__(self) -> Consumer:
        reader: Any = _Once(self.records)
        return reader  # type: ignore[no-any-return]


class _Once:
    def __init__(self, records: list[Record]) -> None:
        self._left = list(records)

    def poll(self, max_records: int, timeout_s: float = 0.0) -> list[Record]:
        found, self._left = self._left, []
        return found

    def close(self) -> None:
        if self._left:
            raise LogUnavailable("closed before its end")


def changed(tmp_path: Path, *others: DirectoryEntry) -> tuple[Collector, Known, list[DirectoryEntry]]:
    """A collector to which Mailchimp tells that Anna has a new address; the entries that it writes then."""
    collector = Collector(tmp_path)
    directory = Directory(DirectoryEntry("shop", ANNA, "anna@example.org", "Anna", {"hubspot": "7"}), *others)
    known = Known([("shop", "mailchimp")], directory, secrets={"shop": SECRET})
    collector.app = create_app(collector.core, {("shop", "mailchimp"): Hook("mailchimp", HOOK)}, known)
    body = mailchimp("upemail", **{"data[old_email]": "anna@example.org", "data[new_email]": "Ann@new.example"})
    assert posted(collector, body, path=MAILCHIMP, headers=FORM).status_code == 204
    written = [each for each in collector.log.records if each.topic == SUBSCRIBERS]
    known.take([Record(SUBSCRIBERS, 0, 9, NOW_MS, each.key, each.value) for each in written])
    read = json_reader(DirectoryEntry)
    return collector, known, [read(each.value) for each in written if each.value is not None]


def test_who_changes_their_address_is_the_same_person(tmp_path: Path) -> None:
    collector, known, (entry,) = changed(tmp_path)
    assert (entry.subscriber, entry.address, entry.name, entry.platform_ids) == (
        ANNA,
        "ann@new.example",
        "Anna",
        {"hubspot": "7"},
    )
    body = mailchimp("unsubscribe", **{"data[email]": "ANN@new.example"})
    posted(collector, body, path=MAILCHIMP, headers=FORM)
    event = {"event_id": "e1", "action": "logged_in", "occurred_at_ms": NOW_MS}
    call = {"site": "shop-key", "address": "ann@new.example", "events": [event]}
    posted(collector, call, path="/v1/events", headers={"Authorization": "Bearer server-secret"})
    assert [event.subscriber for event in events(collector)] == [ANNA, ANNA]
    known.take([Record(SUBSCRIBERS, 0, 10, NOW_MS, subscriber_key("shop", ANNA), None)])
    fresh = subscriber_id(SECRET, "ann@new.example")
    assert known.current("shop", fresh) == fresh, "whoever was forgotten is nobody any more"


def test_who_changes_their_address_again_is_known_by_the_one_in_between(tmp_path: Path) -> None:
    collector, known, (entry,) = changed(tmp_path)
    known._open_reader = Directory(entry)
    body = mailchimp("upemail", **{"data[old_email]": "ann@new.example", "data[new_email]": "ann@newest.example"})
    assert posted(collector, body, path=MAILCHIMP, headers=FORM).status_code == 204
    newest = [each for each in collector.log.records if each.topic == SUBSCRIBERS][-1]
    known.take([Record(SUBSCRIBERS, 0, 10, NOW_MS, newest.key, newest.value)])
    moved = json_reader(DirectoryEntry)(newest.value or b"")
    between, now = (subscriber_id(SECRET, f"ann@{each}.example") for each in ("new", "newest"))
    assert (moved.subscriber, moved.address, moved.former) == (ANNA, "ann@newest.example", (between,))
    assert [known.current("shop", each) for each in (between, now)] == [ANNA, ANNA]
    known.take([Record(SUBSCRIBERS, 0, 11, NOW_MS, newest.key, None)])
    assert [known.current("shop", each) for each in (between, now)] == [between, now]


def test_two_known_people_are_never_merged(tmp_path: Path) -> None:
    other = DirectoryEntry("shop", subscriber_id(SECRET, "ann@new.example"), "ann@new.example")
    assert changed(tmp_path, other)[2] == []


def test_what_one_call_tells_behind_a_change_is_of_the_same_person(tmp_path: Path) -> None:
    """Campaign Monitor bundles what happened; Ghost tells a new address and a leaving as one."""
    for number, (sink, body) in enumerate(
        (
            (
                "campaignmonitor",
                {
                    "ListID": "l",
                    "Events": [
                        {"Type": "Update", "OldEmailAddress": "anna@example.org", "EmailAddress": "ann@new.example"},
                        {"Type": "Update", "OldEmailAddress": "ann@new.example", "EmailAddress": "ann@newer.example"},
                        {"Type": "Deactivate", "State": "Unsubscribed", "EmailAddress": "ANN@newer.example"},
                    ],
                },
            ),
            (
                "ghost",
                {
                    "member": {
                        "current": {"email": "ann@newer.example", "newsletters": []},
                        "previous": {"email": "anna@example.org", "newsletters": [{"id": "1"}]},
                    }
                },
            ),
        )
    ):
        (tmp_path / str(number)).mkdir()
        collector = Collector(tmp_path / str(number))
        known = Known([], Directory(DirectoryEntry("shop", ANNA, "anna@example.org")), secrets={"shop": SECRET})
        collector.app = create_app(collector.core, {("shop", sink): Hook(sink, HOOK)}, known)
        assert posted(collector, body, path=f"/v1/hooks/shop/{sink}/{HOOK}").status_code == 204
        assert {veto.subscriber for veto in vetoes(collector) if veto is not None} == {ANNA}
        (written,) = [each for each in collector.log.records if each.topic == SUBSCRIBERS]
        entry = json_reader(DirectoryEntry)(written.value or b"")
        assert (entry.subscriber, entry.address) == (ANNA, "ann@newer.example")
        between = (subscriber_id(SECRET, "ann@new.example"),) if sink == "campaignmonitor" else ()
        assert entry.former == between


def test_what_one_call_tells_of_an_address_that_is_somebody_elses_is_theirs(tmp_path: Path) -> None:
    collector = Collector(tmp_path)
    bo = subscriber_id(SECRET, "bo@example.org")
    people = DirectoryEntry("shop", ANNA, "anna@example.org"), DirectoryEntry("shop", bo, "bo@example.org")
    known = Known([], Directory(*people), secrets={"shop": SECRET})
    collector.app = create_app(collector.core, {("shop", "campaignmonitor"): Hook("campaignmonitor", HOOK)}, known)
    events_told = [
        {"Type": "Update", "OldEmailAddress": "anna@example.org", "EmailAddress": "bo@example.org"},
        {"Type": "Deactivate", "State": "Unsubscribed", "EmailAddress": "bo@example.org"},
    ]
    body = {"ListID": "l", "Events": events_told}
    assert posted(collector, body, path=f"/v1/hooks/shop/campaignmonitor/{HOOK}").status_code == 204
    assert {veto.subscriber for veto in vetoes(collector) if veto is not None} == {bo}
    assert [each for each in collector.log.records if each.topic == SUBSCRIBERS] == []
