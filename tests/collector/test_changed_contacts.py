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
from tests.collector.hooked import ANNA, FORM, HOOK, events, mailchimp

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
