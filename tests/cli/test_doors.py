"""What the doctor says of sites that no page can reach, and of campaigns whose tokens are not filled in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.doors import MANY, door_warnings
from cli.without_command import matches_without_command
from contracts.beacons import BeaconRecord, Source
from contracts.codec import to_json, to_msgpack
from contracts.dead_letters import letter_from, set_aside
from contracts.log import Log, Outgoing
from contracts.rows import MatchRow
from contracts.topics import BEACONS, ROWS, fixed_topics
from transport import open_log
from transport.config import Settings


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    opened = open_log(Settings(data=tmp_path))
    opened.ensure(fixed_topics(2))
    yield opened
    opened.close()


def refused(site: str) -> Outgoing:
    return set_aside(
        letter_from("http", "wrong_origin", "https://www.shop.example", at_ms=1, workspace="demo", site=site)
    )


def stored(site: str, *, problem: str = "", issued_at_s: int = 0) -> Outgoing:
    record = BeaconRecord("demo", site, Source.SDK, 1, b"", token_problem=problem, token_issued_at_s=issued_at_s)
    return Outgoing(BEACONS, b"demo/d1", to_msgpack(record))


def test_a_site_that_only_ever_gets_wrong_origin_is_told(log: Log) -> None:
    log.publisher().publish([refused("shop"), refused("shop"), refused("blog"), stored("blog")])
    ((subject, found, remedy),) = door_warnings(log)
    assert subject == "site demo/shop"
    assert "2 beacons" in found
    assert "https://www.shop.example" in found
    assert "origins" in remedy


def test_a_merge_field_that_is_not_filled_is_told_and_a_stray_token_is_not(log: Log) -> None:
    broken = [stored("shop", problem="token_malformed")] * MANY
    log.publisher().publish([*broken, stored("blog", problem="token_forged"), *[stored("blog", issued_at_s=1)] * 20])
    ((subject, found, _),) = door_warnings(log)
    assert subject == "tokens of demo/shop"
    assert "token_malformed: 20 of 20" in found


def test_where_all_is_well_nothing_is_told(log: Log) -> None:
    log.publisher().publish([stored("shop"), Outgoing(BEACONS, b"k", b"\xff")])
    assert door_warnings(log) == []


def matched(number: int, reason: str = "", kind: str = "match") -> Outgoing:
    row = MatchRow(kind, "demo", "s", "l", 1, f"m{number}", 1, reason=reason)
    return Outgoing(ROWS, b"demo/s", to_json(row))


def test_matches_that_moved_nobody_are_counted_by_reason(log: Log) -> None:
    log.publisher().publish([matched(0), matched(1, "", "retraction"), Outgoing(ROWS, b"k", b"{")])
    assert matches_without_command(log) == []
    log.publisher().publish([matched(2, "capped"), matched(3, "capped"), matched(4, "held_out")])
    ((subject, found, remedy),) = matches_without_command(log)
    assert (subject, found) == ("matches of demo", "2 capped, 1 held_out of the newest 4: no command")
    assert "`cap` in segma.yaml" in remedy
