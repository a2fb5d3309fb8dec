"""``segma import``: the people of a list into the directory, and who left as vetoes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click
from rich.table import Table

from cli.home import open_home
from cli.importing.consent import ListStatus
from cli.importing.export_file import ExportFile, Role, read_export, unclear_words
from cli.importing.plan import ImportPlan, plan_of_files, plan_of_members
from cli.importing.profiles import FieldColumn, FieldKind, field_column
from cli.importing.records import (
    ListAt,
    entry_of,
    erasures,
    joining_records,
    member_records,
    profile_record,
    veto_records,
)
from cli.output import Exit, err, out, print_json
from cli.up import home_option, json_option
from contracts.errors import ConfigError, LogError, Problem
from contracts.log import Log, Outgoing
from contracts.plurals import counted
from contracts.reading import all_of
from contracts.tokens import mailbox_key, subscriber_id
from contracts.topics import VETOES
from sinks.base import Member
from sinks.delivery.directory import Directory
from sinks.delivery.leavings import Leavings, leavings_of_accounts
from sinks.registry import account_of, sink_of
from transport.config import read_secret, wall_clock_ms

BATCH: Final = 1_000
MAX_SHOWN: Final = 20
"""Bad rows named on standard error; the others are counted."""


@dataclass
class Imported:
    """Figures of an import. ``new``: of ``people``, whom the directory had not; ``vetoes``: new ones; ``profiles``: of
    how many people a profile was told.
    """

    people: int = 0
    new: int = 0
    vetoes: int = 0
    profiles: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)


def import_people(
    home: Path,
    account: str,
    list_name: str,
    members: Iterable[Member] | None = None,
    *,
    plan: ImportPlan | None = None,
    dry_run: bool = False,
) -> Imported:
    """Write the people of a list into the directory, and the vetoes of those who left.

    Everything is read before anything is written. Importing again gives the same ids and changes nothing but names.

    Args:
        home: The installation.
        account: ``workspace/account``.
        list_name: The list that they are in.
        members: Instead of the account's own list.
        plan: Instead of both: what files said.
        dry_run: Write nothing.

    Raises:
        ConfigError: no such account or list.
        PlatformError: the platform could not be read.
        LogError: the log is away. Vetoes are written first; importing again writes the rest.
    """
    config, installation, log = open_home(home)
    with closing(log):
        workspace, name, _ = account_of(installation, account)
        at = ListAt(workspace, name, list_name)
        secret = read_secret(installation.workspaces[workspace].secret, beside=config, field=f"{workspace}.secret")
        if plan is None:
            if members is None:
                since_ms = wall_clock_ms()
                sink = sink_of(installation, account, data=home / "data", pause=time.sleep, config=config, log=log)
                with closing(sink):
                    members = list(sink.members(list_name))
                at = at._replace(seen_at_ms=wall_clock_ms(), since_ms=since_ms)
            plan = plan_of_members(members)
        done = Imported(people=len(plan.members), left_out=dict(plan.left_out), bad=plan.bad)
        records = _records(plan, at, secret, log, done)
        if dry_run:
            for _ in records:
                pass
        else:
            _publish(log, records)
    return done


def _records(plan: ImportPlan, at: ListAt, secret: bytes, log: Log, done: Imported) -> Iterator[Outgoing]:
    now_ms = wall_clock_ms()
    with closing(Directory(log)) as directory:
        told = leavings_of_accounts(all_of(log, VETOES), directory.twins)
        facts = told.get((at.workspace, at.account), Leavings())
        current = directory.whose(at.workspace, secret)
        for record in veto_records(plan, at, lambda each: current(subscriber_id(secret, each)), facts.of, now_ms):
            done.vetoes += record.topic == VETOES
            yield record
        for member in plan.members:
            subscriber = current(subscriber_id(secret, member.address))
            known = directory.find(at.workspace, subscriber)
            done.new += known is None
            ids = directory.twins(at.workspace, subscriber)
            twins = [twin for each in ids if (twin := directory.find(at.workspace, each)) is not None]
            yield from erasures(member, known, at, facts, now_ms, twins=twins)
            yield from member_records(entry_of(member, known, at, subscriber, now_ms), known, at, now_ms)
            yield from joining_records(at, subscriber, facts.of(subscriber), now_ms)
            if profile := plan.profiles.get(mailbox_key(member.address)):
                done.profiles += 1
                yield profile_record(profile, at, subscriber, now_ms)


def _publish(log: Log, records: Iterator[Outgoing]) -> None:
    with closing(log.publisher()) as publisher:
        while batch := list(islice(records, BATCH)):
            faults = [each for each in publisher.publish(batch) if isinstance(each, LogError)]
            if faults:
                raise faults[0]


def _column_option(_ctx: click.Context, _param: click.Parameter, values: Sequence[str]) -> dict[Role, list[str]]:
    chosen: dict[Role, list[str]] = {}
    for value in values:
        role, is_given, header = value.partition("=")
        if not is_given or role not in {*Role}:
            raise click.BadParameter(f"write ROLE=HEADER; a role is one of {', '.join(Role)}")
        chosen.setdefault(Role(role), []).append(header)
    return chosen


def _profile_option(_ctx: click.Context, _param: click.Parameter, values: Sequence[str]) -> list[FieldColumn]:
    try:
        return [field_column(value) for value in values]
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("import")
@click.argument("account")
@click.argument("list_name", metavar="LIST")
@click.option(
    "--csv",
    "csv_files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read this export instead of the account's own list; several times for an export in several files.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="ROLE=HEADER",
    callback=_column_option,
    help=f"Where a column is not found by its name: {', '.join(Role)}. `status=` says that there is none.",
)
@click.option(
    "--profile",
    "fields",
    multiple=True,
    metavar="FIELD[:KIND]=HEADER",
    callback=_profile_option,
    help=f"A column that is a field of people's profiles, as {', '.join(FieldKind)} (by default {FieldKind.TEXT}).",
)
@click.option(
    "--everybody",
    type=click.Choice([str(status) for status in ListStatus]),
    help="What everybody in the file is, such as `unsubscribed`, where it does not say so itself.",
)
@click.option("--encoding", help="The file's encoding, where it is not told rightly, such as `shift_jis`.")
@click.option("--strict", is_flag=True, help="Import nothing where a row is nobody.")
@click.option("--dry-run", is_flag=True, help="Say what would be taken, and write nothing.")
@home_option
@json_option
def import_command(  # noqa: PLR0917
    account: str,
    list_name: str,
    csv_files: tuple[Path, ...],
    columns: dict[Role, list[str]],
    fields: list[FieldColumn],
    everybody: str | None,
    encoding: str | None,
    strict: bool,
    dry_run: bool,
    home: Path,
    as_json: bool,
) -> None:
    """Read the people of LIST at ACCOUNT (workspace/account) into the directory.

    With --csv they come from a file, as Mailchimp, Klaviyo, HubSpot, ActiveCampaign, Brevo, MailerLite, Campaign
    Monitor, Constant Contact, Customer.io, Dotdigital, Iterable, Kit, SendGrid, listmonk, Ghost and Mailman export
    them, or any with an address column.
    Who unsubscribed, complained or is blocked becomes a veto; who bounced, has not confirmed or is no member is left
    out; both are counted.

    Addresses stand in the directory and nowhere else. Importing twice changes nothing.

    Exit codes: 0 well, 1 some rows are nobody (they are named and left out), 2 a file that cannot be used.
    """
    if fields and not csv_files:
        raise click.UsageError("--profile names columns of a file: give one with --csv")
    status = ListStatus(everybody) if everybody else None
    files, plan = [], None
    if csv_files:
        files = [read_export(path, columns, everybody=status, encoding=encoding) for path in csv_files]
        plan = plan_of_files(files, fields)
        if strict and plan.bad:
            raise ConfigError([_problem(line, csv_files) for line in plan.bad])
    with err.status("reading …" if dry_run else "importing …"):
        done = import_people(home, account, list_name, plan=plan, dry_run=dry_run)
    if as_json:
        told: dict[str, Any] = {"account": account, "list": list_name, **vars(done), "dry_run": dry_run}
        print_json(told | {"bad": len(done.bad), "files": [_file_in_json(each) for each in files]})
    else:
        _print(done, files, list_name, dry_run=dry_run)
    for line in done.bad[:MAX_SHOWN]:
        err.print(f"segma: {line}", markup=False)
    if done.bad:
        err.print(f"segma: {counted(len(done.bad), 'row')} of nobody left out", markup=False)
        raise SystemExit(Exit.PROBLEMS)


def _problem(line: str, files: Sequence[Path]) -> Problem:
    where, _, reason = line.partition(": ")
    where = where if len(files) > 1 else f"{files[0]}:{where.removeprefix('line ')}"
    return Problem(where, "", reason, "mend the row, or import without --strict")


def _file_in_json(file: ExportFile) -> dict[str, Any]:
    return {
        "path": str(file.path),
        "format": file.format.name,
        "encoding": file.table.encoding,
        "delimiter": file.table.delimiter,
        "columns": file.used(),
        "everybody": file.whole,
        "unclear": unclear_words(file),
    }


def _print(done: Imported, files: Sequence[ExportFile], list_name: str, *, dry_run: bool) -> None:
    for file in files:
        _print_file(file, in_full=dry_run)
    would = "would be " if dry_run else ""
    out.print(
        f"{counted(done.people, 'person', 'people')} of {list_name}, {done.new} of them {would}new.", markup=False
    )
    for status, count in sorted(done.left_out.items()):
        out.print(f"  left out: {count} {status}", markup=False)
    if done.vetoes:
        out.print(f"  {done.vetoes} new vetoes: nobody adds who left", markup=False)
    if done.profiles:
        out.print(f"  {counted(done.profiles, 'profile')}", markup=False)
    if dry_run:
        out.print("Nothing was written.")


def _print_file(file: ExportFile, *, in_full: bool) -> None:
    if in_full:
        out.print(
            f"{file.path}: {file.format.name}, {file.table.encoding}, {counted(len(file.table.rows), 'row')}",
            markup=False,
        )
        table = Table("column", "taken as", box=None, pad_edge=False)
        for header, taken in file.used().items():
            table.add_row(header, taken)
        out.print(table)
    if file.whole is not None:
        out.print(f"everybody in {file.path.name} is {file.whole}", markup=False)
    for header, words in unclear_words(file).items():
        shown = ", ".join(f"`{word}`" if word else "nothing" for word in words)
        err.print(
            f"{file.path.name}: column `{header}` says {shown}: left out; `--column status=` reads on without it",
            markup=False,
        )
