"""ClickHouse goes away in the middle of a promotion with its past: a sentence, nothing half done, and on it goes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import cli.backfilling.members
import cli.backtesting.ranges
from cli.output import Exit
from contracts.codec import replaced
from tests.analytics.embedded import Embedded
from tests.analytics.flow_history import SECOND, apply, begun, version
from tests.analytics.test_promote_backfill import FIRST_SHADOW, Promotion, wanted
from tests.analytics.test_promote_since import known, told


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Embedded]:
    """One of its own, to be killed."""
    home = tmp_path / "server"
    home.mkdir()
    server = Embedded(home, SEGMA_CLICKHOUSE_MEMORY_BYTES=str(2**28))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def promotion(server: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Promotion:
    past = begun(server, "t_outage", tmp_path, monkeypatch)
    apply(past.home, [version(FIRST_SHADOW, 1), replaced(version(SECOND, 2), shadow_from_ms=0)])
    monkeypatch.setattr(cli.backfilling.members, "RANGE_ROWS", 20)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    return Promotion(past)


@pytest.mark.parametrize("backfill", [("members",), ("since", "3650d")])
def test_it_says_so_in_a_sentence_and_goes_on_when_asked_again(
    backfill: tuple[str, ...], server: Embedded, promotion: Promotion, monkeypatch: pytest.MonkeyPatch
) -> None:
    people, done, one = wanted(promotion), list[int](), cli.backtesting.ranges._one
    kills = [server.kill]

    def counted(number: int) -> None:
        if done and kills:
            kills.pop()()
        one(number)
        done.append(number)

    monkeypatch.setattr(cli.backtesting.ranges, "_one", counted)
    said = promotion.run("--backfill", *backfill)
    assert said.exit_code == Exit.UNAVAILABLE
    told_at_the_end = said.output.replace("\n", " ")
    assert "ClickHouse does not answer now" in told_at_the_end
    assert "the same command goes on there" in told_at_the_end
    assert "Traceback" not in said.output
    assert (promotion.given(), told(promotion), done) == ([], [], [0]), (
        "one range is done, and nothing is given or told"
    )
    instant = known(promotion).live_from_ms if backfill[0] == "members" else known(promotion).past_until_ms
    server.start()
    assert promotion.run("--backfill", *backfill).exit_code == 0
    now = known(promotion)
    assert instant == (now.live_from_ms if backfill[0] == "members" else now.past_until_ms)
    assert now.live_from_ms is not None
    assert sorted(done) == [*range(len(done))], "each range once"
    given = [each.subscriber for each in promotion.given()]
    assert sorted(given) == sorted(people if backfill[0] == "members" else [])
    assert len(told(promotion)) == (30 if backfill[0] == "since" else 0)
