"""The links of a mail at the door: where a click leads, who clicked, scanners, and the pixel."""

from __future__ import annotations

from urllib.parse import parse_qs, quote, urlsplit

import pytest

from collector.scanners import is_machine_open, scanner_sign
from contracts.beacons import Source
from tests.collector.door import (
    BROWSER,
    Collector,
    beacon,
    got,
    posted,
    reason,
    token,
)

SPELLED = "https://shop.example/gr%C3%B6%C3%9Fe?q=%D1%82%D0%BE%D0%B2%D0%B0%D1%80%D1%8B#farbe=gr%C3%BCn"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "//evil.example/",
        "https://shop.example@evil.example/",
        "https://shop.example.evil.example/",
        "https://evil.example/?https://shop.example/",
        "https://evil.example#shop.example",
        "https:\\\\evil.example",
        "https://shop.example\\@evil.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://shop.example\t.evil.example/",
        "https://shop.example:9999/",
        "/relative",
        "",
        "https://other.example/",
    ],
)
def test_the_redirect_is_not_open(collector: Collector, url: str) -> None:
    result = got(collector, f"/r/{token()}", params={"u": url}, headers=BROWSER)
    assert (result.status_code, reason(result)) == (400, "bad_destination")


def test_a_click_leads_on_with_token_click_and_campaign(collector: Collector) -> None:
    result = got(
        collector,
        f"/r/{token()}",
        params={"u": "https://shop.example/shoes?size=40", "utm_campaign": "spring"},
        headers=BROWSER,
    )
    assert result.status_code == 302
    query = parse_qs(urlsplit(result.headers["location"]).query)
    assert query == {"size": ["40"], "utm_campaign": ["spring"], "sgm": [token()], "sgm_click": ["click0"]}
    (record,) = collector.beacons()
    assert (record.source, record.subscriber, record.click) == (Source.REDIRECT, "s_anna", "click0")
    assert record.properties.items() >= {"campaign": "spring", "destination": "shop.example/shoes"}.items()


def test_a_destination_in_the_token_needs_no_list(collector: Collector) -> None:
    sealed = token(destination="https://partner.example/offer")
    result = got(collector, f"/r/{sealed}", params={"u": "https://evil.example/"}, headers=BROWSER)
    assert urlsplit(result.headers["location"]).netloc == "partner.example"


def test_a_token_that_is_not_believed_still_leads_to_an_allowed_destination(collector: Collector) -> None:
    result = got(collector, "/r/forged", params={"u": "https://shop.example/"}, headers=BROWSER)
    assert (result.status_code, result.headers["location"]) == (302, "https://shop.example/")
    assert [(record.subscriber, record.token_problem) for record in collector.beacons()] == [("", "token_malformed")]


def test_scanners_are_noted_not_refused(collector: Collector) -> None:
    result = got(collector, f"/r/{token()}", method="HEAD", params={"u": "https://shop.example/"}, headers=BROWSER)
    assert result.status_code == 302
    assert collector.beacons()[0].properties["scanner"] == "head_request"
    assert scanner_sign("GET", "", {}) == "no_user_agent"
    assert scanner_sign("GET", "Barracuda Sentinel", {}) == "known_agent"
    assert scanner_sign("GET", BROWSER["User-Agent"], {}) == ""
    assert is_machine_open("GoogleImageProxy", {})
    assert not is_machine_open(BROWSER["User-Agent"], {})


@pytest.mark.parametrize("text", [token(), "forged", "x" * 3_000])
def test_the_pixel_is_a_picture_always(collector: Collector, text: str) -> None:
    result = got(collector, f"/o/{text}.gif", headers=BROWSER)
    assert (result.status_code, result.headers["content-type"]) == (200, "image/gif")
    assert result.content.startswith(b"GIF89a")
    assert len(collector.beacons()) == (1 if text == token() else 0)


SHOP = quote("https://shop.example/?q=caf%E9%20a", safe="")


@pytest.mark.parametrize("behind", [".", ")", "…", "%20", "?utm_source=mail", "&amp;utm_campaign=x", '">'])
def test_a_token_that_was_damaged_on_its_way_is_read_at_every_door(collector: Collector, behind: str) -> None:
    posted(collector, beacon(token=token() + behind))
    result = got(
        collector, f"/r/{quote(token() + behind, safe='')}", params={"u": "https://shop.example/"}, headers=BROWSER
    )
    got(collector, f"/o/{quote(token() + behind, safe='')}.gif", headers=BROWSER)
    assert [record.subscriber for record in collector.beacons()] == ["s_anna"] * 3
    assert parse_qs(urlsplit(result.headers["location"]).query)["sgm"] == [token()], "the page gets it whole"


@pytest.mark.parametrize(
    ("query", "location"),
    [
        ("u=https://shop.example/?utm_campaign=spring", "https://shop.example/?utm_campaign=spring"),
        ("u=https%3A%2F%2Fshop.example%2F%3Futm_campaign%3Dspring", "https://shop.example/?utm_campaign=spring"),
        ("u=https://shop.example/gr%C3%B6%C3%9Fe?q=caf%E9", "https://shop.example/gr%C3%B6%C3%9Fe?q=caf%E9"),
        ("u=https%3A%2F%2Fshop.example%2F%3Fq%3Dcaf%25E9", "https://shop.example/?q=caf%E9"),
        ("u=" + quote("https://shop.example/größe?q=товары#farbe=grün", safe=""), SPELLED),
        ("u=" + quote(SPELLED, safe=""), SPELLED),
        (
            "u=" + quote("https://shop.example/?flag&a=%20&b=x+y&c=1;2&d=#e", safe=""),
            "https://shop.example/?flag&a=%20&b=x+y&c=1;2&d=#e",
        ),
        ("u=https://shop.example/?a=x+y;z", "https://shop.example/?a=x+y;z"),
        ("u=" + quote("HTTPS://SHOP.example:443/A", safe=""), "https://SHOP.example:443/A"),
    ],
)
def test_a_destination_leaves_byte_for_byte(collector: Collector, query: str, location: str) -> None:
    plain = got(collector, "/r/unreadable", query_string=query, headers=BROWSER)
    assert (plain.status_code, plain.headers["location"].replace("HTTPS", "https")) == (302, location)
    known = got(collector, f"/r/{token()}", query_string=query, headers=BROWSER).headers["location"]
    before, sharp, behind = location.partition("#")
    added = f"{'&' if '?' in before else '?'}sgm={quote(token())}&sgm_click=click1"
    assert known.replace("HTTPS", "https") == f"{before}{added}{sharp}{behind}"
    found = got(collector, f"/r/{token()}/fragment", query_string=query, headers=BROWSER).headers["location"]
    whose = f"{'&' if behind else ''}sgm={quote(token())}&sgm_click=click2"
    assert found.replace("HTTPS", "https") == f"{before}#{behind}{whose}"


@pytest.mark.parametrize(
    "query",
    [
        *(
            f"amp;u={SHOP}",
            f"x=1&amp;amp;u={SHOP}",
            f"u=&u={SHOP}",
            f"u=3D{SHOP}",
            f"u=%20{SHOP}%20",
            f"u=%22{SHOP}%22",
        ),
        *(f"u={quote(SHOP)}", f"u={quote(quote(SHOP))}", f"u=%3C{SHOP}%3E"),
    ],
)
def test_a_destination_that_was_damaged_on_its_way_is_read(collector: Collector, query: str) -> None:
    result = got(collector, "/r/unreadable", query_string=query, headers=BROWSER)
    assert result.headers["location"] == "https://shop.example/?q=caf%E9%20a"


def test_a_campaign_leaves_byte_for_byte(collector: Collector) -> None:
    query = f"amp;utm_campaign=caf%E9+a&u={SHOP}"
    landed = got(collector, f"/r/{token()}/", query_string=query, headers=BROWSER).headers["location"]
    assert "&utm_campaign=caf%E9%20a&sgm=" in landed
    assert collector.beacons()[0].properties["campaign"] == "caf\ufffd a"


@pytest.mark.parametrize("path", ["/r/", "/r//", "/r", "/r/fragment"])
def test_a_link_whose_merge_field_was_not_filled_in_leads_on(collector: Collector, path: str) -> None:
    result = got(collector, path, query_string=f"u={SHOP}", headers=BROWSER)
    assert result.headers["location"] == "https://shop.example/?q=caf%E9%20a"
    assert collector.beacons()[0].token_problem == "token_malformed"


def test_a_click_that_lands_with_a_fragment_shows_the_campaign_alone(collector: Collector) -> None:
    query = {"u": "https://shop.example/?sgm=old#a:~:text=b", "utm_campaign": "spring"}
    landed = got(collector, f"/r/{token()}/fragment", params=query, headers=BROWSER).headers["location"]
    expected = f"https://shop.example/?utm_campaign=spring#a&sgm={quote(token())}&sgm_click=click0:~:text=b"
    assert landed == expected
    assert [record.properties["campaign"] for record in collector.beacons()] == ["spring"]
    assert collector.beacons()[0].click == "click0"


def test_a_click_knows_the_campaign_of_its_destination_and_of_its_link(collector: Collector) -> None:
    inside = "https://shop.example/?utm_campaign=spring"
    got(collector, f"/r/{token()}", params={"u": inside}, headers=BROWSER)
    result = got(collector, f"/r/{token()}", params={"u": inside, "utm_campaign": "summer"}, headers=BROWSER)
    assert [record.properties["campaign"] for record in collector.beacons()] == ["spring", "summer"]
    assert parse_qs(urlsplit(result.headers["location"]).query)["utm_campaign"] == ["summer"]
