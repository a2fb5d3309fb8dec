"""The collector at its door: what is refused and why, what is stored, and what always answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import falcon.testing
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector import app as app_module
from collector.pipeline import SDK_STEPS, SERVER_STEPS, STATUS, truncated
from contracts.beacons import Source
from contracts.codec import to_json
from contracts.errors import ConfigError
from contracts.installation import check_installation
from contracts.reasons import Reason
from contracts.tokens import TokenKey, stored_device, subscriber_id
from tests.collector.door import (
    DEVICE,
    NOW_MS,
    ORIGIN,
    SECRET,
    Collector,
    beacon,
    got,
    posted,
    reason,
    talk,
    token,
)


def test_a_sound_beacon_is_stored_as_it_came(collector: Collector) -> None:
    body = json.dumps(beacon(device=DEVICE), separators=(",", ":")).encode()
    assert posted(collector, body).status_code == 204
    (record,) = collector.beacons()
    stored = stored_device(SECRET, DEVICE)
    assert record.body == body.replace(DEVICE.encode(), stored.encode())
    assert (record.workspace, record.site, record.source, record.device) == ("shop", "shop", Source.SDK, stored)
    assert collector.log.records[0].key == f"shop/{stored}".encode()


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(beacon(device=DEVICE)),
        json.dumps(beacon(device=DEVICE)).replace('"device"', '"d\\u0065vice"'),
        json.dumps(beacon(device=DEVICE)).replace("dvc", "\\u0064vc"),
        json.dumps(beacon(device=DEVICE), separators=(",", ":")).replace('"path":"/"', f'"device":"{DEVICE}"'),
        json.dumps(beacon(device=DEVICE)).replace('"path": "/"', f'"path": "{DEVICE}"'),
        json.dumps(beacon(device=DEVICE))
        .replace('"schema"', '"x"')
        .replace('{"site"', f'{{"device": "{DEVICE}", "site"'),
        json.dumps(beacon(device=DEVICE, click=5)),
        json.dumps(beacon(device=DEVICE))[:-1],
        json.dumps(beacon(device=DEVICE, site="nowhere")),
    ],
)
def test_nothing_that_is_stored_holds_the_id_that_a_browser_sends(collector: Collector, body: str) -> None:
    posted(collector, body.encode())
    kept = b"".join(each.key + (each.value or b"") for each in collector.log.records)
    assert kept
    assert DEVICE.encode() not in kept
    assert b"u0064vc" not in kept


@pytest.mark.parametrize("damage", ["é", "NaN", "\\u00e9", ".", "x" * 40])
@pytest.mark.parametrize("spaced", [True, False])
def test_no_piece_of_a_damaged_token_is_stored(collector: Collector, damage: str, spaced: bool) -> None:
    sound = token()
    broken = sound.replace(".", damage, 1)
    separators = None if spaced else (",", ":")
    body = json.dumps(beacon(device=DEVICE, token="?"), separators=separators, ensure_ascii=False)
    assert posted(collector, body.replace("?", broken).encode()).status_code == 204
    posted(collector, body.replace("?", broken).replace(":", "", 3).encode())
    kept = b"".join(each.key + (each.value or b"") for each in collector.log.records)
    assert sound.partition(".")[2][8:24].encode() not in kept
    assert DEVICE.encode() not in kept


def test_a_devices_stored_id_is_the_same_in_one_workspace_alone() -> None:
    assert stored_device(SECRET, "d1") == stored_device(SECRET, "d1") != stored_device(b"o" * 40, "d1")
    assert stored_device(SECRET, "d1") != stored_device(SECRET, "d2")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"x" * 1_100_000, Reason.TOO_LARGE),
        (json.dumps(beacon(token="t" * 1_990)).encode(), Reason.TOO_LARGE),
        (b'{"site": "\xff"}', Reason.NOT_UTF8),
        (b"[" * 40 + b"]" * 40, Reason.TOO_DEEP),
        (b"{", Reason.NOT_JSON),
        (b"", Reason.NOT_JSON),
        (b"[]", Reason.WRONG_TYPE),
        (beacon(device=5), Reason.WRONG_TYPE),
        (beacon(device="a b"), Reason.WRONG_TYPE),
        (beacon(events=[]), Reason.WRONG_TYPE),
        (beacon(sent_at_ms="now"), Reason.WRONG_TYPE),
        (beacon(sent_at_ms=-1), Reason.WRONG_TYPE),
        ({"site": "shop-key"}, Reason.MISSING_FIELD),
        (beacon(schema=2), Reason.NEWER_SCHEMA),
        (beacon(site="nobody"), Reason.UNKNOWN_SITE),
        (beacon(events=[{}, {}, {}, {}]), Reason.TOO_MANY_EVENTS),
    ],
)
def test_bad_bodies_are_refused_with_a_reason_and_kept(collector: Collector, body: Any, expected: Reason) -> None:
    result = posted(collector, body)
    assert (result.status_code, reason(result)) == (STATUS[expected], str(expected))
    assert collector.beacons() == []
    (letter,) = collector.letters()
    assert (letter.reason, letter.topic, letter.partition) == (str(expected), "http", -1)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "https://shop.example.evil.example"])
def test_other_pages_may_not_send(collector: Collector, origin: str) -> None:
    result = posted(collector, beacon(), headers={"Origin": origin} if origin else {})
    assert (result.status_code, reason(result)) == (403, "wrong_origin")
    assert "Access-Control-Allow-Origin" not in result.headers


def test_a_page_of_another_workspace_may_not_send_for_this_site(collector: Collector) -> None:
    assert posted(collector, beacon(), headers={"Origin": "https://other.example"}).status_code == 403


def test_our_pages_may_read_the_answer_and_ask_before(collector: Collector) -> None:
    assert posted(collector, beacon()).headers["Access-Control-Allow-Origin"] == ORIGIN
    answer = got(collector, "/v1/beacons", method="OPTIONS", headers={"Origin": ORIGIN})
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Methods"] == "POST"


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        ("garbage", "token_malformed"),
        (token()[:-4], "token_forged"),
        ("*|SEGMATOK|*", "token_malformed"),
        ("{{ person.token }}", "token_malformed"),
        (token()[:-6] + "AAAAAA", "token_forged"),
        (token(key=TokenKey("k1", bytes(64))), "token_forged"),
        (token(key=TokenKey("k9", bytes(64))), "token_unknown_key"),
        (token(age_s=86_401), "token_expired"),
        (token("other"), "token_foreign"),
    ],
)
def test_a_token_that_is_not_believed_is_noted_and_the_beacon_counts(
    collector: Collector, sent: str, problem: str
) -> None:
    assert posted(collector, beacon(token=sent)).status_code == 204
    (record,) = collector.beacons()
    assert (record.token_problem, record.subscriber) == (problem, "")


def test_a_good_token_says_who_it_is(collector: Collector) -> None:
    posted(collector, beacon(token=token(age_s=100)))
    (record,) = collector.beacons()
    assert (record.subscriber, record.token_issued_at_s) == ("s_anna", NOW_MS // 1_000 - 100)


def test_a_clock_a_year_off_is_known_by_its_skew(collector: Collector) -> None:
    year_ms = 365 * 86_400_000
    posted(collector, beacon(sent_at_ms=NOW_MS - year_ms))
    assert collector.beacons()[0].skew_ms == year_ms


def test_duplicate_event_ids_are_stored_as_they_came(collector: Collector) -> None:
    for _ in range(2):
        assert posted(collector, beacon()).status_code == 204
    assert len(collector.beacons()) == 2  # the flow drops the second: only it knows the person's events


def test_one_client_has_its_share_and_no_more(tmp_path: Path) -> None:
    collector = Collector(tmp_path, rate=5)

    async def script(conductor: falcon.testing.ASGIConductor) -> list[int]:
        body = json.dumps(beacon()).encode()
        headers = {"Origin": ORIGIN}
        results = [await conductor.simulate_post("/v1/beacons", body=body, headers=headers) for _ in range(20)]
        assert results[-1].headers["Retry-After"]
        exposed = results[-1].headers["Access-Control-Expose-Headers"]
        assert exposed == "Retry-After, Segma-Stored", "else no page may read it"
        return [result.status_code for result in results]

    codes = talk(collector, script)
    assert codes[:5] == [204] * 5
    assert 429 in codes


def server_call(collector: Collector, body: Any, key: str = "server-secret") -> falcon.testing.Result:
    return posted(collector, body, path="/v1/events", headers={"Authorization": f"Bearer {key}"})


def test_a_servers_address_becomes_an_id_and_is_nowhere_kept(collector: Collector) -> None:
    event = {"event_id": "e1", "action": "product_bought", "occurred_at_ms": NOW_MS}
    body = {"site": "shop-key", "address": "Anna@Example.org", "events": [event]}
    assert server_call(collector, body).status_code == 204
    (record,) = collector.beacons()
    assert record.subscriber == subscriber_id(SECRET, "anna@example.org")
    assert collector.log.records[0].key == f"shop/{record.subscriber}".encode()
    assert b"example.org" not in to_json([each.value for each in collector.log.records]).lower()


@pytest.mark.parametrize("key", ["wrong", "", "server-secret2"])
def test_without_the_secret_key_no_server_call(collector: Collector, key: str) -> None:
    result = server_call(collector, {"site": "shop-key", "address": "a@b.example", "events": [{}]}, key)
    assert (result.status_code, reason(result)) == (401, "bad_key")
    (letter,) = collector.letters()
    assert letter.value == b"", "a refused server call may hold an address"


def test_a_site_without_a_key_takes_no_server_calls(collector: Collector) -> None:
    assert server_call(collector, {"site": "other-key", "subscriber": "s_x", "events": [{}]}).status_code == 401


def test_the_clock_of_a_deferred_beacon_says_nothing(collector: Collector) -> None:
    assert posted(collector, beacon(sent_at_ms=NOW_MS - 60_000)).status_code == 204
    assert posted(collector, beacon(sent_at_ms=NOW_MS - 60_000, deferred=True)).status_code == 204
    assert [record.skew_ms for record in collector.beacons()] == [60_000, 0]


def test_health_readiness_and_metrics(collector: Collector) -> None:
    assert got(collector, "/health").status_code == 204
    assert got(collector, "/ready").status_code == 200
    posted(collector, beacon())
    posted(collector, b"{")
    assert collector.metrics('segma_beacons_stored_total{door="sdk"}') == 1
    assert collector.metrics('segma_beacons_refused_total{reason="not_json"}') == 1
    assert got(collector, "/metrics").status_code == 404, "they stand on a port of their own"


def test_the_description_names_every_route_and_every_refusal(collector: Collector) -> None:
    described = yaml.safe_load((Path(app_module.__file__).parent / "openapi.yaml").read_text())
    assert json.loads(got(collector, "/openapi.json").text) == described
    for path in described["paths"]:
        assert collector.app._router.find(path.replace("{", "x").replace("}", "x")) is not None, path
    codes = {int(code) for item in described["paths"]["/v1/beacons"].values() for code in item["responses"]}
    hooks = {Reason.UNKNOWN_HOOK, Reason.BAD_SIGNATURE, Reason.REPLAYED, Reason.UNKNOWN_ACTION}
    door = {Reason.BAD_KEY, Reason.BAD_DESTINATION, *hooks}
    assert codes >= {status for each, status in STATUS.items() if each not in door}
    told = {int(code) for code in described["paths"]["/v1/hooks/{workspace}/{account}"]["post"]["responses"]}
    assert told >= {STATUS[each] for each in hooks}


def test_the_steps_can_be_read_aloud() -> None:
    names = [step.__name__ for step in (*SDK_STEPS, *SERVER_STEPS)]
    assert all(name.startswith(("check_", "put_", "drop_")) for name in names)


@pytest.mark.parametrize(
    ("client", "kept"),
    [("203.0.113.77", "203.0.113.0"), ("2001:db8:1:2::3", "2001:db8:1::"), ("not an address", ""), ("", "")],
)
def test_a_clients_address_is_cut(client: str, kept: str) -> None:
    assert truncated(client) == kept


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=300) | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
def test_no_body_is_a_defect(collector: Collector, body: bytes) -> None:
    assert posted(collector, body).status_code in set(STATUS.values()) - {503}


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(["site", "device", "sent_at_ms", "events", "token", "click", "schema"]), JSON_VALUES)
def test_no_field_is_a_defect(collector: Collector, name: str, value: Any) -> None:
    assert posted(collector, beacon(**{name: value})).status_code in {204, *STATUS.values()} - {503}


@pytest.mark.parametrize(
    ("origins", "sent", "status"),
    [
        (["HTTPS://Shop.Example"], "https://shop.example", 204),
        (["https://shop.example:443/"], "https://shop.example", 204),
        (["https://müller.example"], "https://xn--mller-kva.example", 204),
        (["https://*.shop.example"], "https://outlet.shop.example", 204),
        (["https://*.shop.example"], "https://a.b.shop.example", 204),
        (["https://*.shop.example"], "https://shop.example", 403),
        (["https://*.shop.example"], "https://evilshop.example", 403),
        (["https://*.shop.example"], "http://a.shop.example", 403),
    ],
)
def test_an_origin_may_be_written_in_any_way(tmp_path: Path, origins: list[str], sent: str, status: int) -> None:
    collector = Collector(tmp_path, origins=origins)
    result = posted(collector, beacon(), headers={"Origin": sent})
    assert result.status_code == status
    assert result.headers.get("Access-Control-Allow-Origin") == (sent if status == 204 else None)


@pytest.mark.parametrize(
    ("field", "value"), [("origins", "shop.example"), ("origins", "https://*.example"), ("redirect_hosts", "a/b")]
)
def test_an_origin_that_no_page_has_is_refused_at_the_start_with_its_field(field: str, value: str) -> None:
    site = {"key": "shop-key", field: ["https://ok.example" if field == "origins" else "ok.example", value]}
    workspace = {"secret": {"file": "s"}, "sites": {"shop": site}}
    with pytest.raises(ConfigError, match=rf"workspaces\.shop\.sites\.shop\.{field}"):
        check_installation({"token_keys": {"file": "k"}, "workspaces": {"shop": workspace}}, where="segma.yaml")
