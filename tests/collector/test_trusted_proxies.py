"""Behind proxies each visitor is who the trusted ones say, with a share of the rate and a network of their own."""

from __future__ import annotations

import json
from pathlib import Path

import falcon.testing
import pytest

from collector.config import CollectorSettings, load_proxies
from collector.proxies import Proxies, trusted_networks
from contracts.errors import ConfigError
from tests.collector.door import ORIGIN, Collector, beacon, talk

PROXIES = Proxies(trusted_networks(["10.0.0.0/8", "2001:db8:ff::/48"]))
FORWARDED = Proxies(trusted_networks(["10.0.0.0/8"]), "forwarded")


@pytest.mark.parametrize(
    ("peer", "values", "client"),
    [
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.2.3.4, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.2.3.4, 198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        ("10.0.0.1", ["1.2.3.4", "198.51.100.1 , 10.9.9.9"], "198.51.100.1"),
        ("10.0.0.1", ["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        ("10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, "], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("10.0.0.1", ["2001:db8::7"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("2001:db8:ff::1", ["198.51.100.1"], "198.51.100.1"),
        ("", ["198.51.100.1"], ""),
        ("::ffff:203.0.113.9", [], "203.0.113.9"),
        ("10.0.0.1", ["fe80::7%eth0"], "fe80::7"),
        ("10.0.0.1", [", ".join(["10.0.0.2"] * 5_000)], "10.0.0.2"),
    ],
)
def test_who_speaks_behind_proxies_is_read_from_the_right(peer: str, values: list[str], client: str) -> None:
    assert PROXIES.client(peer, ",".join(values)) == client
    assert Proxies().client(peer, ",".join(values)) == peer.removeprefix("::ffff:")


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("for=198.51.100.1", "198.51.100.1"),
        ('For="[2001:db8::7]:4711";proto=https', "2001:db8::7"),
        ("for=1.2.3.4, for=198.51.100.1;by=10.0.0.3, for=10.0.0.9", "198.51.100.1"),
        ("for=_hidden", "10.0.0.1"),
        ("proto=https", "10.0.0.1"),
        ("for=", "10.0.0.1"),
        ('host="x;for=6.6.6.6";for=198.51.100.1', "198.51.100.1"),
        ('host="a, for=6.6.6.6";for=198.51.100.1;path="b, for=7.7.7.7"', "198.51.100.1"),
        ('host="a\\", for=6.6.6.6;x=";for=198.51.100.1', "198.51.100.1"),
        ('for="6.6.6.6, for=198.51.100.1', "198.51.100.1"),
        ('for=6.6.6.6;x=", for="[2001:db8::7]"', "2001:db8::7"),
        ("for=198.51.100.1, ,", "198.51.100.1"),
        ("for=198.51.100.1;for=6.6.6.6", "10.0.0.1"),
        ("for=6.6.6.6, unknown", "10.0.0.1"),
        (", ".join(["for=10.0.0.2"] * 5_000), "10.0.0.2"),
    ],
)
def test_the_standard_header_is_read_too(value: str, client: str) -> None:
    assert FORWARDED.client("10.0.0.1", value) == client


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0/0",
        "::/0",
        "0.0.0.0/1,128.0.0.0/1",
        "1.0.0.0/7",
        "2000::/3",
        "*",
        "all",
        "10.0.0.0/8,0.0.0.0/0",
        "300.1.1.1",
    ],
)
def test_proxies_that_would_be_anybody_are_refused_at_the_start(text: str) -> None:
    with pytest.raises(ConfigError, match="SEGMA_TRUSTED_PROXIES"):
        load_proxies(CollectorSettings(trusted_proxies=text))


def test_proxies_that_begin_with_a_header_are_named() -> None:
    with pytest.raises(ConfigError, match="SEGMA_TRUSTED_PROXIES"):
        load_proxies(CollectorSettings(proxy_protocol=True))


def test_a_network_that_ipv6_gives_to_one_client_has_one_share(tmp_path: Path) -> None:
    collector = Collector(tmp_path, rate=8)
    served = collector.core.sites.by_key["shop-key"]
    assert [collector.core.admits(served, f"2001:db8::{number:x}") for number in range(1, 10)] == [True] * 8 + [False]
    assert collector.core.admits(served, "2001:db8:0:1::1")


def test_visitors_behind_a_proxy_have_a_share_and_a_network_each(tmp_path: Path) -> None:
    collector = Collector(tmp_path, rate=8, proxies=Proxies(trusted_networks(["127.0.0.1"])))

    async def script(conductor: falcon.testing.ASGIConductor) -> list[int]:
        body = json.dumps(beacon()).encode()
        answers = [
            await conductor.simulate_post(
                "/v1/beacons",
                body=body,
                headers={"Origin": ORIGIN, "X-Forwarded-For": f"9.9.9.9, 198.51.{number}.7"},
                remote_addr="127.0.0.1",
            )
            for number in range(100)
            for _ in range(2)
        ]
        return [answer.status_code for answer in answers]

    assert set(talk(collector, script)) == {204}
    assert {record.ip for record in collector.beacons()} == {f"198.51.{number}.0" for number in range(100)}
