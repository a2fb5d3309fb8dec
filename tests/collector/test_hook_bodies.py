"""Webhooks whose bodies are packed, nest too deep, or name lists and people by addresses in other spellings."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from collector.app import create_app
from collector.hooks import Hook
from collector.notices import SUBSCRIBED, Notice, read_json, without_address
from collector.platform_ids import Known
from contracts.codec import MAX_DEPTH, json_reader, to_json
from contracts.errors import BadInput
from contracts.log import Record
from contracts.rows import DirectoryEntry
from contracts.tokens import subscriber_id
from contracts.topics import SUBSCRIBERS, subscriber_key
from tests.collector.door import NOW_MS, SECRET, Collector, posted
from tests.collector.hooked import ANNA, FORM, HOOK, by_klaviyo, events, klaviyo, mailchimp, vetoes, with_doors
from tests.collector.test_changed_contacts import Directory

MAILMAN = f"/v1/hooks/shop/mailman/{HOOK}"
UNICODE, ASCII = "ute@müller.example", "ute@xn--mller-kva.example"
UTE = subscriber_id(SECRET, ASCII)


def deep(levels: int) -> Any:
    found: Any = 1
    for _ in range(levels):
        found = {"x": found}
    return found


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return with_doors(tmp_path)


@pytest.mark.parametrize("place", ["inside", "whole"])
def test_an_event_that_nests_too_deep_costs_the_others_nothing(collector: Collector, place: str) -> None:
    people = ("bo@example.org", "anna@example.org")
    told = json.loads(klaviyo(*(("opened_email", {"email": each}) for each in people)))
    if place == "inside":
        told["data"][0]["payload"]["more"] = deep(60)
    else:
        told["data"][0] = deep(60)
    body = json.dumps(told).encode()
    answer = posted(collector, body, path="/v1/hooks/shop/klaviyo", headers=by_klaviyo(body))
    assert (answer.status_code, answer.json["reason"]) == (422, "missing_field")
    assert [event.subscriber for event in events(collector)] == [ANNA]


@pytest.mark.parametrize("many", [1, 3])
def test_so_it_is_in_a_list_of_our_own_words(collector: Collector, many: int) -> None:
    bad = {"action": "email_opened", "address": "bo@example.org", "x": deep(40)}
    good = {"action": "email_unsubscribed", "address": "anna@example.org", "note": '[[ " {{'}
    body = json.dumps([bad] * many + [good] + [bad] * many).encode()
    answer = posted(collector, body, path=f"/v1/hooks/shop/kit/{HOOK}")
    assert (answer.status_code, answer.json["reason"]) == (422, "missing_field")
    assert [veto.subscriber for veto in vetoes(collector) if veto is not None] == [ANNA]


@pytest.mark.parametrize(
    ("body", "read"),
    [
        ([deep(40), 1, [deep(40)], deep(2)], [None, 1, None, deep(2)]),
        ({"a": [deep(40)], "b": [[]], "c": [1, deep(40)]}, {"a": [None], "b": [[]], "c": [1, None]}),
        ([{"s": "],[" * 40}, deep(MAX_DEPTH - 1), deep(MAX_DEPTH)], [{"s": "],[" * 40}, deep(MAX_DEPTH - 1), None]),
    ],
)
def test_only_the_item_that_nests_too_deep_is_nothing(body: Any, read: Any) -> None:
    assert read_json(json.dumps(body).encode()) == read


@pytest.mark.parametrize("body", [json.dumps(deep(40)).encode(), b"[" * 40, b"[1," + b"{" * 90, b'{"a":' * 40])
def test_a_body_that_is_nothing_else_is_refused(body: bytes) -> None:
    with pytest.raises(BadInput) as refused:
        read_json(body)
    assert str(refused.value.reason) == "too_deep"


def test_a_packed_webhook_is_read(collector: Collector) -> None:
    body = json.dumps({"action": "email_unsubscribed", "address": "anna@example.org"}).encode()
    for packed in (zlib.compress(body), zlib.compress(body, wbits=-15)):
        answer = posted(collector, packed, path=f"/v1/hooks/shop/kit/{HOOK}", headers={"Content-Encoding": "deflate"})
        assert answer.status_code == 204
    assert {veto.subscriber for veto in vetoes(collector) if veto is not None} == {ANNA}


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("news", "news"),
        ("news@lists.example", "news"),
        ("News@Lists.Example", "News"),
        ("news@elsewhere.example", ""),
        ("anna@example.org", ""),
        ("List of anna@example.org", ""),
        ("anna%40example.org", ""),
        ("", ""),
    ],
)
def test_a_list_is_named_as_segma_has_it_and_never_by_an_address(told: str, kept: str) -> None:
    left = Notice("email_unsubscribed", "anna@example.org", "", told)
    assert without_address(left, "lists.example").list_name == kept
    joined = without_address(left._replace(action=SUBSCRIBED), "lists.example")
    assert joined.list_name == kept
    assert (joined.action == SUBSCRIBED) is (kept != "" or told == "")


def test_no_address_of_a_list_stands_in_what_a_hook_stores(tmp_path: Path) -> None:
    collector = Collector(tmp_path)
    hooks = {("shop", "mailman"): Hook("mailman", HOOK, "lists.example")}
    collector.app = create_app(collector.core, hooks, Known())
    for name in ("news@lists.example", "bo@example.org"):
        told = {"action": "email_unsubscribed", "address": "anna@example.org", "list": name}
        assert posted(collector, told, path=MAILMAN).status_code == 204
    assert [veto.list_name for veto in vetoes(collector) if veto is not None] == ["news", ""]
    told_of = [(event.action, event.properties.get("list")) for event in events(collector)]
    assert told_of == [("list_left", "news"), ("email_unsubscribed", "news"), ("email_unsubscribed", None)]
    stored = b"".join(each.key + (each.value or b"") for each in collector.log.records)
    assert b"@" not in stored
    assert b"lists.example" not in stored


@pytest.mark.parametrize("address", [UNICODE, ASCII, ASCII.upper(), f"Ute <{UNICODE}>"])
def test_every_door_knows_one_person_by_either_spelling(collector: Collector, address: str) -> None:
    body = mailchimp("unsubscribe", **{"data[email]": address})
    assert posted(collector, body, path=f"/v1/hooks/shop/mailchimp/{HOOK}", headers=FORM).status_code == 204
    event = {"event_id": "e1", "action": "logged_in", "occurred_at_ms": NOW_MS}
    call = {"site": "shop-key", "address": address, "events": [event]}
    by_server = {"Authorization": "Bearer server-secret"}
    assert posted(collector, call, path="/v1/events", headers=by_server).status_code == 204
    assert {each.subscriber for each in events(collector)} == {UTE}
    assert [veto.subscriber for veto in vetoes(collector) if veto is not None] == [UTE]


def test_who_stands_in_the_directory_under_the_id_of_before_is_the_same_person() -> None:
    """Ids were once made of the domain as it was written."""
    known = Known(secrets={"shop": SECRET})
    entry = DirectoryEntry("shop", "s_before", UNICODE)
    known.take([Record(SUBSCRIBERS, 0, 0, NOW_MS, subscriber_key("shop", "s_before"), to_json(entry))])
    assert known.current("shop", UTE) == "s_before"


def test_an_address_that_changes_its_spelling_alone_is_written_down(tmp_path: Path) -> None:
    """The platform has it in the new one, and is asked with it."""
    collector = Collector(tmp_path)
    known = Known([("shop", "mailchimp")], Directory(DirectoryEntry("shop", UTE, ASCII)), secrets={"shop": SECRET})
    collector.app = create_app(collector.core, {("shop", "mailchimp"): Hook("mailchimp", HOOK)}, known)
    body = mailchimp("upemail", **{"data[old_email]": ASCII, "data[new_email]": UNICODE})
    assert posted(collector, body, path=f"/v1/hooks/shop/mailchimp/{HOOK}", headers=FORM).status_code == 204
    (written,) = [each for each in collector.log.records if each.topic == SUBSCRIBERS]
    entry = json_reader(DirectoryEntry)(written.value or b"")
    assert (entry.subscriber, entry.address, entry.former) == (UTE, UNICODE, ())
