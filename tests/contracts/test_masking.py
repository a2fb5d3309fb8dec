"""Tokens and addresses are taken out, however they are spelled; what only looks a little like one stays."""

from __future__ import annotations

import json
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.beacons import BeaconRecord, Source
from contracts.codec import replaced, to_msgpack
from contracts.dead_letters import letter_of
from contracts.log import Record
from contracts.masking import masked, masked_text, without_devices, without_ids
from contracts.tokens import Claims, Keyring, TokenKey, anonymous_id, subscriber_id

TOKEN = Keyring([TokenKey("k1", bytes(range(64)))], max_age_s=1).seal(Claims("w", "s_" + "0" * 32, 1_800_000_000))
WITHOUT_IDS = [
    (b'{"device""dvc-0123456789abcdefghij", "site": 5}', b'{"device""************************", "site": 5}'),
    (b'{"a": "email_unsubscribed", "at": 1800000000000}', b'{"a": "email_unsubscribed", "at": 1800000000000}'),
    (b"k1\xc3\xa9" + b"aB3" * 20 + b" end", b"k1\xc3\xa9" + b"*" * 60 + b" end"),
]
SEALED = TOKEN.partition(".")[2]


@pytest.mark.parametrize(("data", "left"), WITHOUT_IDS)
def test_of_what_cannot_be_read_whatever_may_be_an_id_goes(data: bytes, left: bytes) -> None:
    assert without_ids(data) == left


@pytest.mark.parametrize(
    "text",
    [
        "canary@leak.example",
        "Canary+tag@mail.leak.example, hello",
        "e=canary%40leak.example&x=1",
        "e=canary%2540leak.example",
        "e=%63anary%40leak.example",
        "e=canary%2Btag%40leak.example",
        "a=b%26email%3Dcanary%40leak.example%26c",
        "canary@leak%2Eexample",
        "canary\\u0040leak.example",
        "canary&#64;leak.example",
        "canary&#x40;leak.example",
        "canary&commat;leak.example",
        *("canary&amp;#64;leak.example", "canary&amp;amp;commat;leak.example"),
        *(f"canary{sign}@leak.example" for sign in "\u200b\u00ad\u2060\u200e\ufeff"),
        *("can\u00adary@leak.example", "canary@\u200bleak.example", "canary@leak\u200b.example"),
        *("canary(of mine)@leak.example", "canary@(of mine)leak.example", "canary@[IPv6:2001:db8::1]"),
        "mailto:canary@leak.example?subject=x",
        "Zoe <canary@leak.example>",
        '{"to": "canary@leak.example"}',
        '{"to": "\\"canary z\\"@leak.example"}',
        "canary@müller.example",
        "canary@leak.xn--p1ai",
        "größe.canary@leak.example",
        "canary@leak.example,canary@leak.example;canary@leak.example",
        "https://canary@leak.example/",
        f"https://shop.example/?sgm={TOKEN}",
        f"https://shop.example/?sgm={TOKEN}.",
        f"u={quote(quote(TOKEN, safe=''), safe='').replace('.', '%252E')}",
        f"k1%2E{SEALED}",
        *(f"k1{dot}{SEALED}" for dot in ("&#46;", "&period;", "=2E", "\\\\u002e")),
        f"k1.{SEALED[:20]}%2D{SEALED[20:60]}&#95;{SEALED[60:]}",
        f"k1.{SEALED[:20]}=\r\n{SEALED[20:60]}=\\n{SEALED[60:]}",
        "canary\\\\u0040leak\\\\u002eexample",
        "canary\\\\\\\\u0040leak.example",
        "canary&#64leak.example",
        "canary＠leak.example",
        "canary\\uff20leak.example",
        "canary@leak。example",
        "canary@leak.\\u4f8b\\u3048",
        "canary@[192.0.2.1]",
        "canary@a.b.c.d.e.f.g.h.i.leak.example",
        "canary@2x.leak.example",
        "{canary}|^`#@leak.example",
        '{\\"to\\": \\"\\\\\\"canary z\\\\\\"@leak.example\\"}',
        f"k1\\u002e{SEALED}",
        f'{{"token": "{TOKEN}"}}',
        f"{TOKEN}&amp;utm_campaign=x",
        TOKEN[:-8],
        TOKEN[:60],
    ],
)
def test_every_spelling_is_found(text: str) -> None:
    clean = masked_text(text)
    assert "canary" not in clean.lower()
    assert SEALED[20:40] not in clean
    assert len(clean.encode()) == len(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "/img/logo@2x.png",
        "npm i lodash@4.17.21",
        "https://medium.com/@user.name/story",
        '{"a": "@user.name"}',
        "1,800,000,000 @ 4.50",
        "jquery.min." + "a" * 100,
        "v1.how-to-read-this-very-long-slug-of-a-page-that-goes-on-and-on-for-more-than-eighty-letters-2024",
        "https://shop.example/?gclid=Cj0KCQjw" + "aB3" * 40,
        "div.ProductCard_wrapperOfEverything__3xYz1 > a.Link_a1",
        "a@b",
    ],
)
def test_what_is_none_stays(text: str) -> None:
    assert masked_text(text) is text


@pytest.mark.parametrize(
    "text",
    [
        *("a@" * 8_000, "a@b.example," * 20_000, "%40" * 8_000, "@" + "a." * 8_000, "." * 20_000),
        *("%2e" * 20_000, "&#46;" * 12_000, "=2e" * 20_000, "\\" * 60_000 + "u0040", ".a" + "=" * 60_000),
    ],
)
def test_no_text_is_costly_and_structure_stays(text: str) -> None:
    # NOTE: a pattern that tries again from every character would take minutes for these.
    assert len(masked_text(text)) == len(text)


JSON = st.recursive(
    st.none() | st.integers() | st.text() | st.sampled_from(["canary@leak.example", "x canary%40leak.example"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.just("canary@leak.example"), inner),
    max_leaves=10,
)
ESCAPED = [
    "\n",
    "\r\n",
    "\t",
    "\b",
    "\f",
    "/",
    "\\",
    "\\\n",
    '"',
    "\0",
    "é",
    "\\u00e9",
    "😀",
    "é" * 30,
    "a" + "😀" * 14,
    "\n" * 90,
]


@pytest.mark.parametrize("before", ESCAPED)
@pytest.mark.parametrize("behind", ["", "\n", "\\n", "😀", '"'])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_an_address_beside_an_escape_costs_nothing_but_itself(before: str, behind: str, ascii_only: bool) -> None:
    value = f"Contact:{before}canary@leak.example{behind} end"
    data = json.dumps([value], ensure_ascii=ascii_only)
    found = msgspec.json.decode(masked(data.encode()))[0]
    assert "canary" not in found
    assert found.endswith("*" * 19 + behind + " end")
    again = masked(json.dumps({"sent": data}).encode())
    assert b"canary" not in again
    msgspec.json.decode(again)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(JSON, st.booleans())
def test_json_stays_json_and_holds_no_address(value: object, ascii_only: bool) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    clean = masked(data)
    assert len(clean) == len(data)
    assert b"canary" not in clean
    json.loads(clean.decode("utf-8", "surrogatepass"))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_text_stay(data: bytes) -> None:
    assert len(masked(data)) == len(data)


DEVICE = "0f8b3c55-6f5e-4f0e-9d1a-1c2b3a4d5e6f"


@pytest.mark.parametrize(
    "data",
    [
        f'{{"site":"shop","device":"{DEVICE}","sent_at_ms":1}}',
        f'{{"site":"shop","device" : "{DEVICE}',
        f'{{"body":"{{\\"device\\":\\"{DEVICE}\\"}}"}}',
        f'{{"\\u0064evic\\u0065":"{DEVICE}"}}',
        f'{{"device":"{DEVICE.replace("-", chr(92) + "u002d")}"}}',
        f"site=shop&device_id={DEVICE}&x=1",
        to_msgpack(BeaconRecord("demo", "shop", Source.SDK, 1, b"{}", DEVICE)),
        to_msgpack(BeaconRecord("demo", "shop", Source.SDK, 1, b"{}", DEVICE[:20])),
    ],
)
def test_a_devices_id_is_taken_out_of_a_beacon(data: str | bytes) -> None:
    given = data.encode() if isinstance(data, str) else data
    clean = without_devices(given)
    assert clean != given
    assert len(clean) == len(given)
    assert not [part for part in DEVICE.split("-")[:3] if part.encode() in clean]


def test_what_is_set_aside_names_no_device() -> None:
    record = Record("beacons", 0, 7, 1, f"demo/{DEVICE}".encode(), f'{{"device":"{DEVICE}"}}'.encode())
    letter = letter_of(record, "not_json", "", at_ms=1)
    assert letter.key == f"demo/{anonymous_id('demo', DEVICE)}".encode()
    assert letter.value == b'{"device":"%b"}' % (b"*" * len(DEVICE))
    known = f"demo/{subscriber_id(b'k' * 40, 'ann@example.org')}".encode()
    assert letter_of(replaced(record, key=known), "not_json", "", at_ms=1).key == known
    rows = Record("rows", 0, 7, 1, b"demo/x", b'{"device": "phone"}')
    assert letter_of(rows, "not_json", "", at_ms=1).key == b"demo/x"
