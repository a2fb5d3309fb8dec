"""``segma backtest``: whom a listener would have moved, by the history and the steps that run live."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Final

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from analytics.clickhouse import ClickHouse, HistoryError, HistoryUnavailable
from analytics.config import AnalyticsSettings, analytics_settings_at, connect, password_of
from analytics.named_queries import instant
from analytics.recorded import erased, members, moves_an_hour, ranges, reach, unheard
from cli.backtesting.drain import calls_an_hour, drain, pace
from cli.backtesting.page import page
from cli.backtesting.plan import BACKTESTS, Plan, Request, Work
from cli.backtesting.ranges import Door, do_ranges
from cli.backtesting.result import Result, sum_up
from cli.backtesting.words import lines, moment
from cli.deploy import versions_of, workspace_of, workspace_option
from cli.output import Exit, err, fail, out, print_json
from cli.up import home_option, json_option
from contracts.codec import replaced
from contracts.errors import ConfigError, Problem
from contracts.installation import Installation, duration_ms
from contracts.plurals import counted
from contracts.versions import ListenerVersion
from flows.backtest.answer import Answer, Comparison
from flows.config import terms_of
from flows.language.files import load_actions
from flows.versions.deployment import versions_in
from sinks.registry import SINKS
from transport.config import load_installation, wall_clock_ms

RANGE_ROWS: Final = 50_000
"""Rows of one range: seconds of work, and what a kill loses."""
SHOWN_GAPS: Final = 3
BEGUN_ANEW_MS: Final = 86_400_000
"""One that was ended longer ago than this is begun anew."""


def _beside(_ctx: click.Context, _param: click.Parameter, path: Path | None) -> Path | None:
    """A file to be written. That it cannot be is told before the work, not behind it."""
    if path is not None and not path.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.parent}")
    return path


_FILE: Final = click.Path(path_type=Path, dir_okay=False, writable=True)


@click.command("backtest")
@click.argument("listener")
@click.option("--since", default="1970-01-01", help="Matches completed from then on: ISO 8601 (UTC), or `-90d`.")
@click.option("--until", default="now", help="What was known by then.")
@click.option("--against", type=click.IntRange(1), metavar="VERSION", help="Compare with another version of it.")
@click.option("--people", type=_FILE, callback=_beside, metavar="FILE", help="A line of JSON for each person matched.")
@click.option("--page", "page_file", type=_FILE, callback=_beside, metavar="FILE", help="The answer as HTML.")
@click.option("--quota", metavar="CALLS/SPAN", help="The account's, 150/1m say [default: as the platform publishes it]")
@click.option("--processes", type=click.IntRange(1, 256), help="That share the work [default: the processors]")
@click.option("--progress", is_flag=True, help="A line of JSON on standard error for each range that is done.")
@click.option("--anew", is_flag=True, help="Forget what an earlier one that was ended has done.")
@workspace_option
@home_option
@json_option
def backtest_command(  # noqa: PLR0917
    listener: str,
    since: str,
    until: str,
    against: int | None,
    people: Path | None,
    page_file: Path | None,
    quota: str | None,
    processes: int | None,
    progress: bool,
    anew: bool,
    workspace: str | None,
    home: Path,
    as_json: bool,
) -> None:
    """Run LISTENER over the recorded past: whom it would have moved, who would be in its lists now, who nearly.

    LISTENER is a name: its versions as they were at work, or, of one that was never live, the newest one. NAME@VERSION,
    or a file, is that version alone, as if it had been live from the beginning; so are both with --against. What was
    asked is worked on in a folder of the home: one that was ended goes on where it stood.
    """
    installation = load_installation(home / "segma.yaml")
    name = workspace_of(installation, workspace)
    an_hour = _calls(quota)
    request = _request(home, installation, name, listener, against, since, until)
    settings = analytics_settings_at(home)
    try:
        work = Work(home / "data" / BACKTESTS / request.key)
        tell = _tell_progress if progress else _tell_nobody
        result = _run(work, request, settings, people, processes, tell, anew=anew)
        _drains(result, installation, connect(settings), an_hour)
    except HistoryUnavailable as error:
        fail(
            f"{settings.url}: {error}. What is done is kept: the same command goes on where it stood", Exit.UNAVAILABLE
        )
    except HistoryError as error:
        fail(f"{settings.url}: {error}", Exit.PROBLEMS)
    if page_file is not None:
        page_file.write_text(page(result), encoding="utf-8")
    if as_json:
        print_json(result.as_json())
        return
    for line in lines(result):
        out.print(line)


def _tell_progress(done: int, of: int) -> None:
    err.file.write(f'{{"done": {done}, "of": {of}}}\n')
    err.file.flush()


def _tell_nobody(done: int, of: int) -> None:
    pass


def _run(  # noqa: PLR0917
    work: Work,
    request: Request,
    settings: AnalyticsSettings,
    people: Path | None,
    processes: int | None,
    tell: Callable[[int, int], None],
    *,
    anew: bool,
) -> Result:
    clickhouse = connect(settings)
    # NOTE: what was asked up to "now" is not what the same words ask days later.
    plan = None if anew or work.is_older(wall_clock_ms() - BEGUN_ANEW_MS) else work.plan()
    if plan is None:
        plan = _plan(clickhouse, request)
        work.begin(plan)
    elif done := len(plan.ranges) - len(work.missing(plan)):
        err.print(f"segma: goes on where it stood: {done} of {counted(len(plan.ranges), 'range')} done")
    subjects = request.subjects()
    since_ms = plan.since_ms
    result = Result(subjects[0].listeners[0].name, plan, Answer(since_ms), subjects[0].listeners)
    if len(subjects) > 1:
        result.comparison = Comparison(result.answer, Answer(since_ms))
    result.notes += _notes(clickhouse, plan)
    bar = Progress(
        *(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn()),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
    door = Door(settings.url, settings.clickhouse_user, password_of(settings), settings.clickhouse_database)
    with bar:
        task = bar.add_task(
            "applying the past", total=len(plan.ranges), completed=len(plan.ranges) - len(work.missing(plan))
        )

        def one_done() -> None:
            bar.advance(task)
            tell(round(bar.tasks[0].completed), len(plan.ranges))

        do_ranges(work, plan, door, processes or len(os.sched_getaffinity(0)), one_done)
        task = bar.add_task("summing up", total=len(plan.ranges))
        gone = erased(clickhouse, request.workspace)
        draft = people.with_name(f"{people.name}.draft") if people is not None else None
        with draft.open("wb") if draft is not None else nullcontext() as file:
            beside = members(clickhouse, request.workspace, plan.until_ms)
            sum_up(result, work, beside, gone, file, lambda: bar.advance(task))
        if draft is not None and people is not None:
            draft.replace(people)
    work.remove()
    return result


def _plan(clickhouse: ClickHouse, request: Request) -> Plan:
    """Fix up to when, and who. Ends the command where the history holds nothing."""
    now_ms = wall_clock_ms()
    known = reach(clickhouse, request.workspace)
    if not known.events:
        fail(f"the history of workspace `{request.workspace}` holds no event", Exit.PROBLEMS)
    until_ms, since_ms = (round(_instant(text, now_ms) * 1_000) for text in (request.until, request.since))
    if since_ms > until_ms:
        fail(f"--since {request.since} is after --until {request.until}", Exit.USAGE)
    if since_ms > now_ms:
        fail(f"--since {request.since} is still to come", Exit.USAGE)
    if since_ms > known.until_ms:
        fail(f"the history ends at {moment(known.until_ms)}, before --since {request.since}", Exit.PROBLEMS)
    plan = Plan(request, min(until_ms, known.until_ms), max(since_ms, 0), (), known.gaps)
    return replaced(plan, ranges=tuple(ranges(clickhouse, plan.asked(request.subjects()), RANGE_ROWS)))


def _instant(text: str, now_ms: int) -> float:
    try:
        return instant(text, now_ms).timestamp()
    except ValueError as error:
        raise ConfigError([Problem("--since/--until", text, str(error), "2026-04-01, -90d or now")]) from None


def _notes(clickhouse: ClickHouse, plan: Plan) -> list[str]:
    """What the history does not hold, and what is not foreseen, in sentences."""
    asked = plan.asked(plan.request.subjects())
    notes = [f"the history holds no `{action}`" for action in unheard(clickhouse, asked)]
    if plan.gaps:
        shown = ", ".join(str(day) for day in plan.gaps[:SHOWN_GAPS])
        more = f" and {len(plan.gaps) - SHOWN_GAPS} more" if len(plan.gaps) > SHOWN_GAPS else ""
        notes.append(
            f"the history holds no event at all of {shown}{more}: whoever did something then is not seen doing it"
        )
    gone = erased(clickhouse, plan.request.workspace)
    if gone:
        notes.append(f"{counted(len(gone), 'person', 'people')} forgotten: nothing of theirs is in it")
    if plan.request.alone:
        notes.append("what its own moves would have changed, and whom a platform would have vetoed, is not foreseen")
        if plan.request.terms.cap_moves:
            notes.append("of the cap only the places that its own moves would have taken are counted")
    return notes


def _request(  # noqa: PLR0917
    home: Path, installation: Installation, workspace: str, listener: str, against: int | None, since: str, until: str
) -> Request:
    own = installation.workspaces[workspace]
    known, actions = _known(home, installation, workspace), tuple(sorted(load_actions(home / own.actions)))
    path = Path(listener)
    versions: tuple[ListenerVersion, ...]
    alone = True
    if path.suffix in {".yaml", ".yml"}:
        given = versions_in(path, home / own.actions, workspace, own.trust)
        if len(given) != 1:
            raise ConfigError([Problem(listener, "", counted(len(given), "version"), "a file with one")])
        name, versions = given[0].listener, (_alone(given[0]),)
    else:
        name, _, number = listener.partition("@")
        versions, alone = _named(known, name, number, alone=against is not None)
    other = (_alone(_version(known, name, str(against))),) if against is not None else ()
    return Request(workspace, versions, other, terms_of(own), actions, since, until, alone)


def _known(home: Path, installation: Installation, workspace: str) -> list[ListenerVersion]:
    with versions_of(home, installation) as versions:
        return [each for each in versions.known if each.workspace == workspace]


def _named(
    known: Sequence[ListenerVersion], name: str, number: str, *, alone: bool
) -> tuple[tuple[ListenerVersion, ...], bool]:
    """The versions that a name means, and whether it is one of them by itself."""
    own = [each for each in known if each.listener == name]
    if number or not own:
        return (_alone(_version(known, name, number)),), True
    newest = max(own, key=lambda each: each.version)
    if alone or not any(each.live_from_ms is not None for each in own):
        return (_alone(newest),), True
    return tuple(own), False


def _version(known: Sequence[ListenerVersion], name: str, number: str) -> ListenerVersion:
    for each in known:
        if each.listener == name and str(each.version) == number:
            return each
    there = ", ".join(f"{each.listener}@{each.version}" for each in known) or "none"
    wanted = f"{name}@{number}" if number else name
    fail(f"no {wanted} was applied; there is {there}; or give the listener's file", Exit.PROBLEMS)


def _alone(version: ListenerVersion) -> ListenerVersion:
    """A version as if it had been live from the beginning, alone, and never paused."""
    alone = replaced(version, shadow_from_ms=0, live_from_ms=0, until_ms=None, past_from_ms=None, past_until_ms=None)
    return replaced(alone, pauses=())


def _calls(quota: str | None) -> float | None:
    """The calls an hour of ``150/1m``."""
    if quota is None:
        return None
    calls, _, span = quota.partition("/")
    try:
        an_hour = pace(int(calls), duration_ms(span))
    except ValueError:
        an_hour = -1.0
    if an_hour < 0:
        raise ConfigError([Problem("--quota", quota, "no quota", "calls and a span: 150/1m")])
    return an_hour


def _drains(result: Result, installation: Installation, clickhouse: ClickHouse, an_hour: float | None) -> None:
    """How long each account would take for the people in the lists at the end."""
    workspace = result.plan.request.workspace
    accounts = installation.workspaces[workspace].accounts
    for account in sorted({name for name, _, _ in result.answer.lists}):
        moves = sum(people for (name, _, _), people in result.answer.lists.items() if name == account)
        kind = SINKS.get(accounts[account].sink) if account in accounts else None
        bound = an_hour if an_hour is not None else calls_an_hour(kind.quotas) if kind is not None else None
        live = moves_an_hour(clickhouse, workspace, account, result.plan.until_ms)
        result.drains[account] = drain(moves, bound, live)
