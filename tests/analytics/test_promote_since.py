"""``segma listeners promote --backfill since``: a version that goes live goes on with what the past began."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import cli.backfilling.members
import cli.backfilling.since
import cli.promote
from analytics.erase import erase
from cli.__main__ import cli as segma_cli
from cli.backfilling.caught_up import await_history
from contracts.codec import json_reader, replaced, to_json
from contracts.commands import Command
from contracts.log import Outgoing, Record
from contracts.past import PAST_PREFIX
from contracts.topics import EVENTS
from contracts.versions import ListenerVersion
from flows.operators.logic import FollowBatch, FollowLogic, Shared
from flows.state.changelog import Changelog
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.pinned_terms import Terms
from flows.versions.deployment import Deployments, Versions
from tests.analytics.embedded import Embedded
from tests.analytics.flow_history import FIRST, SECOND, apply, arrivals, begun, event, version
from tests.analytics.test_promote_backfill import Promotion, Stopped
from tests.flows.test_changelog import unsynced
from transport.config import wall_clock_ms

_command = json_reader(Command)
FOREVER = ("--backfill", "since", "3650d")


@pytest.fixture
def promotion(
    embedded: Embedded, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Promotion]:
    """Version 2 is applied now, long after anybody did anything."""
    past = begun(embedded, database, tmp_path, monkeypatch)
    monkeypatch.setattr(cli.backfilling.members, "RANGE_ROWS", 10**6)
    apply(past.home, [replaced(version(FIRST, 1), live_from_ms=0)])
    apply(past.home, [replaced(version(SECOND, 2), shadow_from_ms=wall_clock_ms())])
    yield Promotion(past)
    past.history.command(f"DROP DATABASE {database}", database=False)
    past.history.close()


def told(promotion: Promotion) -> list[Record]:
    with promotion.log() as log:
        records = log.reader(EVENTS).poll(10_000)
    return [each for each in records if (each.value or b"").startswith(PAST_PREFIX)]


def known(promotion: Promotion) -> ListenerVersion:
    with promotion.log() as log, closing(Versions(log)) as versions:
        return next(each for each in versions.known if each.version == 2)


def answer(promotion: Promotion, *words: str) -> dict[str, Any]:
    said = promotion.run(*FOREVER, *words, "--json")
    assert said.exit_code == 0, said.output
    found: dict[str, Any] = json.loads(said.stdout.splitlines()[-1])
    return found


def moved_after(promotion: Promotion, states: Path, who: str) -> list[Command]:
    """What the flow commands where somebody looks an hour after the promotion, and buys nothing."""
    live_ms = known(promotion).live_from_ms or 0
    with promotion.log() as log, closing(Versions(log)) as versions:
        engine = WorkspaceEngine("w", terms=Terms(30 * 60_000, 1_800_000, 86_400_000, 2_000))
        Deployments(versions, {"w": engine}, {"w": frozenset()})
    logic = FollowLogic(Shared({}, {"w": engine}, 1), Changelog(states, sync=unsynced), None)
    looks = event("looks", who, "page_viewed", live_ms + 3_600_000, live_ms + 3_600_000, {"path": "/shoes"})
    came = [(Record(EVENTS, 0, 0, ms, b"", to_json(each)), ms) for each, ms in arrivals()]
    past = [(each, live_ms - 1) for each in told(promotion)]
    late = [(Record(EVENTS, 0, 0, looks.log_time_ms, b"", to_json(looks)), looks.log_time_ms)]
    written: list[Outgoing] = []
    for batch in (came, past, late):
        written = list(logic.on_batch([FollowBatch(tuple(batch), batch[-1][1])])[0])
    written += logic.on_batch([FollowBatch((), live_ms + 3 * 3_600_000)])[0]
    return [_command(each.value or b"") for each in written if each.topic.startswith("moves")]


def test_who_clicked_before_it_was_there_is_moved_by_what_comes_next(promotion: Promotion, tmp_path: Path) -> None:
    dry = answer(promotion, "--dry-run")
    assert (dry["dry_run"], told(promotion), known(promotion).past_until_ms) == (True, [], None)
    assert dry["people"] == 30
    assert dry["runs"] > 0
    assert dry["matched"] > 0
    said = answer(promotion)
    assert {name: said[name] for name in ("people", "runs", "matched")} == {
        name: dry[name] for name in ("people", "runs", "matched")
    }
    assert len(told(promotion)) == 30
    assert known(promotion).live_from_ms is not None
    (command,) = moved_after(promotion, tmp_path / "one", "s_03")
    assert (command.subscriber, command.version, command.to_list) == ("s_03", 2, "hot")
    assert promotion.run(*FOREVER).exit_code == 0, "asked again it has nothing to do"
    assert len(told(promotion)) == 30


def test_killed_anywhere_it_goes_on_where_it_stood(promotion: Promotion, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [0]

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def counts(*given: Any, **named: Any) -> Any:
            steps[0] -= 1
            if steps[0] == 0:
                raise Stopped
            return call(*given, **named)

        return counts

    monkeypatch.setattr(cli.promote, "await_history", counted(await_history))
    monkeypatch.setattr(cli.backfilling.since, "_record", counted(cli.backfilling.since._record))
    monkeypatch.setattr(cli.promote, "_promoted", counted(cli.promote._promoted))
    instants = set()
    for kill in (2, 3, 20, 33):
        steps[0] = kill
        with pytest.raises(Stopped):
            CliRunner().invoke(
                segma_cli,
                ["listeners", "promote", "keen", *FOREVER, "--home", str(promotion.home)],
                catch_exceptions=False,
            )
        assert known(promotion).live_from_ms is None
        instants.add(known(promotion).past_until_ms)
    steps[0] = 0
    answer(promotion)
    assert instants == {known(promotion).past_until_ms}, "one instant, whatever was killed"
    assert len({each.key for each in told(promotion)}) == 30


def test_who_is_forgotten_while_the_history_is_gone_through_is_not_told(
    promotion: Promotion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def waits(*given: Any) -> None:
        await_history(*given)
        erase(promotion.past.history, ("w", "s_03"), wall_clock_ms())

    monkeypatch.setattr(cli.promote, "await_history", waits)
    answer(promotion)
    assert not [each for each in told(promotion) if b"s_03" in each.key + (each.value or b"")]


def test_where_the_logs_clock_is_ahead_the_promotion_still_lies_behind_every_state(
    promotion: Promotion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli.promote, "wall_clock_ms", lambda: wall_clock_ms() - 600_000)
    asked_ms = wall_clock_ms()
    answer(promotion)
    version = known(promotion)
    assert version.past_until_ms is not None
    assert version.live_from_ms is not None
    assert version.past_until_ms > asked_ms, "the flow holds what comes from when it knows of it"
    assert version.live_from_ms > max(each.log_time_ms for each in told(promotion))


def test_what_cannot_be_taken_over_is_told_in_a_sentence(promotion: Promotion) -> None:
    def refused(*words: str) -> str:
        said = promotion.run(*words)
        assert said.exit_code != 0
        return said.output.replace("\n", " ")

    assert "write a whole number" in refused("--backfill", "since")
    assert "write a whole number" in refused("--backfill", "since", "soon")
    assert "is no version" in refused("--backfill", "since", "two", "3d")
    first_not = FIRST.replace("keen", "keen\nversion: 3").replace(
        "sequence:\n", "sequence:\n  - {not: product_bought, for: 1h}\n"
    )
    apply(promotion.home, [replaced(version(first_not, 3), shadow_from_ms=0)])
    assert "begins with a `not`" in refused("3", "--backfill", "since 3d")
    assert told(promotion) == []
