"""``segma listeners promote``: a version becomes live; whom it would have moved by now is moved behind live ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

import click

from analytics.clickhouse import ClickHouse, HistoryError, HistoryUnavailable
from analytics.config import analytics_settings_at
from analytics.recorded import erased
from cli.backfilling.asked import ASKED, LEFT, MOVED, SINCE, UNKNOWN, Desks, Tally
from cli.backfilling.caught_up import HistoryBehind, await_history, check_at_work
from cli.backfilling.members import Members, asked_for, drains, history, request_of, states_request, tallied
from cli.backfilling.since import SETTLED_MS, PastTally, asked, repeats_once, tell, why_not
from cli.backfilling.since import tallied as tallied_past
from cli.backtesting.drain import Drain
from cli.backtesting.words import drained_in_words, moment
from cli.deploy import print_versions, versions_of, workspace_of, workspace_option
from cli.home import open_home
from cli.output import Exit, err, fail, out, print_json
from cli.up import home_option, json_option
from contracts.codec import replaced
from contracts.installation import Installation, duration_ms
from contracts.plurals import counted
from contracts.reading import now_in
from contracts.versions import ListenerVersion
from flows.language.files import load_actions
from flows.language.model import Listener
from flows.versions.deployment import listener_of
from flows.versions.promotion import NotPromotable, promotion
from transport.config import load_installation, wall_clock_ms

WORDS: Final = {
    MOVED: ("to be moved", "to be moved"),
    LEFT: ("has left: vetoed", "have left: vetoed"),
    SINCE: ("stays: Segma has changed the list since", "stay: Segma has changed the list since"),
    ASKED: ("was asked for before", "were asked for before"),
    UNKNOWN: ("is nobody in the directory", "are nobody in the directory"),
}
"""What becomes of commands, behind the number of them: of one, of more."""


def _words(words: tuple[str, ...], backfill: str) -> tuple[int | None, str, int]:
    """The version, which back-fill, and how far it reaches: ``since 30d`` is one word or two."""
    kind, _, reach = backfill.partition(" ")
    if kind not in {"none", "members", "since"} or (reach and kind != "since"):
        fail(f"--backfill: `{backfill}` is none of `none`, `members` and `since 30d`", Exit.USAGE)
    if kind == "since" and not reach:
        reach, words = (words[-1], words[:-1]) if words else ("", ())
    if len(words) > 1 or not all(each.isdecimal() and int(each) for each in words):
        fail(f"`{' '.join(words)}` is no version: one number above zero", Exit.USAGE)
    try:
        reach_ms = duration_ms(reach) if kind == "since" else 0
    except ValueError as error:
        fail(f"--backfill since: {error}", Exit.USAGE)
    return (int(words[0]) if words else None), kind, reach_ms


@click.command("promote")
@click.argument("listener")
@click.argument("version", nargs=-1)
@click.option(
    "--backfill",
    default="none",
    show_default=True,
    metavar="none|members|since DURATION",
    help="members: move whom it would have in its lists by now, behind the live moves. since 30d: go on with the runs"
    " that the last 30 days began.",
)
@click.option("--dry-run", is_flag=True, help="Say what --backfill would do and how long it would take; do nothing.")
@home_option
@workspace_option
@json_option
def promote_command(  # noqa: PLR0917
    listener: str,
    version: tuple[str, ...],
    backfill: str,
    dry_run: bool,
    home: Path,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Make VERSION (the newest applied, if not given) of LISTENER live: it moves people, the one before it ends.

    With --backfill members everybody whom it would have moved before, by the history and the steps that run live, is
    moved as well, once, behind the live moves. With --backfill since 30d it knows what the last 30 days began: who
    clicked three weeks ago and buys tomorrow is moved tomorrow. Asked again, it goes on where it stood.
    """
    number, backfill, reach_ms = _words(version, backfill)
    if dry_run and backfill == "none":
        fail("--dry-run says what --backfill members or since would do", Exit.USAGE)
    installation = load_installation(home / "segma.yaml")
    name = workspace_of(installation, workspace)
    which = _Which(home, installation, name, listener, number)
    try:
        found = _promoted(which, write=backfill == "none", past=backfill == "since")
        if backfill == "none":
            _tell_versions(found, as_json=as_json)
            return
        if backfill == "since":
            _since(which, found, reach_ms, dry_run=dry_run, as_json=as_json)
            return
        _backfill(which, found, dry_run=dry_run, as_json=as_json)
    except NotPromotable as error:
        fail(str(error), Exit.PROBLEMS)
    except HistoryUnavailable as error:
        fail(f"the history: {error}. What is done stays; the same command goes on there", Exit.UNAVAILABLE)
    except HistoryError as error:
        fail(f"the history: {error}", Exit.PROBLEMS)
    except HistoryBehind as error:
        fail(str(error), Exit.UNAVAILABLE)


class _Which(NamedTuple):
    """The version that is meant; None: the newest."""

    home: Path
    installation: Installation
    workspace: str
    listener: str
    version: int | None


class _Promoted(NamedTuple):
    """A version, all versions as they are with it, and what was (or would be) written, from which log time on."""

    version: ListenerVersion
    known: list[ListenerVersion]
    written: list[ListenerVersion]
    at_ms: int

    @property
    def name(self) -> str:
        return f"{self.version.listener}@{self.version.version}"

    @property
    def before_ms(self) -> int:
        """The instant at which it goes live, or went."""
        return self.at_ms if self.written else (self.version.live_from_ms or 0)


def _promoted(
    which: _Which, *, write: bool, past: bool = False, backfilled: bool = False, behind_ms: int = 0
) -> _Promoted:
    """What a promotion now comes to; ``write``: do it; ``past``: with the past. Raises :class:`NotPromotable`.

    ``backfilled``: the matches of the past get commands, and the flow hears of it with the promotion itself.
    ``behind_ms``: what the log took up to then comes before it.
    """
    with versions_of(which.home, which.installation) as versions:
        # NOTE: the notice counts from the writing, whatever was asked and waited for before it.
        at_ms = versions.counts_from(max(wall_clock_ms(), behind_ms))
        of_it = [
            each for each in versions.known if (each.workspace, each.listener) == (which.workspace, which.listener)
        ]
        if which.version is None and not of_it:
            raise NotPromotable(f"no version of {which.listener} was applied")
        number = which.version if which.version is not None else max(each.version for each in of_it)
        # Behind the instant up to which its past comes from the history, whatever a clock says.
        at_ms = max([at_ms, *(each.past_until_ms + 1 for each in of_it if each.past_until_ms is not None)])
        written = promotion(versions.known, which.workspace, which.listener, number, at_ms, past=past)
        if backfilled:
            written = [replaced(each, backfilled=True) if each.version == number else each for each in written]
        if write:
            versions.write(written)
    known = [*{each.key: each for each in (*of_it, *written)}.values()]
    return _Promoted(next(each for each in known if each.version == number), known, written, at_ms)


def _note_backfill(which: _Which, version: ListenerVersion) -> None:
    """Let the flow know the same of a version that is live already."""
    if not version.backfilled:
        with versions_of(which.home, which.installation) as versions:
            versions.write([replaced(version, backfilled=True)])


def _tell_versions(found: _Promoted, *, as_json: bool) -> None:
    print_versions(found.written, found.at_ms, as_json=as_json)
    if not as_json and not found.written:
        out.print(f"{found.name} is live already", markup=False)


def _history_of(which: _Which) -> tuple[ClickHouse, frozenset[str]]:
    """The way to the history, and who was forgotten. Ends the command where it holds no event."""
    clickhouse, events, gone = history(analytics_settings_at(which.home), which.workspace)
    if not events:
        fail(f"the history of workspace `{which.workspace}` holds no event: nothing was done", Exit.PROBLEMS)
    return clickhouse, gone


def _backfill(which: _Which, found: _Promoted, *, dry_run: bool, as_json: bool) -> None:
    """Promote, where that is still to be done, and move whom the past asks for.

    Nothing is begun before the history has answered: where it is away, nothing is promoted either.
    """
    if not found.before_ms:
        fail(f"{found.name} has been live from the beginning: nothing was before it", Exit.USAGE)
    if not dry_run and any(each.state(found.at_ms) == "paused" for each in found.known):
        fail(f"{which.listener} is paused: `segma listeners resume {which.listener}` first", Exit.PROBLEMS)
    clickhouse, gone = _history_of(which)
    _, _, log = open_home(which.home)
    with closing(log):
        before_ms = min(found.before_ms, wall_clock_ms())
        if not dry_run:
            check_at_work(log, wall_clock_ms())
            found = _promoted(which, write=True, backfilled=True, behind_ms=now_in(log, wall_clock_ms()))
            _note_backfill(which, found.version)
            _tell_versions(found, as_json=as_json)
            before_ms = found.before_ms
            with err.status("waiting until the history holds all that was before …"):
                await_history(log, clickhouse, which.workspace, before_ms)
        members = _members(which, found, before_ms)
        members.look(clickhouse)
        with closing(Desks(log, which.workspace)) as desks:
            tally = tallied(members, desks, gone)
            given = None if dry_run else asked_for(log, members, desks, gone)
    members.remove()
    accounts = which.installation.workspaces[which.workspace].accounts
    took = drains(tally, accounts, clickhouse, which.workspace, wall_clock_ms())
    _tell(found.name, before_ms, tally, took, given, as_json=as_json)


def _since(which: _Which, found: _Promoted, reach_ms: int, *, dry_run: bool, as_json: bool) -> None:
    """Promote a version that knows its past; nothing is begun before the history has answered."""
    version = found.version
    if not found.written and version.past_from_ms is None:
        fail(f"{found.name} is live already: apply it under a higher version to ask for its past", Exit.PROBLEMS)
    if not found.written:
        _tell_versions(found, as_json=as_json)
        return
    own = which.installation.workspaces[which.workspace]
    listener = listener_of(version, load_actions(which.home / own.actions))
    if reason := why_not(listener):
        fail(f"--backfill since: {found.name} {reason}; nothing was done", Exit.PROBLEMS)
    clickhouse, gone = _history_of(which)
    _, _, log = open_home(which.home)
    with closing(log):
        if not dry_run:
            check_at_work(log, wall_clock_ms())
        asks = asked(version, reach_ms, now_in(log, wall_clock_ms()))
        until_ms = asks.past_until_ms or 0
        if not dry_run:
            if asks is not version:
                with versions_of(which.home, which.installation) as versions:
                    versions.write([asks])
            with err.status("waiting until the history holds all that was before …"):
                await_history(log, clickhouse, which.workspace, until_ms + SETTLED_MS)
        request = states_request(which.workspace, own, load_actions(which.home / own.actions), asks)
        members = Members(which.home, analytics_settings_at(which.home), request, until_ms, states=True)
        members.look(clickhouse)
        if dry_run:
            tally = tallied_past(members.pasts(gone))
        else:
            # Whoever was forgotten while the history was waited for and gone through is told no more.
            tally = tell(log, members.pasts(gone | erased(clickhouse, which.workspace)))
            found = _promoted(which, write=True, past=True, behind_ms=now_in(log, wall_clock_ms()))
    members.remove()
    _tell_since(found, listener, asks, tally, dry_run=dry_run, as_json=as_json)


def _tell_since(
    found: _Promoted, listener: Listener, asks: ListenerVersion, tally: PastTally, *, dry_run: bool, as_json: bool
) -> None:
    if as_json:
        times = {"past_from_ms": asks.past_from_ms, "past_until_ms": asks.past_until_ms}
        print_json({"version": found.name, "at_ms": found.at_ms, "dry_run": dry_run, **times, **tally._asdict()})
        return
    if not dry_run:
        _tell_versions(found, as_json=False)
    out.print(f"{found.name}, by the history since {moment(asks.past_from_ms or 0)}", markup=False)
    for line in past_lines(tally, once=repeats_once(listener)):
        out.print(line, markup=False)
    out.print("nothing was done (--dry-run)" if dry_run else "the flow was told; nobody is moved for what was before")


def past_lines(tally: PastTally, *, once: bool) -> Iterator[str]:
    """What pasts hold, in words. ``once``: the listener matches nobody twice."""
    past = counted(tally.people, "person has a past", "people have a past")
    yield f"  {past}, with {counted(tally.runs, 'run')} in flight"
    if tally.matched:
        more = ": `repeat: once`, so it never moves them" if once else ", which makes no command"
        yield f"  {counted(tally.matched, 'has', 'have')} matched by now{more}"
    if tally.too_large:
        large = counted(tally.too_large, "person has", "people have")
        yield f"  {large} too much of a past to be told: it begins with them without one"


def _members(which: _Which, found: _Promoted, before_ms: int) -> Members:
    own = which.installation.workspaces[which.workspace]
    others = [each for each in found.known if each.version != found.version.version]
    request = request_of(which.workspace, own, load_actions(which.home / own.actions), found.version, others)
    return Members(which.home, analytics_settings_at(which.home), request, before_ms)


def _tell(name: str, at_ms: int, tally: Tally, took: dict[str, Drain], given: int | None, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "version": name,
                "at_ms": at_ms,
                "dry_run": given is None,
                "given": given or 0,
                "accounts": {
                    account: {**dict.fromkeys(WORDS, 0), **counts, "people": tally.people[account]}
                    for account, counts in sorted(tally.counts.items())
                },
                "theirs": tally.theirs,
                "held_out": tally.held_out,
                "paused": tally.paused,
                "drain": {account: each._asdict() for account, each in took.items()},
            }
        )
        return
    for line in tally_lines(name, at_ms, tally, took, given):
        out.print(line, markup=False)


def tally_lines(name: str, at_ms: int, tally: Tally, took: dict[str, Drain], given: int | None) -> Iterator[str]:
    """What a back-fill does, or would do (``given`` is None), in words."""
    yield f"{name}, by the history before {moment(at_ms)}"
    for account, counts in sorted(tally.counts.items()):
        for standing, words in WORDS.items():
            if counts[standing]:
                yield f"  {account}: {counted(counts[standing], *words)}"
        if account in took:
            yield f"  {account}: {drained_in_words(took[account])}"
    if tally.theirs:
        stay = counted(tally.theirs, "stays as it is", "stay as they are")
        yield f"  {stay}: the person has joined or left the list since"
    if tally.held_out:
        yield f"  {counted(tally.held_out, 'person is', 'people are')} held out"
    if tally.paused:
        paused = counted(tally.paused, "person", "people")
        yield f"  {paused} completed it while it was paused: that is not made good"
    if not tally.counts:
        yield "  nobody is to be moved"
    if given:
        yield f"{counted(given, 'command was', 'commands were')} given, behind the live ones"
        yield "`segma accounts pause ACCOUNT --backfill` stops them, `resume` lets them go on"
    elif given is not None:
        yield "nothing more is to be done"
    else:
        yield "nothing was done (--dry-run)"
