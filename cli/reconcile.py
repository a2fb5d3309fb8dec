"""``segma reconcile``: what Segma wants of a list against what the platform has."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
from rich.table import Table

from cli.home import open_home
from cli.output import Exit, err, fail, out, print_json
from cli.up import home_option, json_option
from contracts.beacons import Source
from contracts.codec import to_json
from contracts.commands import Command, Verb, command_id_of
from contracts.errors import LogError
from contracts.log import Log, Outgoing
from contracts.membership import IMPORT
from contracts.membership_reports import MembershipReport
from contracts.plurals import counted
from contracts.tokens import mailbox_key
from contracts.topics import backfill_topic, subscriber_key
from sinks.base import PlatformError, Standing
from sinks.delivery.directory import Directory
from sinks.delivery.ledger import Ledger
from sinks.registry import account_of, sink_of
from transport.config import wall_clock_ms


@dataclass
class Drift:
    """Subscriber ids, by what is the matter with them; addresses stand nowhere."""

    agreeing: int = 0
    missing: list[str] = field(default_factory=list)
    """Segma put them in, and they are not there: lost by the platform, or gone by themselves."""
    left: list[str] = field(default_factory=list)
    """Segma put them in, and the platform says that they unsubscribed: nothing to mend."""
    back: list[str] = field(default_factory=list)
    """Segma took them out, and they are there again."""
    behind: list[str] = field(default_factory=list)
    """A move of Segma's that failed put them into the other list and left them in this one."""
    unmanaged: int = 0
    """In the list, and never moved by Segma."""


def compare(
    wanted: dict[str, bool], found: dict[str, Standing], unknown: int, left_behind: Collection[str] = ()
) -> Drift:
    """The drift of a list: what Segma wants of its people against the platform's own standing of each."""
    behind = sorted(each for each in left_behind if found.get(each) not in {None, Standing.LEFT})
    drift = Drift(behind=behind, unmanaged=unknown + len(found.keys() - wanted.keys() - {*behind}))
    for subscriber, inside in sorted(wanted.items()):
        standing = found.get(subscriber)
        if inside and standing is Standing.LEFT:
            drift.left.append(subscriber)
        elif inside and standing is None:
            drift.missing.append(subscriber)
        elif not inside and standing not in {None, Standing.LEFT}:
            drift.back.append(subscriber)
        else:
            drift.agreeing += 1
    return drift


@click.command("reconcile")
@click.argument("account")
@click.argument("list_name", metavar="LIST")
@click.option("--mend", is_flag=True, help="Take out whom a failed move of Segma's left behind.")
@home_option
@json_option
def reconcile_command(account: str, list_name: str, mend: bool, home: Path, as_json: bool) -> None:
    """Compare what Segma wants of LIST at ACCOUNT with what the platform has; show the drift, mend it on demand.

    Mended is only what Segma's own call left behind. Nobody who is missing is added, for they may have left; nobody who
    came back is taken out, for they may have joined. Calls in doubt are settled by the account's own loop. Listeners
    hear of who is missing, left or is back, as list_left and list_joined by import. Ends with 1 where there is drift.
    """
    config, installation, log = open_home(home)
    since_ms = wall_clock_ms()
    workspace, name, _ = account_of(installation, account)
    directory, ledger = Directory(log), Ledger(log, workspace, name)
    sink = sink_of(installation, account, data=home / "data", pause=time.sleep, config=config, log=log)
    managed = {*ledger.wanted(list_name), *ledger.left_behind(list_name)}
    mailboxes = directory.mailboxes(workspace)
    found: dict[str, Standing] = {}
    unknown = 0
    try:
        with err.status(f"reading {list_name} …"):
            for member in sink.members(list_name):
                ids = mailboxes.get(mailbox_key(member.address), [])
                unknown += not ids
                found |= dict.fromkeys([each for each in ids if each in managed] or ids[:1], member.standing)
    except PlatformError as error:
        fail(f"{account} could not be read: {error}", Exit.UNAVAILABLE)
    finally:
        sink.close()
    drift = compare(ledger.wanted(list_name), found, unknown, ledger.left_behind(list_name))
    commands = _mending(drift, workspace, name, list_name) if mend else []
    topic = backfill_topic(workspace, name)
    records = [Outgoing(topic, subscriber_key(workspace, each.subscriber), to_json(each)) for each in commands]
    _publish(log, [*membership_reports(drift, workspace, name, list_name, since_ms), *records])
    for part in (directory, ledger, log):
        part.close()
    _print(drift, len(commands), as_json=as_json)
    if drift.missing or drift.back or drift.behind:
        raise SystemExit(Exit.PROBLEMS)


def _publish(log: Log, records: Sequence[Outgoing]) -> None:
    faults = [each for each in log.publisher().publish(records) if isinstance(each, LogError)] if records else []
    if faults:
        raise faults[0]


def membership_reports(drift: Drift, workspace: str, account: str, list_name: str, since_ms: int) -> Iterator[Outgoing]:
    """What the flow did not know of the list, as of before it was read: what changes meanwhile comes after that."""
    now_ms = wall_clock_ms()
    for joined, people in ((False, drift.missing), (False, drift.left), (True, drift.back)):
        for subscriber in people:
            run = f"reconcile/{since_ms}"
            report = MembershipReport(workspace, account, subscriber, list_name, joined, IMPORT, since_ms, run)
            yield report.record("reconcile", Source.SERVER, now_ms)


def _mending(drift: Drift, workspace: str, account: str, list_name: str) -> list[Command]:
    """The commands that would make it so; each time others, for the drift may come again."""
    now_ms = wall_clock_ms()
    found = []
    for subscriber in drift.behind:
        parts = ["reconcile", workspace, account, list_name, subscriber, now_ms]
        found.append(
            Command(
                command_id=command_id_of(parts),
                workspace=workspace,
                account=account,
                subscriber=subscriber,
                verb=Verb.REMOVE,
                listener="reconcile",
                version=0,
                match_id="",
                position=0,
                matched_at_ms=now_ms,
                from_list=list_name,
            )
        )
    return found


def _print(drift: Drift, asked: int, *, as_json: bool) -> None:
    if as_json:
        print_json({**vars(drift), "asked": asked})
        return
    table = Table("", "people", "", box=None, pad_edge=False)
    table.add_row("as wanted", str(drift.agreeing), "")
    table.add_row("missing", str(len(drift.missing)), "Segma put them in; they are not there")
    table.add_row("left", str(len(drift.left)), "unsubscribed by themselves: they stay away")
    table.add_row("back", str(len(drift.back)), "Segma took them out; they are there again")
    table.add_row("left behind", str(len(drift.behind)), "a failed move put them into the other list: --mend")
    table.add_row("not Segma's", str(drift.unmanaged), "in the list, never moved by Segma")
    out.print(table)
    for name, people in (("missing", drift.missing), ("back", drift.back), ("behind", drift.behind)):
        for subscriber in people[:20]:
            out.print(f"  {name}  {subscriber}", markup=False)
    if asked:
        err.print(f"{counted(asked, 'command was', 'commands were')} asked for; `segma tail` shows what comes of them")
