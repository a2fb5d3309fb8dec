"""Origins and hosts have one spelling; a link leaves as it came, with what was added."""

from __future__ import annotations

import pytest

from contracts.urls import fits_origin, hosts_of, normalised_host, normalised_origin, plain_url, with_parameters


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("https://shop.example", "https://shop.example"),
        ("HTTPS://Shop.Example", "https://shop.example"),
        ("https://shop.example:443", "https://shop.example"),
        ("http://shop.example:80/", "http://shop.example"),
        ("https://shop.example:80", "https://shop.example:80"),
        ("https://shop.example/", "https://shop.example"),
        ("https://shop.example.", "https://shop.example"),
        (" https://shop.example ", "https://shop.example"),
        ("https://müller.example", "https://xn--mller-kva.example"),
        ("https://MÜLLER.example", "https://xn--mller-kva.example"),
        ("https://faß.example", "https://xn--fa-hia.example"),
        ("https://例え.テスト:8443", "https://xn--r8jz45g.xn--zckzah:8443"),
        ("https://*.Shop.example", "https://*.shop.example"),
        ("https://*.müller.example:443", "https://*.xn--mller-kva.example"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://127.0.0.1:8400", "http://127.0.0.1:8400"),
        ("http://[::1]:8400", "http://[::1]:8400"),
        ("http://[0:0::1]", "http://[::1]"),
        ("https://my_shop.example", "https://my_shop.example"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(written: str, origin: str) -> None:
    assert normalised_origin(written) == origin
    assert normalised_origin(origin) == origin


@pytest.mark.parametrize(
    "written",
    [
        "shop.example",
        "//shop.example",
        "ftp://shop.example",
        "https://",
        "https://shop.example/path",
        "https://shop.example?x",
        "https://me@shop.example",
        "https://shop.example:0",
        "https://shop.example:99999",
        "https://shop.example:port",
        "https://*",
        "https://*.example",
        "https://*.127.0.0.1",
        "https://*.*.shop.example",
        "https://shop.*",
        "https://sh op.example",
        "https://-shop.example",
        "https://shop..example",
        "https://\u202eshop.example",
        "https://[::1",
        "https://0x7f.1",
        "https://2130706433",
        "https://1.2.3",
        "null",
        "*",
        "",
    ],
)
def test_what_is_no_origin_is_refused_with_a_sentence(written: str) -> None:
    with pytest.raises(ValueError, match=r"[a-z]+ [a-z]+"):
        normalised_origin(written)


@pytest.mark.parametrize(
    ("origin", "fits"),
    [
        ("https://shop.example", True),
        ("https://a.wild.example", True),
        ("https://a.b.wild.example", True),
        ("https://shop.example.", True),
        ("https://a.wild.example.", True),
        ("https://shop.example.:8443", False),
        ("https://shop.example..", False),
        ("https://evil.example.", False),
        ("https://wild.example.", False),
        ("https://wild.example", False),
        ("http://a.wild.example", False),
        ("https://evilwild.example", False),
        ("https://a.wild.example.evil.example", False),
        ("https://a.wild.example:444", False),
        ("https://*.wild.example.", False),
        ("https://*.wild.example", False),
        ("https://.wild.example", False),
        ("https://a..wild.example", False),
        ("https://evil.example/.wild.example", False),
        ("https://evil.example:1.wild.example", False),
        ("https://jo@a.wild.example", False),
        (f"https://{'a.' * 200}wild.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_a_wildcard_is_every_sub_domain_and_nothing_else(origin: str, fits: bool) -> None:
    assert fits_origin(origin, frozenset({"https://shop.example", "https://*.wild.example"})) is fits


@pytest.mark.parametrize(
    ("written", "host"), [("Shop.Example:8443", "shop.example:8443"), ("müller.example", "xn--mller-kva.example")]
)
def test_a_host_has_one_spelling(written: str, host: str) -> None:
    assert normalised_host(written) == host


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        (
            "https://shop.example/a?b=c%E9&flag&x=%20&y=a+b;c#d=e",
            "https://shop.example/a?b=c%E9&flag&x=%20&y=a+b;c#d=e",
        ),
        ("https://shop.example/größe?q=товары#farbe=grün", None),
        ("https://müller.example/a", "https://xn--mller-kva.example/a"),
        ("https://m%C3%BCller.example/gr%C3%B6%C3%9Fe", "https://xn--mller-kva.example/gr%C3%B6%C3%9Fe"),
        ("https://%6D%C3%BCller.example:8443/a", "https://xn--mller-kva.example:8443/a"),
        ("https://shop.example%2Eevil.example/", "https://shop.example.evil.example/"),
        ("https://shop.example/a b", "https://shop.example/a%20b"),
        ("https://shop.example/caf\udce9", "https://shop.example/caf%E9"),
        ("https://shop.example", "https://shop.example"),
        ("https://shop.example:/a", "https://shop.example:/a"),
    ],
)
def test_an_address_is_plain_and_otherwise_as_it_came(url: str, plain: str | None) -> None:
    expected = plain or ("https://shop.example/gr%C3%B6%C3%9Fe?q=%D1%82%D0%BE%D0%B2%D0%B0%D1%80%D1%8B#farbe=gr%C3%BCn")
    assert plain_url(url) == expected
    assert plain_url(expected) == expected


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "//x.example",
        "https://a@b.example/",
        "https://",
        "https://shop.example%40evil.example/",
        "https://evil.example%2F.shop.example/",
        "https://shop.example%00.evil.example/",
        "https://shop.example%FF/",
        "https://shop.example%",
        "https://x.example\\@y",
        "https://a\t.b",
        "/x",
        "",
    ],
)
def test_what_is_no_plain_address_is_none(url: str) -> None:
    assert plain_url(url) is None


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("https://Shop.Example:443/x", {"shop.example", "shop.example:443"}),
        ("http://shop.example?x", {"shop.example", "shop.example:80"}),
        ("https://shop.example:8443", {"shop.example:8443"}),
        ("https://[::1]/", {"[::1]", "[::1]:443"}),
        ("nothing", set()),
    ],
)
def test_a_host_may_be_written_with_its_default_port(url: str, hosts: set[str]) -> None:
    assert hosts_of(url) == hosts


@pytest.mark.parametrize(
    ("url", "fragment", "expected"),
    [
        ("https://s.example/", False, "https://s.example/?sgm=T"),
        ("https://s.example/?", False, "https://s.example/?sgm=T"),
        (
            "https://s.example/?flag&q=caf%E9&x=%20&y=a+b;c",
            False,
            "https://s.example/?flag&q=caf%E9&x=%20&y=a+b;c&sgm=T",
        ),
        ("https://s.example/?sgm=old&a=1#top", False, "https://s.example/?a=1&sgm=T#top"),
        ("https://s.example/?%73gm=old", False, "https://s.example/?sgm=T"),
        ("https://s.example/?utm_campaign=spring#x", False, "https://s.example/?utm_campaign=spring&sgm=T#x"),
        ("https://s.example/?a=1", True, "https://s.example/?a=1#sgm=T"),
        ("https://s.example/#/route", True, "https://s.example/#/route?sgm=T"),
        ("https://s.example/#/route?a=1", True, "https://s.example/#/route?a=1&sgm=T"),
        ("https://s.example/#top", True, "https://s.example/#top&sgm=T"),
        ("https://s.example/#sgm=old", True, "https://s.example/#sgm=T"),
        ("https://s.example/#/route?sgm=old&a=%E9", True, "https://s.example/#/route?a=%E9&sgm=T"),
        ("https://s.example/#/route?%73gm=old", True, "https://s.example/#/route?sgm=T"),
    ],
)
def test_parameters_are_added_and_every_other_byte_stays(url: str, fragment: bool, expected: str) -> None:
    assert with_parameters(url, {"sgm": "T", "empty": ""}, fragment=fragment) == expected
