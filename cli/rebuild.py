"""``segma rebuild``: a list is made what the history says, where the platform has lost it, or never had it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import click

from analytics.clickhouse import HistoryError, HistoryUnavailable
from analytics.config import analytics_settings_at, connect
from analytics.recorded import members
from cli.backfilling.asked import give
from cli.backfilling.lost import Difference, difference, putting_back, taken_by_others
from cli.deploy import workspace_of, workspace_option
from cli.home import open_home
from cli.output import Exit, err, fail, out, print_json
from cli.up import home_option, json_option
from contracts.codec import json_reader, to_json
from contracts.commands import Command
from contracts.errors import BadRecord, LogError
from contracts.installation import Installation
from contracts.log import Log, Outgoing
from contracts.plurals import counted
from contracts.reading import all_of
from contracts.tokens import mailbox_key
from contracts.topics import VETOES, backfill_topic, fact_key
from sinks.base import NoSuchList, PlatformError, Sink, Standing
from sinks.delivery.directory import Directory
from sinks.delivery.leavings import Leavings, leavings_of_accounts
from sinks.delivery.ledger import Ledger
from sinks.registry import sink_of
from transport.config import wall_clock_ms

SHOWN: Final = 20
WORDS: Final = {
    "lost": "are missing",
    "left": "have left: they stay away",
    "doubtful": "are missing one by one, and may have left: they stay away",
    "unknown": "are nobody in the directory any more",
}
_read_command = json_reader(Command)


@click.command("rebuild")
@click.argument("list_name", metavar="LIST")
@click.option("--at", "account", metavar="ACCOUNT", help="Where the list is to be [default: the only account].")
@click.option("--from", "source", metavar="ACCOUNT", help="Whose list the history tells of [default: the same].")
@click.option("--mend", is_flag=True, help="Put those who are missing there, behind the live moves.")
@home_option
@workspace_option
@json_option
def rebuild_command(  # noqa: PLR0917
    list_name: str,
    account: str | None,
    source: str | None,
    mend: bool,
    home: Path,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Show what LIST lacks of what the history says of it, after a platform has lost it or at a new platform.

    With --mend those who are missing are put there, behind the live moves and once each; with that you say that the
    platform lost them. Who left stays away, and so do a few who are missing while the others are there: they may have
    left. Nobody is taken out. Ends with 1 where anybody is missing.
    """
    _, installation, log = open_home(home)
    with closing(log):
        name = workspace_of(installation, workspace)
        at = _account(installation, name, account)
        source = _account(installation, name, source or at)
        wanted = _wanted(home, name, source, list_name)
        with closing(Directory(log)) as directory:
            told = _difference(home, installation, log, directory, (name, at, source), list_name, wanted)
        given = _mend(log, name, at, list_name, told.lost) if mend else 0
    _tell(told, given, f"{name}/{at}", list_name, as_json=as_json)
    if told.lost or told.doubtful:
        raise SystemExit(Exit.PROBLEMS)


def _account(installation: Installation, workspace: str, account: str | None) -> str:
    """The account that is meant, also as workspace/account. Ends the command where that is unclear."""
    accounts = installation.workspaces[workspace].accounts
    bare = account.removeprefix(f"{workspace}/") if account is not None else None
    if bare is None and len(accounts) == 1:
        return next(iter(accounts))
    if bare not in accounts:
        fail(f"--at and --from are each one of: {', '.join(accounts) or 'none: declare one in segma.yaml'}", Exit.USAGE)
    return bare


def _wanted(home: Path, workspace: str, account: str, list_name: str) -> set[str]:
    settings = analytics_settings_at(home)
    try:
        everybody = members(connect(settings), workspace, wall_clock_ms())
        found = {person for person, of, name in everybody if (of, name) == (account, list_name)}
    except HistoryUnavailable as error:
        fail(f"{settings.url}: {error}; nothing was done", Exit.UNAVAILABLE)
    except HistoryError as error:
        fail(f"{settings.url}: {error}; nothing was done", Exit.PROBLEMS)
    if not found:
        fail(f"the history knows nobody in {list_name} of {account}: nothing was done", Exit.PROBLEMS)
    return found


def _difference(  # noqa: PLR0917
    home: Path,
    installation: Installation,
    log: Log,
    directory: Directory,
    of: tuple[str, str, str],
    list_name: str,
    wanted: set[str],
) -> Difference:
    """``of``: the workspace, the account, and the account whose history it is."""
    workspace, account, source = of
    mailboxes = directory.mailboxes(workspace)
    people = {each: mailbox for mailbox, ids in mailboxes.items() for each in ids}
    sink = sink_of(
        installation,
        f"{workspace}/{account}",
        data=home / "data",
        pause=time.sleep,
        config=home / "segma.yaml",
        log=log,
    )
    try:
        with err.status(f"reading {list_name} …"):
            found, strangers = _found(sink, list_name, mailboxes, wanted)
    except PlatformError as error:
        fail(f"{account} could not be read: {error}; nothing was done", Exit.UNAVAILABLE)
    finally:
        sink.close()
    known = leavings_of_accounts(all_of(log, VETOES), directory.twins)
    left = {
        person
        for person in wanted
        for each in {account, source}
        if any(known.get((workspace, each), Leavings()).standing(person, [list_name]))
    }
    return difference(wanted, found, known=people, left=left, strangers=strangers)


def _found(
    sink: Sink, list_name: str, mailboxes: dict[str, list[str]], wanted: set[str]
) -> tuple[dict[str, Standing] | None, int]:
    """Who of the directory is there, and how many others; None: there is no such list.

    Who stands in the directory twice is there under whichever of their ids is wanted there.
    """
    found: dict[str, Standing] = {}
    others = 0
    try:
        for member in sink.members(list_name):
            ids = mailboxes.get(mailbox_key(member.address), [])
            others += not ids
            found |= dict.fromkeys([each for each in ids if each in wanted] or ids[:1], member.standing)
    except NoSuchList:
        return None, 0
    return found, others


def _mend(log: Log, workspace: str, account: str, list_name: str, lost: Sequence[str]) -> int:
    """Ask for those who are missing, who are not asked for yet; how many. Raises :class:`LogError`."""
    now_ms = wall_clock_ms()
    asked = {each.command_id for each in _asked(log, backfill_topic(workspace, account))}
    with closing(Ledger(log, workspace, account)) as ledger:
        wanted = [
            putting_back(workspace, account, list_name, person, ledger.put_ms(person, list_name), now_ms)
            for person in lost
        ]
        commands = [each for each in wanted if each.command_id not in asked and not ledger.knows(each.command_id)]
    words = [taken_by_others(workspace, account, list_name, each.subscriber, now_ms) for each in commands]
    with closing(log.publisher()) as publisher:
        for fault in publisher.publish([Outgoing(VETOES, fact_key(each), to_json(each)) for each in words]):
            if isinstance(fault, LogError):
                raise fault
    return give(log, commands)


def _asked(log: Log, topic: str) -> list[Command]:
    found = []
    for record in all_of(log, topic):
        try:
            found += [_read_command(record.value)] if record.value is not None else []
        except BadRecord:
            continue
    return found


def _tell(told: Difference, given: int, account: str, list_name: str, *, as_json: bool) -> None:
    if as_json:
        found: dict[str, Any] = {"account": account, "list": list_name, **vars(told), "given": given}
        print_json(found)
        return
    there = counted(told.agreeing, "person is", "people are")
    out.print(f"{list_name} of {account}: {there} there, as the history says", markup=False)
    for name, words in WORDS.items():
        people: list[str] = getattr(told, name)
        if people:
            out.print(f"  {len(people):,} {words}", markup=False)
        for person in people[:SHOWN] if name in {"lost", "doubtful"} else ():
            out.print(f"    {person}", markup=False)
    if told.others:
        out.print(f"  {told.others:,} are there of whom the history says nothing: they stay", markup=False)
    if given:
        out.print(f"{counted(given, 'command was', 'commands were')} given, behind the live ones", markup=False)
    elif told.lost:
        out.print("nothing was done; --mend puts those who are missing there", markup=False)
