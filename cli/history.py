"""``segma query``, ``why``, ``timeline``, ``migrate``: the history, asked by name, by person, or in SQL."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from analytics.clickhouse import ClickHouse, HistoryUnavailable
from analytics.config import AnalyticsSettings, analytics_settings_at, connect
from analytics.migrate import migrate, read_migrations
from analytics.named_queries import NamedQuery, named_queries
from analytics.why import moment, why_in_words
from cli.consent import tell_consent
from cli.home import open_home
from cli.output import Exit, err, fail, one_line, out, print_json, visible
from cli.up import home_option, json_option
from contracts.errors import ConfigError, Problem
from contracts.installation import Installation
from contracts.plurals import counted
from contracts.tokens import subscriber_id
from sinks.delivery.directory import Directory
from transport.config import load_installation, read_secret, wall_clock_ms

workspace_option = click.option("--workspace", help="Which workspace [default: the only one].")


class Asking:
    """A home's history: whom to ask, and in which workspace."""

    def __init__(self, home: Path, workspace: str | None) -> None:
        self._home = home
        self.settings: AnalyticsSettings = analytics_settings_at(home)
        self._installation: Installation = load_installation(self.settings.config)
        self.workspace = workspace or self._only()
        if self.workspace not in self._installation.workspaces:
            known = ", ".join(self._installation.workspaces)
            raise ConfigError([Problem("--workspace", self.workspace, "no such workspace", f"known: {known}")])
        self.clickhouse: ClickHouse = connect(self.settings)

    def _only(self) -> str:
        names = list(self._installation.workspaces)
        if len(names) != 1:
            raise ConfigError([Problem("--workspace", "", "there are several", f"one of {', '.join(names)}")])
        return names[0]

    @property
    def secret(self) -> bytes:
        """The workspace's secret, of which ids are made."""
        secret = self._installation.workspaces[self.workspace].secret
        return read_secret(secret, beside=self.settings.config, field="secret")

    def made(self, text: str) -> str:
        """A subscriber id; of an address the one that is made of it."""
        return subscriber_id(self.secret, text) if "@" in text else text

    def person(self, text: str) -> str:
        """A subscriber id; of an address the one of whom the directory has under it."""
        if "@" not in text:
            return text
        _, _, log = open_home(self._home)
        with closing(log), closing(Directory(log)) as directory:
            return directory.whose(self.workspace, self.secret)(self.made(text))

    def named(self, query: NamedQuery, given: dict[str, str]) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The answer of a named query: columns and rows."""
        if "person" in given:
            given = given | {"person": self.person(given["person"])}
        return self.table(query.sql, query.bound(given, workspace=self.workspace, now_ms=wall_clock_ms()))

    def table(self, sql: str, params: dict[str, Any] | None = None) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The answer of some SQL."""
        try:
            return self.clickhouse.table(sql, params)
        except HistoryUnavailable as error:
            fail(f"{self.settings.url}: {error}. Does `segma up` or `segma demo` run there?", Exit.UNAVAILABLE)


@click.command("query")
@click.argument("query", required=False)
@click.argument("given", nargs=-1, metavar="[NAME=VALUE]...")
@workspace_option
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values with a header.")
@home_option
@json_option
def query_command(  # noqa: PLR0917
    query: str | None, given: tuple[str, ...], workspace: str | None, as_csv: bool, home: Path, as_json: bool
) -> None:
    """Ask the history: QUERY is a named query with its parameters (NAME=VALUE), or SQL. Without one: all the names.

    Instants are ISO 8601 (UTC), `now`, or `-7d`. `person` may be an address.
    """
    if query is None:
        _print_names(as_json=as_json)
        return
    asking = Asking(home, workspace)
    found = named_queries().get(query)
    if found is not None:
        columns, rows = asking.named(found, _given(given))
    elif any(mark.isspace() for mark in query):
        columns, rows = asking.table(query, {"workspace": asking.workspace, **_given(given)})
    else:
        known = ", ".join(named_queries())
        raise ConfigError([Problem("query", query, "no named query and no SQL", f"known: {known}")])
    _print_rows(columns, rows, as_json=as_json, as_csv=as_csv)


@click.command("timeline")
@click.argument("person")
@click.option("--since", default="1970-01-01", help="From then on: ISO 8601 (UTC), or `-7d`.")
@workspace_option
@home_option
@json_option
def timeline_command(person: str, since: str, workspace: str | None, home: Path, as_json: bool) -> None:
    """Show the events of PERSON (an address, or a subscriber id) and their consequences, in order."""
    asking = Asking(home, workspace)
    columns, rows = asking.named(named_queries()["timeline"], {"person": person, "since": since})
    if as_json:
        _print_rows(columns, rows, as_json=True)
        return
    if not rows:
        fail("nothing is known of this person", Exit.PROBLEMS)
    for at, what, detail, _ in rows:
        out.print(one_line(f"{moment(at)}  {what:<8} {detail}"))


@click.command("why")
@click.argument("person")
@click.argument("list_name", metavar="LIST", default="")
@click.option("--consent", is_flag=True, help="Instead: when and by whom they came, left or were vetoed, everywhere.")
@workspace_option
@home_option
@json_option
def why_command(  # noqa: PLR0917
    person: str, list_name: str, consent: bool, workspace: str | None, home: Path, as_json: bool
) -> None:
    """Say why PERSON (an address, or a subscriber id) is, was, or is not in LIST."""
    if consent:
        tell_consent(home, person, workspace, as_json=as_json)
        return
    if not list_name:
        fail("name a LIST, or ask with --consent", Exit.USAGE)
    asking = Asking(home, workspace)
    given = {"person": person, "list": list_name}
    stays = _dicts(asking.named(named_queries()["why"], given))
    attempts = _dicts(asking.named(named_queries()["attempts"], given))
    if as_json:
        print_json({"list": list_name, "stays": stays, "attempts": attempts})
        return
    for line in why_in_words(list_name, stays, attempts):
        out.print(line, markup=False)
    if not stays:
        sys.exit(Exit.PROBLEMS)


@click.command("migrate")
@home_option
@json_option
def migrate_command(home: Path, as_json: bool) -> None:
    """Bring the history's database up to date, data kept. The loader does the same at its start."""
    settings = analytics_settings_at(home)
    clickhouse = connect(settings)
    try:
        done = migrate(clickhouse, settings.clickhouse_database, read_migrations(settings.migrations), told=err.print)
    except HistoryUnavailable as error:
        fail(f"{settings.url}: {error}", Exit.UNAVAILABLE)
    if as_json:
        print_json({"database": settings.clickhouse_database, "applied": [each.number for each in done]})
    else:
        out.print(f"{counted(len(done), 'migration')} applied; {settings.clickhouse_database} is up to date.")


def _given(words: Sequence[str]) -> dict[str, str]:
    wrong = [word for word in words if "=" not in word]
    if wrong:
        raise ConfigError([Problem("query", word, "is no parameter", "write name=value") for word in wrong])
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _dicts(answer: tuple[list[str], list[tuple[Any, ...]]]) -> list[dict[str, Any]]:
    columns, rows = answer
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _print_names(*, as_json: bool) -> None:
    if as_json:
        print_json([{"name": each.name, "question": each.question} for each in named_queries().values()])
        return
    for each in named_queries().values():
        words = " ".join(f"{one.name}=" if one.default is None else f"[{one.name}=]" for one in each.parameters)
        out.print(f"{each.name} {words}\n    {each.question}", markup=False)


def _print_rows(
    columns: Sequence[str], rows: Sequence[tuple[Any, ...]], *, as_json: bool = False, as_csv: bool = False
) -> None:
    if as_json:
        for row in rows:
            print_json(dict(zip(columns, row, strict=True)))
        return
    if as_csv:
        # A file gets the values as they are, a terminal what cannot steer it.
        shown = [[visible(str(cell)) for cell in row] for row in rows] if sys.stdout.isatty() else rows
        csv.writer(sys.stdout, lineterminator="\n").writerows([columns, *shown])
        return
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    out.print(table)
    err.print(counted(len(rows), "row"))


def _cell(value: object) -> str:
    if value is None:
        return ""
    return moment(value) if isinstance(value, datetime) else str(value)
