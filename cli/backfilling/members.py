"""The people whom a version would have in its lists: looked for in the history, counted, and asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from analytics.clickhouse import ClickHouse
from analytics.config import AnalyticsSettings, connect, password_of
from analytics.recorded import erased, moves_an_hour, ranges, reach
from cli.backfilling.asked import LEFT, MOVED, Desks, Tally, give
from cli.backtesting.drain import HOUR_MS, Drain, calls_an_hour, drain, pace
from cli.backtesting.plan import BACKFILLS, Plan, Request, Work
from cli.backtesting.ranges import Door, do_ranges, members_in, pasts_in
from cli.output import err
from contracts.codec import replaced
from contracts.commands import Command
from contracts.installation import Account, Workspace
from contracts.log import Log
from contracts.versions import ListenerVersion, pauses_of
from flows.backtest.members import MemberFound
from flows.backtest.past import PastFound
from flows.config import terms_of
from sinks.registry import SINKS

RANGE_ROWS: Final = 50_000
"""Rows of one range: seconds of work, and what a kill loses."""


def request_of(
    workspace: str, own: Workspace, actions: Iterable[str], version: ListenerVersion, others: Sequence[ListenerVersion]
) -> Request:
    """Return what is asked of the history: a version as if it had always been live, beside those that were before it.

    ``others``: every other version of its listener.
    """
    # The same request before and after the back-fill is noted: its work goes on where it stood.
    alone = replaced(version, shadow_from_ms=0, live_from_ms=0, until_ms=None, backfilled=False)
    alone = replaced(alone, past_from_ms=None, past_until_ms=None, pauses=pauses_of((version, *others)))
    lived = tuple(each for each in others if each.live_from_ms is not None)
    return Request(workspace, (alone,), lived, terms_of(own), tuple(sorted(actions)), "members", "", True)


def states_request(workspace: str, own: Workspace, actions: Iterable[str], asks: ListenerVersion) -> Request:
    """Return what is asked of the history for a version that asks for its past: it alone, a shadow from there on."""
    alone = ListenerVersion(
        *(workspace, asks.listener, asks.version, asks.text, asks.past_from_ms or 0),
        actions=asks.actions,
        trust=asks.trust,
    )
    return Request(workspace, (alone,), (), terms_of(own), tuple(sorted(actions)), "past", "", True)


class Members:
    """The work on one request, in a folder of the home: one that was ended goes on where it stood."""

    def __init__(
        self, home: Path, settings: AnalyticsSettings, request: Request, before_ms: int, *, states: bool = False
    ) -> None:
        """``before_ms``: the instant of log time at which people are as is told. ``states``: their states are."""
        self._request, self._before_ms, self._settings, self._states = request, before_ms, settings, states
        asked = replaced(request, until=str(before_ms))
        self._work = Work(home / "data" / BACKFILLS / asked.key)
        self._plan: Plan | None = None

    def look(self, clickhouse: ClickHouse, processes: int | None = None) -> None:
        """Apply the past. Raises as the client of the history does; what is done stays done."""
        plan = self._work.plan() or self._begun(clickhouse)
        bar = Progress(
            *(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()),
            console=err,
            transient=True,
            disable=not err.is_terminal,
        )
        settings = self._settings
        door = Door(settings.url, settings.clickhouse_user, password_of(settings), settings.clickhouse_database)
        with bar:
            done = len(plan.ranges) - len(self._work.missing(plan))
            task = bar.add_task("applying the past", total=len(plan.ranges), completed=done)
            do_ranges(self._work, plan, door, processes or len(os.sched_getaffinity(0)), lambda: bar.advance(task))
        self._plan = plan

    def _begun(self, clickhouse: ClickHouse) -> Plan:
        until_ms = reach(clickhouse, self._request.workspace).until_ms
        plan = Plan(self._request, until_ms, 0, (), before_ms=self._before_ms, states=self._states)
        asked = plan.asked(self._request.subjects())
        plan = replaced(plan, ranges=tuple(ranges(clickhouse, asked, RANGE_ROWS)))
        self._work.begin(plan)
        return plan

    def found(self, gone: frozenset[str] = frozenset()) -> Iterator[MemberFound]:
        """Yield everybody of whom there is something to say, without those who were forgotten (``gone``)."""
        for number in range(len(self._plan.ranges) if self._plan is not None else 0):
            yield from (each for each in members_in(self._work, number) if each.subscriber not in gone)

    def pasts(self, gone: frozenset[str] = frozenset()) -> Iterator[PastFound]:
        """Yield the states of everybody, without those who were forgotten (``gone``)."""
        for number in range(len(self._plan.ranges) if self._plan is not None else 0):
            yield from (each for each in pasts_in(self._work, number) if each.past.subscriber not in gone)

    def remove(self) -> None:
        """Remove what was worked out."""
        self._work.remove()


def tallied(members: Members, desks: Desks, gone: frozenset[str]) -> Tally:
    """Return what would become of everybody's commands."""
    tally = Tally()
    for found in members.found(gone):
        tally.add(found, [desks.standing(command) for command in found.commands])
    return tally


def asked_for(log: Log, members: Members, desks: Desks, gone: frozenset[str]) -> int:
    """Ask for what is not asked for yet, behind the live commands; how many commands. Raises :class:`LogError`.

    Who has left is asked for too: the loop says so of each in their outcome, by what it knows then.
    """

    def commands() -> Iterator[Command]:
        for found in members.found(gone):
            yield from (each for each in found.commands if desks.standing(each) in {MOVED, LEFT})

    return give(log, commands())


def drains(
    tally: Tally, accounts: Mapping[str, Account], clickhouse: ClickHouse, workspace: str, now_ms: int
) -> dict[str, Drain]:
    """Return how long each account would take, at its quota and its own ``max_moves``."""
    found = {}
    for name in sorted(tally.people):
        account = accounts.get(name)
        kind = SINKS.get(account.sink) if account is not None else None
        most = account.max_moves.hour if account is not None else None
        calls = calls_an_hour(kind.quotas) if kind is not None else None
        live = moves_an_hour(clickhouse, workspace, name, now_ms)
        # Behind live moves half of the quota is used at most.
        bounds = [each for each in (most, pace(calls / 2, HOUR_MS) if calls is not None else None) if each is not None]
        found[name] = drain(tally.people[name], min(bounds, default=None), live)
    return found


def history(settings: AnalyticsSettings, workspace: str) -> tuple[ClickHouse, int, frozenset[str]]:
    """Return the way to the history, how many events it holds, and who was forgotten."""
    clickhouse = connect(settings)
    return clickhouse, reach(clickhouse, workspace).events, erased(clickhouse, workspace)
