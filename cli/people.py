"""``segma import``: the people of a list into the directory."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from pathlib import Path

import click

from cli.home import open_home
from cli.output import err, out, print_json
from cli.up import home_option, json_option
from contracts.codec import replaced, to_json
from contracts.errors import ConfigError, LogError, Problem
from contracts.log import Log, Outgoing
from contracts.rows import DirectoryEntry, MembershipRow
from contracts.tokens import normalised_address, subscriber_id
from contracts.topics import ROWS, SUBSCRIBERS, subscriber_key
from sinks.base import Member
from sinks.delivery.directory import Directory
from sinks.registry import account_of, sink_of
from transport.config import read_secret, wall_clock_ms

BATCH = 1_000


def import_people(home: Path, account: str, list_name: str, members: Iterator[Member] | None = None) -> tuple[int, int]:
    """Read a list's people into the directory; how many there are, and how many were new.

    ``members``: instead of the account's own list. Importing again gives the same ids and changes nothing but names.
    """
    config, installation, log = open_home(home)
    workspace, name, _ = account_of(installation, account)
    secret = read_secret(installation.workspaces[workspace].secret, beside=config, field=f"{workspace}.secret")
    sink = sink_of(installation, account, data=home / "data", pause=time.sleep, config=config, log=log)
    directory, publisher = Directory(log), log.publisher()
    now_ms, count, new = wall_clock_ms(), 0, 0
    waiting: list[Outgoing] = []
    for member in members if members is not None else sink.members(list_name):
        subscriber = subscriber_id(secret, member.address)
        known = directory.find(workspace, subscriber)
        entry = known or DirectoryEntry(
            workspace, subscriber, normalised_address(member.address), imported_at_s=now_ms // 1_000
        )
        ids = {**entry.platform_ids, name: member.person} if member.person else entry.platform_ids
        entry = replaced(entry, name=member.name or entry.name, platform_ids=ids)
        count, new = count + 1, new + (known is None)
        key = subscriber_key(workspace, subscriber)
        row = MembershipRow(workspace, name, list_name, subscriber, member=True, at_ms=now_ms)
        if entry != known:
            waiting.append(Outgoing(SUBSCRIBERS, key, to_json(entry)))
        waiting.append(Outgoing(ROWS, key, to_json(row)))
        if len(waiting) >= BATCH:
            _publish(log, waiting)
            waiting = []
    _publish(log, waiting)
    directory.close()
    publisher.close()
    log.close()
    return count, new


def _publish(log: Log, records: list[Outgoing]) -> None:
    faults = [each for each in log.publisher().publish(records) if isinstance(each, LogError)] if records else []
    if faults:
        raise faults[0]


def read_csv(path: Path) -> Iterator[Member]:
    """The people of a CSV with the columns ``address`` and, if there is one, ``name``. Raises :class:`ConfigError`."""
    problems: list[Problem] = []
    found: list[Member] = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames is None or "address" not in reader.fieldnames:
            raise ConfigError([Problem(f"{path}:1", "", "no column `address`", "a header line: address,name")])
        for row in reader:
            address = (row.get("address") or "").strip()
            if "@" not in address or len(address) > 320:
                problems.append(Problem(f"{path}:{reader.line_num}", "address", "no email address", "name@domain"))
            else:
                found.append(Member(address, (row.get("name") or "").strip()))
    if problems:
        raise ConfigError(problems)
    return iter(found)


@click.command("import")
@click.argument("account")
@click.argument("list_name", metavar="LIST")
@click.option(
    "--csv", "csv_file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Read this instead."
)
@home_option
@json_option
def import_command(account: str, list_name: str, csv_file: Path | None, home: Path, as_json: bool) -> None:
    """Read the people of LIST at ACCOUNT (workspace/account) into the directory.

    Addresses stand in the directory and nowhere else. Importing twice changes nothing.
    """
    with err.status("importing …"):
        count, new = import_people(home, account, list_name, read_csv(csv_file) if csv_file else None)
    if as_json:
        print_json({"account": account, "list": list_name, "people": count, "new": new})
    else:
        out.print(f"{count} people of {list_name}, {new} of them new.")
