"""One bad event is one dead letter and the rest of its beacon counts; bodies as they really come; nothing leaks."""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import falcon.testing
import pytest

from collector.event_texts import parts_of
from contracts.beacons import BeaconRecord
from contracts.codec import depth_exceeds
from contracts.log import Record
from contracts.reasons import Reason
from contracts.topics import BEACONS
from flows.recognise import Device, recognise
from tests.collector.door import NOW_MS, ORIGIN, Collector, beacon, got, posted, token
from tests.collector.hooked import FORM, HOOK, RULES, mailchimp, with_doors

SERVER = {"Authorization": "Bearer server-secret"}


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return Collector(tmp_path, max_events=20)


def event(number: int, properties: str = "{}") -> bytes:
    return (
        f'{{"event_id": "e{number}", "action": "page_viewed", "occurred_at_ms": {NOW_MS}, "properties": {properties}}}'
    ).encode()


def sent(collector: Collector, door: str, events: list[bytes]) -> falcon.testing.Result:
    """Post a beacon of these events' texts through the SDK's door or the servers'."""
    joined = b"[" + b",".join(events) + b"]"
    if door == "sdk":
        head = f'{{"site": "shop-key", "device": "d1", "sent_at_ms": {NOW_MS}, "events": '.encode()
        return posted(collector, head + joined + b"}")
    head = b'{"events": '
    tail = b', "site": "shop-key", "subscriber": "s_anna"}'
    return posted(collector, head + joined + tail, path="/v1/events", headers=SERVER)


def told(records: list[BeaconRecord]) -> tuple[list[str], list[Reason]]:
    """The ids of the events that the flow makes of records, and why it set others aside."""
    ids, reasons = [], []
    for record in records:
        _, events, refused = recognise(Device(), record, Record(BEACONS, 0, 0, NOW_MS, b"k", b""), RULES)
        ids += [each.event_id for each in events]
        reasons += [each.reason for each in refused]
    return ids, reasons


def test_a_second_list_of_events_is_not_lost_with_the_first(collector: Collector) -> None:
    body = b'{"events": [{"a": NaN}], "site": "shop-key", "device": "d1", "sent_at_ms": %d, "events": [%s]}'
    assert posted(collector, body % (NOW_MS, event(1))).status_code == 204
    assert told(collector.beacons()) == (["e1"], [])
    assert [letter.reason for letter in collector.letters()] == ["bad_event"]


@pytest.mark.parametrize("address", ["   ", "anna", "anna@", "anna\0@example.org", "anna@example.org, bo@example.org"])
def test_a_server_is_told_what_is_no_address(collector: Collector, address: str) -> None:
    body = {"site": "shop-key", "address": address, "events": [json.loads(event(1))]}
    answer = posted(collector, body, path="/v1/events", headers=SERVER)
    assert (answer.status_code, answer.json["reason"]) == (422, "wrong_type")
    assert collector.beacons() == []


@pytest.mark.parametrize("door", ["sdk", "server"])
@pytest.mark.parametrize(
    "text", ["Contact:\njo@shop.example", "\tjo@shop.example\r\n", "a\\\njo@shop.example", "x/jo@shop.example"]
)
def test_an_address_on_a_line_of_its_own_costs_no_event(collector: Collector, door: str, text: str) -> None:
    events = [event(1), event(2, json.dumps({"note": text})), event(3)]
    assert sent(collector, door, events).status_code == 204
    assert told(collector.beacons()) == (["e1", "e2", "e3"], [])
    assert b"jo@" not in collector.beacons()[0].body


@pytest.mark.parametrize("door", ["sdk", "server"])
@pytest.mark.parametrize(
    "bad",
    [
        event(7, '{"note": "half \\ud83d"}'),
        event(7, '{"note": "\\ude00 half"}'),
        event(7, '{"\\ud83d": 1}'),
        event(7, '{"price": NaN}'),
        event(7, '{"price": -Infinity}'),
        event(7, '{"price": 01}'),
        event(7, '{"price": undefined}'),
        event(7, '{"note": "a\nb"}'),
        event(7, '{"note": "a\0b"}'),
        event(7, '{"a": ' + "[" * 60 + "]" * 60 + "}"),
        event(7, '{"a": "caf').replace(b"caf", b"caf\xe9") + b'"}}',
        event(7, '{"a": "').removesuffix(b"}") + b'\xed\xa0\xbd"}}',
        b"",
        b"{'event_id': 1}",
    ],
    ids=range(14),
)
def test_one_event_that_no_reader_takes_is_one_dead_letter_and_nineteen_count(
    collector: Collector, door: str, bad: bytes
) -> None:
    if bad.count(b'"') % 2:
        pytest.fail("the example must end its strings")
    events = [event(number) for number in range(20)]
    events[7] = bad
    assert sent(collector, door, events).status_code == 204
    assert told(collector.beacons()) == ([f"e{number}" for number in range(20) if number != 7], [])
    (letter,) = collector.letters()
    assert (letter.reason, letter.topic, letter.workspace, letter.site) == ("bad_event", "http", "shop", "shop")
    assert letter.size == len(bad.strip())


@pytest.mark.parametrize("door", ["sdk", "server"])
@pytest.mark.parametrize("value", ["99999999999999999999", "9" * 310, "9" * 5_000, "1e400"])
def test_one_event_with_a_number_that_nothing_keeps_is_set_aside_and_nineteen_count(
    collector: Collector, door: str, value: str
) -> None:
    events = [event(number, f'{{"order": {value if number == 7 else number}}}') for number in range(20)]
    assert sent(collector, door, events).status_code == 204
    ids, reasons = told(collector.beacons())
    assert ids == [f"e{number}" for number in range(20) if number != 7]
    assert [*reasons, *(each.reason for each in collector.letters())] == ["bad_event"]


@pytest.mark.parametrize("door", ["sdk", "server"])
def test_where_every_event_is_bad_each_is_a_dead_letter(collector: Collector, door: str) -> None:
    bad = event(1, '{"a": "\\ud83d"}')
    assert sent(collector, door, [bad, bad]).status_code == 204
    assert collector.beacons() == []
    assert [each.reason for each in collector.letters()] == ["bad_event", "bad_event"]


def test_bad_events_count_against_the_sites_limit(collector: Collector) -> None:
    answer = sent(collector, "sdk", [event(1, '{"a": NaN}')] * 21)
    assert (answer.status_code, answer.json["reason"]) == (413, "too_many_events")


@pytest.mark.parametrize(
    "body",
    [
        b'{"site": "shop-key", "events": [{"a": NaN}',
        b'{"site": "shop-key", "events": [{"a": "x}]}',
        b'{"site": "shop-key", "events": {"a": NaN}}',
        b'{"site": NaN, "events": [{}]}',
        b'["events", [NaN]]',
        b'{"a": "events", "b": [NaN]}',
        b'"' * 50_000,
        b'"' + b'\\"' * 100_000,
        b"[{" * 90_000,
    ],
)
def test_a_body_that_cannot_be_parted_is_refused_as_a_whole(collector: Collector, body: bytes) -> None:
    answer = posted(collector, body)
    assert answer.json["reason"] in {"not_json", "too_deep", "wrong_type"}
    assert collector.beacons() == []


def test_the_parts_of_a_text_are_its_own_bytes() -> None:
    body = b'{"x": {"events": [1]}, "y": ["events"], "events" : [ {"a": "],[\\""} , [] ,3 ] , "z": 1}'
    parts = parts_of(body)
    assert parts is not None
    assert parts.events == [b'{"a": "],[\\""}', b"[]", b"3"]
    assert json.loads(parts.holding(parts.events)) == json.loads(body)


@pytest.mark.parametrize(
    ("text", "deep"),
    [(b"[" * 33, True), (b"[" * 32 + b"]" * 32, False), (b'"' + b"[" * 50 + b'"', False), (b"[]" * 90, False)],
)
def test_depth_is_seen_without_parsing(text: bytes, deep: bool) -> None:
    assert depth_exceeds(text) is deep


BODY = json.dumps(beacon()).encode()


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (codecs.BOM_UTF8 + BODY, {}),
        (gzip.compress(BODY), {"Content-Encoding": "gzip"}),
        (gzip.compress(codecs.BOM_UTF8 + BODY), {"Content-Encoding": "x-gzip"}),
        (zlib.compress(BODY), {"Content-Encoding": "deflate"}),
        (zlib.compress(codecs.BOM_UTF8 + BODY, 9), {"Content-Encoding": "Deflate"}),
        (zlib.compress(BODY, wbits=-15), {"Content-Encoding": "deflate"}),
        (BODY, {"Content-Encoding": "identity"}),
        (BODY, {"Content-Type": "application/x-www-form-urlencoded"}),
        (BODY, {"Content-Type": "multipart/form-data; boundary=x"}),
        (BODY, {"Content-Type": "application/octet-stream"}),
        (BODY, {"Content-Type": "text/plain; charset=iso-8859-1"}),
        (BODY, {"Content-Type": "nonsense"}),
    ],
)
def test_a_body_that_is_json_counts_however_it_is_wrapped_and_called(
    collector: Collector, body: bytes, headers: dict[str, str]
) -> None:
    assert posted(collector, body, headers={"Origin": ORIGIN, **headers}).status_code == 204
    assert [json.loads(record.body)["events"] for record in collector.beacons()] == [json.loads(BODY)["events"]]
    server = json.dumps({"site": "shop-key", "subscriber": "s_anna", "events": [json.loads(event(1))]}).encode()
    packing = headers.get("Content-Encoding", "").lower()
    wrapped = gzip.compress(server) if "gzip" in packing else zlib.compress(server) if packing == "deflate" else server
    assert posted(collector, wrapped, path="/v1/events", headers={**SERVER, **headers}).status_code == 204


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (BODY, {"Content-Encoding": "gzip"}, 415, "unsupported_media"),
        (BODY, {"Content-Encoding": "br"}, 415, "unsupported_media"),
        (gzip.compress(BODY)[:-9], {"Content-Encoding": "gzip"}, 415, "unsupported_media"),
        (gzip.compress(BODY) + b"more", {"Content-Encoding": "gzip"}, 415, "unsupported_media"),
        (gzip.compress(gzip.compress(BODY)), {"Content-Encoding": "gzip, gzip"}, 415, "unsupported_media"),
        (gzip.compress(b" " * 2_000_000), {"Content-Encoding": "gzip"}, 413, "too_large"),
        (BODY, {"Content-Encoding": "deflate"}, 415, "unsupported_media"),
        (b"", {"Content-Encoding": "deflate"}, 415, "unsupported_media"),
        (gzip.compress(BODY), {"Content-Encoding": "deflate"}, 415, "unsupported_media"),
        (zlib.compress(BODY)[:-2], {"Content-Encoding": "deflate"}, 415, "unsupported_media"),
        (zlib.compress(BODY, wbits=-15) + b"more", {"Content-Encoding": "deflate"}, 415, "unsupported_media"),
        (zlib.compress(b" " * 2_000_000), {"Content-Encoding": "deflate"}, 413, "too_large"),
        (zlib.compress(b" " * 2_000_000, wbits=-15), {"Content-Encoding": "deflate"}, 413, "too_large"),
        (
            BODY.decode().encode("utf-16"),
            {"Content-Type": "application/json; charset=utf-16"},
            415,
            "unsupported_media",
        ),
        (b"--x\r\n\r\n{}\r\n--x--", {"Content-Type": "multipart/form-data; boundary=x"}, 415, "unsupported_media"),
        (b"a=1&b=2", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media"),
        (b"a=1&b=2", {"Content-Type": "application/json"}, 400, "not_json"),
    ],
)
def test_what_is_no_json_text_is_refused_with_a_sentence(
    collector: Collector, body: bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    answer = posted(collector, body, headers={"Origin": ORIGIN, **headers})
    assert (answer.status_code, answer.json["reason"]) == (status, reason)
    assert len(answer.json["detail"]) > 15
    assert collector.beacons() == []


CANARY = "canary@leak.example"


def kept(collector: Collector) -> str:
    """All bytes that the collector has handed to the log."""
    return b"".join(each.key + (each.value or b"") for each in collector.log.records).decode("latin-1")


@pytest.mark.parametrize("address", [CANARY, quote(CANARY), quote(quote(CANARY))])
def test_no_door_keeps_an_address_or_a_token(tmp_path: Path, address: str) -> None:
    collector = with_doors(tmp_path)
    link = f"https://shop.example/x?e={address}&sgm={token()}"
    properties: dict[str, Any] = {"url": link, "email": address, address: 1, "deep": [{"to": f"Zoe <{address}>"}]}
    one = {"event_id": "e1", "action": "page_viewed", "occurred_at_ms": NOW_MS, "properties": properties}
    headers = {"Origin": ORIGIN, "User-Agent": f"Reader of {address}", "Content-Type": "text/plain"}
    for body in (
        beacon(events=[one], token=token()),
        beacon(events=[one], token=address),
        beacon(events=[one], click=address),
        beacon(events=[one], site="nobody", token=token()),
        beacon(events=[one] * 9, token=token()),
        {"email": address, "token": token()},
    ):
        posted(collector, body, headers=headers)
    posted(collector, beacon(events=[one]), headers={**headers, "Origin": f"https://{address}"})
    posted(collector, json.dumps(beacon(events=[one], token=token())).encode()[:-30], headers=headers)
    posted(collector, json.dumps(beacon(events=[one | {"properties": {"a": address, "b": "\ud83d"}}])).encode())
    for server in (
        {"address": CANARY},
        {"subscriber": "s_anna"},
        {"subscriber": address},
        {"address": CANARY, "x": "\ud83d"},
    ):
        posted(collector, {"site": "shop-key", "events": [one], **server}, path="/v1/events", headers=SERVER)
    posted(
        collector,
        mailchimp("cleaned", **{"data[reason]": address}),
        path=f"/v1/hooks/shop/mailchimp/{HOOK}",
        headers=FORM,
    )
    click = {"type": "click", "contact[email]": CANARY, "link[url]": link, "campaign[name]": f"For {address}"}
    posted(collector, urlencode(click).encode(), path=f"/v1/hooks/shop/activecampaign/{HOOK}", headers=FORM)
    ours = {"action": "email_clicked", "address": CANARY, "url": link, "campaign": address, "list": "news"}
    posted(collector, ours, path=f"/v1/hooks/shop/klaviyo/{HOOK}", headers={})
    got(collector, f"/r/{token()}", params={"u": link, "utm_campaign": address}, headers=headers)
    got(collector, f"/o/{token()}.gif", params={"utm_campaign": address}, headers=headers)
    assert len(collector.beacons()) >= 9
    assert "canary" not in kept(collector)
    assert token().partition(".")[2][:60] not in kept(collector)


@pytest.mark.parametrize("left", range(0, 24, 4))
def test_no_half_of_an_address_is_left_where_a_text_is_cut(tmp_path: Path, left: int) -> None:
    collector = with_doors(tmp_path)

    def cut_at(length: int) -> str:
        return f"{'x' * (length - left - 1)} canary@leak.example"

    headers = {"User-Agent": cut_at(256), "Origin": ORIGIN}
    posted(collector, beacon(), headers=headers)
    posted(collector, beacon(), headers={"Origin": cut_at(100)})
    link = {"u": "https://shop.example/", "utm_campaign": cut_at(200)}
    got(collector, f"/r/{token()}", params=link, headers=headers)
    got(collector, f"/o/{token()}.gif", params=link, headers=headers)
    body = {"action": "email_clicked", "address": "anna@example.org", "url": cut_at(200), "campaign": cut_at(200)}
    posted(collector, body, path=f"/v1/hooks/shop/brevo/{HOOK}", headers={})
    posted(
        collector,
        mailchimp("unsubscribe", **{"data[campaign_id]": cut_at(200)}),
        path=f"/v1/hooks/shop/mailchimp/{HOOK}",
        headers=FORM,
    )
    assert len(collector.log.records) >= 6
    assert not any(b"canary" in (record.value or b"") for record in collector.log.records)
