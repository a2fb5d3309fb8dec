"""The tables, views and columns of the history, as a migrated embedded ClickHouse tells them."""

from __future__ import annotations

import functools
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.analytics.embedded import Embedded

DATABASE: Final = "reference"
_TABLES: Final = (
    "SELECT name, engine, comment, sorting_key, engine_full FROM system.tables"
    " WHERE database = currentDatabase() ORDER BY name"
)
_COLUMNS: Final = (
    "SELECT table, name, type, comment FROM system.columns WHERE database = currentDatabase() ORDER BY table, position"
)


class Column(NamedTuple):
    """A column of a table or a view."""

    name: str
    kind: str
    comment: str


class Table(NamedTuple):
    """A table, or a view; ``key``: columns of which a table holds one row a value; ``kept``: ClickHouse's own words."""

    name: str
    view: bool
    comment: str
    key: str
    kept: str
    columns: tuple[Column, ...]


@functools.cache
def tables() -> tuple[Table, ...]:
    """Every table and view by its name, after every migration. Starts an embedded ClickHouse once, for seconds."""
    with tempfile.TemporaryDirectory() as home:
        server = Embedded(Path(home))
        server.start()
        try:
            history = server.history(DATABASE)
            columns = [(table, Column(*rest)) for table, *rest in history.rows(_COLUMNS)]
            found = history.rows(_TABLES)
            history.close()
        finally:
            server.stop()
    return tuple(
        Table(name, engine == "View", comment, key, kept(full), tuple(each for of, each in columns if of == name))
        for name, engine, comment, key, full in found
    )


def kept(engine: str) -> str:
    """How long rows of a table stay by its engine's words; empty: for ever."""
    found = re.search(r" TTL toDateTime\((\w+)\) \+ toIntervalMonth\((\d+)\)", engine)
    return f"{found[2]} months by `{found[1]}`" if found else ""


def part_of(table: Table) -> Iterator[str]:
    """The part of the page about one table or view."""
    yield f"### {table.name}\n"
    one_row = f" One row a value of `{table.key}`." if table.key else ""
    for_so_long = f" Kept for {table.kept}." if table.kept else ""
    yield f"{table.comment}.{one_row}{for_so_long}\n"
    yield "| column | type | |\n|---|---|---|"
    for each in table.columns:
        yield f"| `{each.name}` | `{each.kind}` | {each.comment} |".replace("||", "|")
    yield ""


def tables_page(made: str) -> str:
    """The page; ``made``: the line that says that it is made."""
    parts = [
        "# Tables and columns\n",
        made,
        "The history in ClickHouse, as `DESCRIBE TABLE` says it after the last migration. What to ask of it:"
        " [analytics.md](../analytics.md).\nRead the views; the tables behind them may hold a row twice for a while."
        " Instants are UTC.\n",
        "## Views\n",
    ]
    for each in tables():
        parts += part_of(each) if each.view else ()
    parts.append("## The tables behind them\n")
    for each in tables():
        parts += () if each.view else part_of(each)
    return "\n".join(parts)
