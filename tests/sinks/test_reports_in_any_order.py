"""Reports of webhooks against Segma's own moves: before, after, twice, late, never (docs/semantics.md 8.1, 2, 5 and 6).

Each platform's own words go the way they go at the collector; the real delivery and the real sink act on them, over the
imitated platform in this process.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.commands import Outcome, Result
from contracts.log import Outgoing
from sinks.base import Sink
from tests.sinks.beds import brief, now_ms
from tests.sinks.consent_bed import Fuse, MemoryLog, sink_over
from tests.sinks.courier import Courier, command
from tests.sinks.reported import ADDRESS, BY_ANYBODY, REPORTS, Said, facts_of, ours
from tests.sinks.simulator.imitation import imitations
from tests.sinks.simulator.world import World

MINUTE_MS = 60_000
JOINING = [name for name, each in REPORTS.items() if each.joined is not None]


class Account:
    """One account at an imitated platform, and what its webhook tells. Anna is in ``news`` and in ``other``."""

    def __init__(self, name: str, data: Path) -> None:
        self.name, self.imitation = name, imitations()[name]
        self.dialect: Any = self.imitation.dialect()
        self.world: Any = getattr(self.imitation.dialect, "world", World)()
        self.token_field, self._data = self.imitation.token_field, data
        self.start_ms = now_ms() // 1_000 * 1_000 - 60 * MINUTE_MS
        self.log: Any = MemoryLog(now_ms, Fuse())
        for each in ("news", "other"):
            self.world.put(ADDRESS, each)
        self.courier = Courier(self, data / "log", log=self.log)  # type: ignore[arg-type]

    def sink(self, **_: Any) -> Sink:
        around = {"now_ms": now_ms, "log": self.log, "strangers": "add", "known": "confirmed"}
        options = dict(self.imitation.options)
        made = sink_over(self.dialect, self.world, Fuse(), options, around=around, data=self._data)
        made._pause = brief  # type: ignore[attr-defined]
        return made

    def tells(self, said: Said | None, minute: int = 60) -> list[Outgoing]:
        """The webhook's call about what happened in this minute; the last one is now."""
        assert said is not None
        facts = facts_of(self.name, said(self.start_ms + minute * MINUTE_MS), now_ms())
        self.courier.publish(*facts)
        return facts

    def asked(self, given: Any) -> Outcome:
        self.courier.send(given)
        self.courier.deliver()
        return next(each for each in self.courier.outcomes() if each.command_id == given.command_id)

    def moves(self) -> Outcome:
        """Segma's first move."""
        return self.asked(command("hot", "news"))

    def moves_on(self) -> str:
        """Why the move that follows is not made; empty: it is."""
        outcome = self.asked(command("vip", "hot"))
        assert (ADDRESS in self.world.members("vip")) is (outcome.result is Result.APPLIED)
        return outcome.reason

    def close(self) -> None:
        assert self.world.wrongs == []
        assert self.world.mails == []


@pytest.fixture
def account(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Account]:
    made = Account(request.param, tmp_path)
    yield made
    made.close()


UNTIMED = frozenset({"campaignmonitor", "ghost"})
"""Who tell no time, or one without a zone: a leaving counts from when it is heard of; told again, from then."""

on_each = pytest.mark.parametrize("account", REPORTS, indirect=True)
where_joinings_are_told = pytest.mark.parametrize("account", JOINING, indirect=True)


def test_every_imitated_platform_is_in_the_table() -> None:
    assert set(REPORTS) == set(imitations())


@on_each
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("before", [True, False])
def test_the_report_of_segmas_own_move_is_no_leaving(account: Account, times: int, before: bool) -> None:
    """2: whether it comes before the outcome or after it, once or twice."""
    words = REPORTS[account.name]
    for _ in range(times if before else 0):
        assert account.tells(words.own) == []
    assert account.moves().result is Result.APPLIED
    for _ in range(0 if before else times):
        assert account.tells(words.own) == []
    assert account.moves_on() == ""


@on_each
def test_a_report_before_the_move_vetoes_it_and_nothing_is_changed(account: Account) -> None:
    account.tells(REPORTS[account.name].left)
    outcome = account.moves()
    assert (outcome.result, outcome.reason, outcome.changed) == (Result.SKIPPED, "unsubscribed", ())
    assert account.world.members("hot") == set()
    assert account.world.members("news") == {ADDRESS}


@on_each
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("minute", [0, 60])
def test_a_report_after_the_move_vetoes_the_next_one(account: Account, times: int, minute: int) -> None:
    """6: however long before the move it happened, vetoes know no lateness; told twice it is one leaving."""
    assert account.moves().result is Result.APPLIED
    told = [account.tells(REPORTS[account.name].left, minute) for _ in range(times)]
    keys = [each.key for facts in told for each in facts]
    leavings = [key.rpartition(b"\0")[0] for key in keys] if account.name in UNTIMED else keys
    assert len(keys) == times
    assert len(set(leavings)) == 1
    assert account.moves_on() == "unsubscribed"
    assert account.asked(command("", "hot")).result is Result.APPLIED, "taking out is always allowed"


@on_each
@pytest.mark.parametrize("told", [False, True], ids=["never told", "told besides"])
def test_what_the_platform_shows_vetoes_whether_or_not_it_is_told(account: Account, told: bool) -> None:
    assert account.moves().result is Result.APPLIED
    account.dialect.leave(account.world, ADDRESS, "hot")
    if told:
        account.tells(REPORTS[account.name].left)
    assert account.moves_on() in {"unsubscribed", "blocked"}


@where_joinings_are_told
@pytest.mark.parametrize(
    ("left", "joined", "reason"), [(10, 20, ""), (20, 10, "unsubscribed"), (20, 20, "unsubscribed")]
)
@pytest.mark.parametrize("joining_first", [False, True])
def test_a_leaving_and_a_joining_count_by_their_times(
    account: Account, left: int, joined: int, reason: str, joining_first: bool
) -> None:
    """5 and 6: whichever is told first; at the same instant the leaving wins."""
    words = REPORTS[account.name]
    reports = [(words.left, left), (words.joined, joined)]
    for said, minute in reversed(reports) if joining_first else reports:
        account.tells(said, minute)
    assert account.moves().reason == reason


@where_joinings_are_told
def test_one_joining_lifts_no_leaving_that_is_told_after_it(account: Account) -> None:
    """6: left, back, and left again: the report of the second leaving stands, a repetition of the joining or not."""
    words = REPORTS[account.name]
    account.tells(words.left, 10)
    account.tells(words.joined, 20)
    assert account.moves().result is Result.APPLIED
    account.tells(words.left, 30)
    account.tells(words.joined, 20)
    assert account.moves_on() == "unsubscribed"


@pytest.mark.parametrize("account", BY_ANYBODY, indirect=True)
def test_a_joining_that_does_not_say_by_whom_lifts_nothing(account: Account) -> None:
    """5: an administrator's, an API's or an import's subscription brings nobody back."""
    account.tells(REPORTS[account.name].left, 10)
    assert account.tells(BY_ANYBODY[account.name], 20) == []
    assert account.moves().reason == "unsubscribed"


@on_each
@pytest.mark.parametrize("case", ["told before the move", "told after it", "and joined the other by themselves"])
def test_who_leaves_the_list_moved_from_is_out_of_where_the_move_put_them(account: Account, case: str) -> None:
    """1: told in our words, which name the list; who joined the other one by themselves stays in it."""

    def told(action: str, list_name: str, at_ms: int) -> None:
        account.courier.publish(*facts_of("listmonk", ours(action, list_name)(at_ms), at_ms))

    if case == "told before the move":
        told("email_unsubscribed", "news", account.start_ms)
        assert account.moves().reason == "unsubscribed"
        assert account.asked(command("hot", "other")).result is Result.APPLIED, "it is a leaving of that list alone"
        return
    assert account.moves().result is Result.APPLIED
    joined = case != "told after it"
    if joined:
        told("subscribed", "hot", now_ms() + 1_000)
    told("email_unsubscribed", "news", now_ms() + 2_000)
    assert account.asked(command("news")).reason == "unsubscribed"
    account.courier.deliver()
    assert account.world.members("hot") == ({ADDRESS} if joined else set())
