"""``segma listeners promote --backfill members`` over a history that the flow made, and the moves that come of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import cli.backfilling.asked
import cli.backfilling.members
import cli.promote
from cli.__main__ import cli as segma_cli
from cli.backfilling.caught_up import PATIENCE_S, HistoryBehind, await_history
from contracts.accounts import Veto
from contracts.codec import json_reader, replaced, to_json
from contracts.commands import Command, Outcome
from contracts.events import LogTime
from contracts.log import Log, Outgoing
from contracts.rows import DirectoryEntry, EventRow
from contracts.topics import (
    EVENTS,
    OUTCOMES,
    SUBSCRIBERS,
    VETOES,
    backfill_topic,
    fixed_topics,
    subscriber_key,
    veto_key,
)
from flows.versions.deployment import Versions
from sinks.delivery.loop import Delivery
from tests.analytics.embedded import Embedded
from tests.analytics.flow_history import PEOPLE, SECOND, Past, apply, begun, event, version
from tests.analytics.story import put
from tests.sinks.memory import MemorySink
from transport import open_log
from transport.config import load_installation, settings_at, wall_clock_ms

_command = json_reader(Command)
_outcome = json_reader(Outcome)
IDS = [f"s_{number:02}" for number in range(PEOPLE)]


class Stopped(BaseException):
    """The command is killed here."""


class Promotion:
    """A home with version 1 live from the beginning, version 2 a shadow, and nobody moved yet."""

    def __init__(self, past: Past) -> None:
        self.past, self.home = past, past.home
        with self.log() as log:
            log.ensure(fixed_topics(load_installation(self.home / "segma.yaml").partitions))
            self.publish(log, [self.entry(each) for each in IDS])
        self.tick(wall_clock_ms() + 60_000)

    def log(self) -> closing[Log]:
        return closing(open_log(settings_at(self.home)))

    @staticmethod
    def entry(person: str) -> Outgoing:
        return Outgoing(
            SUBSCRIBERS, subscriber_key("w", person), to_json(DirectoryEntry("w", person, f"{person}@example.org"))
        )

    @staticmethod
    def publish(log: Log, records: Sequence[Outgoing]) -> None:
        log.publisher().publish(records)

    def tick(self, at_ms: int) -> None:
        """A flow that has come to a log time in every partition."""
        with self.log() as log:
            partitions = len(log.end(EVENTS))
            self.publish(
                log,
                [Outgoing(EVENTS, b"", to_json(LogTime(each, at_ms)), each) for each in range(partitions)],
            )

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(segma_cli, ["listeners", "promote", "keen", *words, "--home", str(self.home)])

    def answer(self, *words: str) -> dict[str, Any]:
        said = self.run("--backfill", "members", *words, "--json")
        assert said.exit_code == 0, said.output
        found: dict[str, Any] = json.loads(said.stdout.splitlines()[-1])
        return found

    def given(self) -> list[Command]:
        with self.log() as log:
            records = log.reader(backfill_topic("w", "mailbox")).poll(10_000)
        return [_command(each.value or b"") for each in records]

    def deliver(self, lists: dict[str, set[str]]) -> list[Outcome]:
        with self.log() as log:
            loop = Delivery(
                log,
                MemorySink(lists),
                workspace="w",
                account="mailbox",
                now_ms=wall_clock_ms,
                pause=lambda seconds: None,
                stopping=lambda: False,
            )
            while loop.round():
                pass
            loop.close()
            return [_outcome(each.value or b"") for each in log.reader(OUTCOMES).poll(10_000)]


def promoted_soon(embedded: Embedded, database: str, folder: Path, patched: pytest.MonkeyPatch) -> Iterator[Promotion]:
    past = begun(embedded, database, folder, patched)
    patched.setattr(cli.backfilling.members, "RANGE_ROWS", 10**6)
    # The first one never lived: nobody was moved.
    apply(past.home, [version(FIRST_SHADOW, 1), replaced(version(SECOND, 2), shadow_from_ms=0)])
    yield Promotion(past)
    past.history.command(f"DROP DATABASE {database}", database=False)
    past.history.close()


@pytest.fixture
def promotion(
    embedded: Embedded, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Promotion]:
    yield from promoted_soon(embedded, database, tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def untouched(embedded: Embedded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Promotion]:
    """For tests that promote nothing."""
    with pytest.MonkeyPatch.context() as patched:
        yield from promoted_soon(embedded, "t_promote", tmp_path_factory.mktemp("promote"), patched)


FIRST_SHADOW = "listener: keen\nsequence: [{action: form_submitted}]\nthen: [{add: {to: x, at: mailbox}}]\n"


def test_while_it_is_paused_nobody_is_moved_for_the_past(promotion: Promotion) -> None:
    apply(promotion.home, [replaced(version(FIRST_SHADOW, 1), live_from_ms=0, pauses=((1, None),))])
    refused = promotion.run("2", "--backfill", "members")
    assert (refused.exit_code, "keen is paused" in refused.output) == (1, True)
    with promotion.log() as log:
        assert backfill_topic("w", "mailbox") not in {topic.name for topic in log.topics()}
    assert promotion.answer("2", "--dry-run")["paused"] > 0, "what completed in the pause is not made good"


def wanted(promotion: Promotion) -> set[str]:
    """Whom version 2 would have in its list: those of version 1, and who clicked in autumn, looked, and did not buy."""
    return {row["subscriber"] for row in backtested(promotion)}


def backtested(promotion: Promotion) -> list[dict[str, Any]]:
    file = promotion.home / "people.ndjson"
    said = promotion.past.run("keen@2", "--people", str(file))
    assert said.exit_code == 0, said.output
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_those_who_would_be_in_its_list_are_moved_once(promotion: Promotion) -> None:
    people = backtested(promotion)
    ids = {each["subscriber"]: each["matches"][-1]["match_id"] for each in people}
    told = promotion.answer("--dry-run")
    assert (told["dry_run"], told["given"], told["accounts"]["mailbox"]["people"]) == (True, 0, len(ids))
    assert promotion.given() == []
    assert "shadow" in CliRunner().invoke(segma_cli, ["listeners", "versions", "--home", str(promotion.home)]).output, (
        "a dry run promotes nothing"
    )
    with promotion.log() as log:
        left = sorted(ids)[0]
        veto = to_json(Veto("w", "mailbox", left, "hot", 5, "email_unsubscribed"))
        promotion.publish(log, [Outgoing(VETOES, veto_key("w", "mailbox", left, "hot"), veto)])
    told = promotion.answer()
    assert told["given"] == len(ids)
    assert (told["accounts"]["mailbox"]["moved"], told["accounts"]["mailbox"]["left"]) == (len(ids) - 1, 1)
    assert {each.subscriber: each.match_id for each in promotion.given()} == ids
    with promotion.log() as log, closing(Versions(log)) as versions:
        noted = {each.version: each.backfilled for each in versions.known}
    assert noted == {1: False, 2: True}, "the flow knows whose matches as a shadow have commands"
    lists = {"news": {f"{each}@example.org" for each in IDS}}
    outcomes = promotion.deliver(lists)
    assert {each.partition("@")[0] for each in lists["hot"]} == ids.keys() - {left}
    assert [each.reason for each in outcomes if each.subscriber == left] == ["unsubscribed"]
    again = promotion.answer()
    assert (again["given"], again["accounts"]["mailbox"]["asked"]) == (0, len(ids))
    assert promotion.deliver(lists) == outcomes


def test_killed_anywhere_it_goes_on_and_nobody_is_asked_for_twice(
    promotion: Promotion, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = wanted(promotion)
    monkeypatch.setattr(cli.backfilling.asked, "BATCH", 2)
    give: Callable[..., Any] = cli.backfilling.asked._records
    steps = [0]

    def records(command: Command) -> Any:
        steps[0] -= 1
        if steps[0] == 0:
            raise Stopped
        return give(command)

    def waits(*_: Any, **__: Any) -> None:
        steps[0] -= 1
        if steps[0] == 0:
            raise Stopped
        await_history(*_, **__)

    def noted(*given: Any) -> None:
        steps[0] -= 1
        if steps[0] == 0:
            raise Stopped
        note(*given)

    note = cli.promote._note_backfill
    monkeypatch.setattr(cli.backfilling.asked, "_records", records)
    monkeypatch.setattr(cli.promote, "await_history", waits)
    monkeypatch.setattr(cli.promote, "_note_backfill", noted)
    for kill in (1, 2, 3, 5, 6):
        steps[0] = kill
        with pytest.raises(Stopped):
            CliRunner().invoke(
                segma_cli,
                ["listeners", "promote", "keen", "--backfill", "members", "--home", str(promotion.home)],
                catch_exceptions=False,
            )
        with promotion.log() as log, closing(Versions(log)) as versions:
            assert all(each.backfilled for each in versions.known if each.live_from_ms is not None)
    steps[0] = 0
    promotion.answer()
    given = [each.command_id for each in promotion.given()]
    assert len(given) == len(set(given)) == len(expected)
    assert not any((promotion.home / "data" / "backfills").iterdir())


def refused(promotion: Promotion, *words: str) -> str:
    said = promotion.run("--backfill", "members", *words)
    assert said.exit_code != 0
    assert "Traceback" not in said.output
    return said.output.replace("\n", " ")


def test_nothing_is_promoted_where_the_past_cannot_be_asked(
    untouched: Promotion, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:
        away.setenv("SEGMA_CLICKHOUSE_URL", "http://127.0.0.1:9")
        assert "the same command goes on" in refused(untouched)
    with monkeypatch.context() as later:
        later.setattr(cli.promote, "wall_clock_ms", lambda: wall_clock_ms() + 10**9)
        assert "the flow is not at work" in refused(untouched)
    with monkeypatch.context() as empty:
        empty.setattr(cli.promote, "history", lambda settings, workspace: (None, 0, frozenset()))
        assert "holds no event: nothing was done" in refused(untouched)
    versions = CliRunner().invoke(segma_cli, ["listeners", "versions", "--home", str(untouched.home), "--json"])
    assert [json.loads(line)["state"] for line in versions.stdout.splitlines()] == ["shadow", "shadow"]


def test_what_cannot_be_asked_for_is_told_in_a_sentence(untouched: Promotion) -> None:
    assert "none of `none`, `members` and `since 30d`" in untouched.run("--backfill", "everybody").output
    assert "--dry-run says what" in untouched.run("--dry-run").output
    assert "no keen@7 was applied" in refused(untouched, "7")
    nobody = CliRunner().invoke(segma_cli, ["listeners", "promote", "nobody", "--home", str(untouched.home)])
    assert (nobody.exit_code, "no version of nobody was applied" in nobody.output) == (1, True)


def test_it_waits_until_the_history_holds_what_came_before(untouched: Promotion) -> None:
    late_ms = wall_clock_ms()
    own = event("late", "s_00", "page_viewed", late_ms, late_ms, {})
    with untouched.log() as log:
        untouched.publish(log, [Outgoing(EVENTS, subscriber_key("w", "s_00"), to_json(own))])
        waited: list[float] = []

        def pause(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == 3:
                put(untouched.past.history, [EventRow(own)], first_offset=700_000_000)

        history = untouched.past.history
        await_history(log, history, "w", late_ms + 1_000, pause=pause, clock=lambda: 0.0)
        assert len(waited) == 3
        now = iter(range(0, 10**6, int(PATIENCE_S)))
        with pytest.raises(HistoryBehind, match="the flow has not come"):
            await_history(log, history, "w", late_ms + 10**9, pause=lambda seconds: None, clock=lambda: next(now))


def test_what_has_always_been_live_has_nothing_before_it(untouched: Promotion) -> None:
    apply(untouched.home, [replaced(version(SECOND, 2), live_from_ms=0)])
    assert "live from the beginning" in refused(untouched)
