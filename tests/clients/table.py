"""What each client can do against the embedded ClickHouse, a cell at a time, each run for real.

::

    python -m tests.clients.table [CLIENT …] [--write]

Each client is a program in the client's own language, with pinned versions, that prints one line of JSON a cell. The
packages are laid into ``.segma/clients``. ``--write`` puts the table into ``docs/analytics.md``; without it the command
ends with 1 where a cell differs from what stands there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click

from tests.analytics.embedded import PATIENCE_S, Embedded
from tests.clients import venvs

HERE: Final = Path(__file__).parent
PAGE: Final = venvs.ROOT / "docs" / "analytics.md"
CELLS: Final = ("connect", "metadata", "types", "parameters", "insert", "stream", "cancel", "mid_stream")
TYPES: Final = {
    "s": "String",
    "l": "LowCardinality(String)",
    "u8": "UInt8",
    "u16": "UInt16",
    "u32": "UInt32",
    "u64": "UInt64",
    "i32": "Int32",
    "i64": "Int64",
    "f": "Nullable(Float64)",
    "b": "Bool",
    "at": "DateTime64(3, 'UTC')",
    "nat": "Nullable(DateTime64(3, 'UTC'))",
    "names": "Array(String)",
    "words": "Array(LowCardinality(String))",
    "ats": "Array(DateTime64(3, 'UTC'))",
    "removed": "Map(String, UInt64)",
}
"""A column of each type that a table of the history has; a test compares."""
ROWS: Final = (
    r"('it\'s \\ ä', "
    "'word', 255, 65535, 4294967295, 18446744073709551615, -2147483648, -9223372036854775808, 0.1, true, "
    "'2026-10-24 12:00:00.123', '2026-03-29 01:30:00.001', ['a', 'ä'], ['w', 'w'], ['2026-10-25 00:30:00.999'], "
    "{'events': 7, 'moves': 0})",
    "('', '', 0, 0, 0, 0, 0, 0, NULL, false, '1970-01-01 00:00:00.000', NULL, [], [], [], {})",
)
EXPECTED: Final = (
    [
        *("it's \\ ä", "word", "255", "65535", "4294967295", "18446744073709551615", "-2147483648"),
        *("-9223372036854775808", "0.1", "true", "1792843200123", "1774747800001", "[a,ä]", "[w,w]"),
        *("[1792888200999]", "{events=7,moves=0}"),
    ],
    ["", "", "0", "0", "0", "0", "0", "0", "null", "false", "0", "null", "[]", "[]", "[]", "{}"],
)
PROGRAM_S: Final = 900
MARK: Final = "987654321"
GIVEN: Final[dict[str, Any]] = {
    "columns": list(TYPES),
    "expected": EXPECTED,
    "select": "SELECT * FROM cell_types ORDER BY u8 DESC",
    "stream": "SELECT number FROM numbers(300000)",
    "sum": 300_000 * 299_999 // 2,
    "endless": f"SELECT count() FROM numbers(10000000000000) WHERE cityHash64(number) = {MARK}",
    "broken": "SELECT number, throwIf(number = 700000) AS t FROM numbers(1000000)",
}


@dataclass(frozen=True, slots=True)
class Client:
    """A line of the table. ``command`` gives the program's words, and None where the machine has not its language."""

    name: str
    shown: str
    command: Callable[[], list[str] | None]
    lacks: dict[str, str] = field(default_factory=dict)
    """Cell → why the client has no such thing, or why it cannot work here."""


def _python(name: str) -> Callable[[], list[str]]:
    def command() -> list[str]:
        python = venvs.made("python", HERE / "python" / "clients.txt")
        return [str(python), str(HERE / "python" / "cells.py"), name]

    return command


def _own(name: str) -> Callable[[], list[str]]:
    """Of what the project itself uses, in the same version: no environment of its own."""
    return lambda: [sys.executable, str(HERE / "python" / "cells.py"), name]


def _node() -> list[str] | None:
    npm, node, folder = shutil.which("npm"), shutil.which("node"), venvs.CACHE / "node"
    if npm is None or node is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "cells.mjs"):
        shutil.copyfile(HERE / "node" / name, folder / name)
    if not (folder / "node_modules").is_dir():
        subprocess.run([npm, "ci", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True)
    return [node, str(folder / "cells.mjs")]


def _java(version: str) -> Callable[[], list[str] | None]:
    def command() -> list[str] | None:
        maven, compiler, folder = shutil.which("mvn"), shutil.which("javac"), venvs.CACHE / f"jdbc-{version}"
        if compiler is None or (maven is None and not folder.is_dir()):
            return None
        if maven and not folder.is_dir():
            pom, where = HERE / "java" / "pom.xml", f"-DoutputDirectory={folder}"
            wanted = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-Dclickhouse.version={version}"]
            subprocess.run([maven, "-q", "-B", "-f", str(pom), *wanted, where], check=True, stdout=subprocess.DEVNULL)
        # NOTE: the first `java` may be a runtime without a compiler, and this one runs a source file.
        java = Path(compiler).resolve().with_name("java")
        return [str(java), "-Xmx256m", "-cp", f"{folder}/*", str(HERE / "java" / "Cells.java")]

    return command


def go_program() -> list[str] | None:
    """The program of the Go cells, built; None where Go is not installed."""
    go, program = shutil.which("go"), venvs.CACHE / "go-cells"
    if go is None:
        return None
    subprocess.run([go, "build", "-o", str(program), "."], cwd=HERE / "go", check=True)
    return [str(program)]


def _rust() -> list[str] | None:
    """The program of the Rust cells, built; None where Rust is not installed."""
    cargo, target = shutil.which("cargo"), venvs.CACHE / "rust"
    if cargo is None:
        return None
    manifest = ["--manifest-path", str(HERE / "rust" / "Cargo.toml"), "--target-dir", str(target)]
    subprocess.run([cargo, "build", "--quiet", "--locked", *manifest], check=True)
    return [str(target / "debug" / "cells")]


CLIENTS: Final = (
    Client("clickhouse-connect", "clickhouse-connect 1.12.0", _own("clickhouse-connect")),
    Client("pandas", "pandas 3.1.1, by clickhouse-connect", _python("pandas")),
    Client("arrow", "pyarrow 26.0.1, by clickhouse-connect", _own("arrow")),
    Client("dbapi", "DB-API of clickhouse-connect", _own("dbapi"), {"cancel": "none in DB-API"}),
    Client("sqlalchemy", "SQLAlchemy 2.1.9", _python("sqlalchemy"), {"cancel": "none in SQLAlchemy"}),
    Client("ibis", "ibis 12.0.0", _python("ibis"), {"cancel": "none in ibis"}),
    Client(
        "connectorx",
        "connectorx 0.4.6 into polars",
        _python("connectorx"),
        dict.fromkeys(("metadata", "parameters", "insert", "cancel"), "connectorx has none"),
    ),
    Client(
        "dbt",
        "dbt-clickhouse 1.10.3",
        _python("dbt"),
        dict.fromkeys(("types", "stream", "cancel", "mid_stream"), "dbt reads a few rows at most, and cancels nothing"),
    ),
    Client("curl", "curl", _own("curl")),
    Client("node", "@clickhouse/client 1.23.1", _node),
    Client("jdbc", "clickhouse-jdbc 0.10.0", _java("0.10.0")),
    Client("jdbc-0.8.6", "clickhouse-jdbc 0.8.6", _java("0.8.6")),
    Client("go", "clickhouse-go 2.51.0, HTTP", go_program),
    Client("rust", "clickhouse 0.15.3, Rust", _rust),
)


class Cells:
    """What was found. ``faults``: (client, cell) → user → what was wrong, empty where nothing was."""

    def __init__(self) -> None:
        self.faults: dict[tuple[str, str], dict[str, str]] = {}

    def shown(self, client: Client, cell: str) -> str:
        """The cell as the table shows it."""
        if cell in client.lacks:
            return "–"
        found = self.faults.get((client.name, cell))
        if not found:
            return "no"
        bad = [user for user, said in found.items() if said]
        return "yes" if not bad else "no" if len(bad) == len(found) else f"not as {_ROLES[bad[0]]}"


_ROLES: Final = {"segma": "owner", "analyst": "analyst"}


def prepare(server: Embedded) -> None:
    """Make the tables that are asked."""
    server.history("segma").close()
    with server.client(database="segma") as owner:
        columns = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
        owner.command(f"CREATE TABLE cell_types ({columns}) ENGINE = MergeTree ORDER BY u8")
        owner.command(f"INSERT INTO cell_types VALUES {', '.join(ROWS)}")
        owner.command("CREATE TABLE cell_inserts (x UInt32, s String) ENGINE = MergeTree ORDER BY x")


def run_client(client: Client, server: Embedded, cells: Cells) -> bool:
    """Run one client's cells; False where it is not on this machine."""
    command = client.command()
    if command is None:
        return False
    given = {**GIVEN, "port": server.port, "passwords": server.passwords}
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command,
        env={**own, "SEGMA_CELLS": json.dumps(given)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=PROGRAM_S,
    )
    with server.client(database="segma") as owner:
        for line in done.stdout.splitlines():
            told = json.loads(line)
            cells.faults.setdefault((client.name, told["cell"]), {})[told["user"]] = told["said"]
        _judge(client, owner, cells)
    return True


def _judge(client: Client, owner: Any, cells: Cells) -> None:
    """What the client cannot see: rows that are there, queries that still run."""
    table = "cell_model" if client.name == "dbt" else "cell_inserts"
    inserted = cells.faults.get((client.name, "insert"), {})
    there = int(owner.command(f"SELECT count() FROM {table}")) if not inserted.get("segma", "x") else 0
    if "segma" in inserted and not inserted["segma"] and there != 1_000:
        inserted["segma"] = f"{there} rows instead of 1000"
    if "analyst" in inserted:
        inserted["analyst"] = "" if inserted["analyst"] else "the analyst wrote"
    owner.command("TRUNCATE TABLE cell_inserts")
    until = time.monotonic() + PATIENCE_S
    sql = f"SELECT count() FROM system.processes WHERE query LIKE '%{MARK}%' AND query NOT LIKE '%processes%'"
    while int(owner.command(sql)):
        if time.monotonic() > until:
            cells.faults[client.name, "cancel"] = dict.fromkeys(_ROLES, "the query goes on")
            return
        time.sleep(0.1)


def drawn(cells: Cells, clients: Iterable[Client]) -> list[str]:
    """The table's lines."""
    lines = [f"| client | {' | '.join(cell.replace('_', '-') for cell in CELLS)} |", f"|{'---|' * (len(CELLS) + 1)}"]
    for client in clients:
        lines.append(f"| {client.shown} | {' | '.join(cells.shown(client, cell) for cell in CELLS)} |")
    return lines


BEGINS: Final = "<!-- made by `python -m tests.clients.table --write` -->"
ENDS: Final = "<!-- end -->"
_TABLE: Final = re.compile(f"{re.escape(BEGINS)}\n.*?{re.escape(ENDS)}", re.DOTALL)


def differing(lines: Iterable[str], page: str) -> list[str]:
    """The lines that do not stand in the page."""
    standing = set(page.splitlines())
    return [line for line in lines if line not in standing]


def run_clients(clients: Iterable[Client], server: Embedded) -> tuple[Cells, list[Client]]:
    """Run these clients against a running server; what was found, and which could be run."""
    cells, there = Cells(), list[Client]()
    for client in clients:
        if not run_client(client, server, cells):
            click.echo(f"{client.name}: not on this machine")
            continue
        there.append(client)
        for cell in CELLS:
            for user, said in cells.faults.get((client.name, cell), {}).items():
                if said:
                    click.echo(f"{client.name}, {cell}, as {_ROLES[user]}: {said}")
        click.echo(drawn(cells, [client])[-1])
    return cells, there


@click.command()
@click.argument("names", nargs=-1)
@click.option("--write", is_flag=True, help="Put the table into docs/analytics.md.")
def main(names: tuple[str, ...], write: bool) -> None:
    """Run the cells of all clients, or of those that are named."""
    chosen = [client for client in CLIENTS if not names or client.name in names]
    with tempfile.TemporaryDirectory() as directory:
        server = Embedded(Path(directory))
        server.start()
        try:
            prepare(server)
            cells, there = run_clients(chosen, server)
        finally:
            server.stop()
    lines = drawn(cells, there)
    click.echo("\n".join(lines))
    page = PAGE.read_text("utf-8")
    if write:
        PAGE.write_text(_TABLE.sub(lambda _: "\n".join([BEGINS, *lines, ENDS]), page), "utf-8")
        return
    sys.exit(bool(differing(lines, page)))


if __name__ == "__main__":
    main()
