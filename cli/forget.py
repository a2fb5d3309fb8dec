"""``segma export`` and ``segma forget``: what is known of a person, and the end of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from analytics.clickhouse import HistoryUnavailable
from analytics.erase import erase
from analytics.tables import OF_A_PERSON
from cli.history import Asking, workspace_option
from cli.home import open_home
from cli.output import Exit, err, fail, out, print_json
from cli.up import home_option, json_option
from contracts.codec import to_builtins
from contracts.errors import LogError
from contracts.log import Outgoing
from contracts.topics import SUBSCRIBERS, subscriber_key
from sinks.delivery.directory import Directory
from transport.config import wall_clock_ms


@click.command("export")
@click.argument("person")
@workspace_option
@home_option
def export_command(person: str, workspace: str | None, home: Path) -> None:
    """Everything that is known of PERSON (an address, or a subscriber id), as one JSON object.

    It holds the address: give it to nobody but the person.
    """
    asking = Asking(home, workspace)
    subscriber = asking.person(person)
    print_json({"directory": _entry(home, asking.workspace, subscriber), **_rows(asking, subscriber)})


@click.command("forget")
@click.argument("person")
@click.option("--yes", is_flag=True, help="Do not ask.")
@workspace_option
@home_option
@json_option
def forget_command(person: str, yes: bool, workspace: str | None, home: Path, as_json: bool) -> None:
    """Erase PERSON (an address, or a subscriber id): their entry in the directory, and their rows in the history.

    What is left is a proof without the address, and a mark that keeps a replay of the log from bringing rows back. The
    log's own records go with its retention; the lists of the email platform are the platform's.
    """
    asking = Asking(home, workspace)
    subscriber = asking.person(person)
    if not yes:
        click.confirm(f"Erase {subscriber} of {asking.workspace} for good?", abort=True, err=True)
    known = _entry(home, asking.workspace, subscriber) is not None
    now_ms = wall_clock_ms()
    try:
        removed = erase(asking.clickhouse, (asking.workspace, subscriber), now_ms)
    except HistoryUnavailable as error:
        fail(f"nothing was erased: {error}", Exit.UNAVAILABLE)
    _remove_entry(home, asking.workspace, subscriber)
    proof = {
        "workspace": asking.workspace,
        "subscriber": subscriber,
        "erased_at_ms": now_ms,
        "directory_entry": known,
        "rows": removed,
    }
    if as_json:
        print_json(proof)
        return
    out.print(f"{subscriber} of {asking.workspace} is erased: {sum(removed.values())} rows, directory entry: {known}.")
    err.print("The proof is in the table `erasures`; it holds no address.")


def _entry(home: Path, workspace: str, subscriber: str) -> dict[str, Any] | None:
    _, _, log = open_home(home)
    directory = Directory(log)
    entry = directory.find(workspace, subscriber)
    directory.close()
    log.close()
    return None if entry is None else to_builtins(entry)


def _remove_entry(home: Path, workspace: str, subscriber: str) -> None:
    _, _, log = open_home(home)
    publisher = log.publisher()
    (result,) = publisher.publish([Outgoing(SUBSCRIBERS, subscriber_key(workspace, subscriber), None)])
    publisher.close()
    log.close()
    if isinstance(result, LogError):
        raise result


def _rows(asking: Asking, subscriber: str) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for table in OF_A_PERSON:
        sql = (
            f"SELECT * FROM {table} FINAL "  # noqa: S608 - a name of ours
            "WHERE workspace = {workspace:String} AND subscriber = {subscriber:String}"
        )
        columns, rows = asking.table(sql, {"workspace": asking.workspace, "subscriber": subscriber})
        found[table] = [dict(zip(columns, row, strict=True)) for row in rows]
    return found
