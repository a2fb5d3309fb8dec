"""The dashboard's queries through clickhouse-go over HTTP, as Grafana's plug-in asks them, beside clickhouse-connect.

::

    python -m tests.clients.dashboard

Go asks as the analyst, with what the plug-in sends: answers in gzip, a time limit, a location of the user's. Each
query's rows must be those that clickhouse-connect reads. Ends with 1 where one differs, 2 where Go is not installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from tests.analytics.embedded import Embedded
from tests.analytics.story import put, the_runs, the_story
from tests.analytics.test_dashboard import DASHBOARD, filled_in
from tests.clients.table import GIVEN, go_program

PROGRAM_S: Final = 300


def queries() -> dict[str, str]:
    """Title → query, of each panel and of the variable."""
    (variable,) = DASHBOARD["templating"]["list"]
    asked = {panel["title"]: filled_in(panel["targets"][0]["rawSql"]) for panel in DASHBOARD["panels"]}
    return {**asked, f"variable {variable['name']}": variable["query"]}


def told(value: Any) -> str:
    """A value as the Go program tells it: instants as milliseconds, lists in brackets."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return str(round((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1_000))
    if isinstance(value, list | tuple):
        return f"[{','.join(map(told, value))}]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def differing(server: Embedded, program: list[str]) -> dict[str, str]:
    """Title → what Go read otherwise, or why it read nothing."""
    asked = queries()
    given = {**GIVEN, "port": server.port, "passwords": server.passwords, "dashboard": list(asked.values())}
    done = subprocess.run(
        program,
        env={**os.environ, "SEGMA_CELLS": json.dumps(given)},
        stdout=subprocess.PIPE,
        check=True,
        timeout=PROGRAM_S,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(asked)
    faults = {}
    with server.client("analyst", database="segma") as client:
        for (title, sql), answer in zip(asked.items(), answers, strict=True):
            rows = [[told(value) for value in row] for row in client.query(sql).result_rows]
            if answer["said"] or answer["rows"] != rows or not rows:
                faults[title] = answer["said"] or f"{answer['rows']} instead of {rows}"
    return faults


@click.command()
def main() -> None:
    """Ask the dashboard's queries of a server of their own."""
    program = go_program()
    if program is None:
        click.echo("Go is not installed")
        sys.exit(2)
    with tempfile.TemporaryDirectory() as directory:
        server = Embedded(Path(directory))
        server.start()
        try:
            history = server.history("segma")
            put(history, the_story())
            put(history, the_runs(), first_offset=500)
            history.close()
            faults = differing(server, program)
        finally:
            server.stop()
    for title, fault in faults.items():
        click.echo(f"{title}: {fault}")
    click.echo(f"{len(queries())} queries, {len(faults)} differ")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
