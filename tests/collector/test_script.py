"""The SDK at the door, its sets of features, and what a page is told of its site."""

from __future__ import annotations

import json

import pytest

from collector.config import Script
from contracts.captures import Captures
from contracts.codec import to_json
from contracts.log import Record
from tests.collector.door import (
    NOW_MS,
    Collector,
    got,
)


def test_the_sdk_is_immutable_under_its_hash(collector: Collector) -> None:
    digest = Script(b"/* sdk */").digest
    result = got(collector, f"/sdk/{digest}/segma.js")
    assert "immutable" in result.headers["Cache-Control"]
    assert result.content == b"/* sdk */"
    assert got(collector, "/sdk/other/segma.js").status_code == 404
    assert "immutable" not in got(collector, "/sdk/segma.js").headers["Cache-Control"]


def test_loads_of_the_sdk_are_counted_with_the_share_that_said_no(collector: Collector) -> None:
    def loaded(referer: str, **said: str) -> None:
        got(collector, "/sdk/segma.js", headers={"Referer": referer, **said})

    def loads(declined: str) -> float:
        return collector.metrics(f'segma_sdk_loads_total{{declined="{declined}",site="shop/shop"}}')

    loaded("https://shop.example/")
    assert (loads("no"), loads("yes")) == (1, 0)
    loaded("https://shop.example/cart?step=2", DNT="0")
    loaded("https://shop.example/", **{"Sec-GPC": "1"})
    loaded("https://elsewhere.example/", **{"Sec-GPC": "1"})
    loaded("https://shop.example.elsewhere.example/")
    loaded("")
    assert (loads("no"), loads("yes")) == (2, 1)
    loaded("https://shop.example/", DNT="1")
    assert loads("yes") == 2
    assert collector.log.records == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", b"/* sdk */"),
        ("f=scroll,forms", b"/* two */"),
        ("f=clicks,forms,scroll", b"/* two */"),
        ("f=forms&f=scroll", b"/* two */"),
        ("f=clicks", b"/* clicks */"),
        ("f=forms,nonsense", None),
        ("f=../segma", None),
    ],
)
def test_a_page_may_ask_for_some_features_alone(collector: Collector, query: str, found: bytes | None) -> None:
    result = got(collector, "/sdk/segma.js", query_string=query)
    assert (result.status_code, result.content) == ((200, found) if found else (404, result.content))


def test_a_sites_configuration_holds_nothing_secret(collector: Collector) -> None:
    result = got(collector, "/v1/sites/shop-key/config.json")
    script = Script(b"/* sdk */")
    assert json.loads(result.text)["sdk"] == f"/sdk/{script.digest}/segma.js"
    assert json.loads(result.text)["integrity"] == script.integrity
    assert "secret" not in result.text
    assert got(collector, "/v1/sites/nobody/config.json").status_code == 404


def asked(collector: Collector, key: str) -> object:
    return json.loads(got(collector, f"/v1/sites/{key}/config.json").text)["capture"]


def test_a_page_hears_what_live_listeners_ask_and_its_site_allows(collector: Collector) -> None:
    actions: dict[str, tuple[str | int | float, ...]] = {
        "key_pressed": ("Escape",),
        "content_copied": (),
        "scrolled_past": (40, "#prices"),
        "page_viewed": (),
    }
    assert asked(collector, "shop-key") == {}
    record = Record("captures", 0, 0, NOW_MS, b"shop", to_json(Captures("shop", actions)))
    collector.captured.take([record])
    assert asked(collector, "shop-key") == {"key_pressed": ["Escape"], "scrolled_past": [40, "#prices"]}
    assert asked(collector, "other-key") == {}
    # What cannot be read is passed over; a workspace that is gone asks for nothing.
    collector.captured.take([Record("captures", 0, 1, NOW_MS, b"shop", b"{")])
    assert asked(collector, "shop-key") != {}
    collector.captured.take([Record("captures", 0, 2, NOW_MS, b"shop", None)])
    assert asked(collector, "shop-key") == {}
