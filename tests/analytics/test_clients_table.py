"""The table of clients: its columns are of every type that the history has, and the manual shows what was run."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version

import pytest

from analytics.clickhouse import ClickHouse
from tests.analytics.embedded import Embedded
from tests.clients.table import CELLS, CLIENTS, EXPECTED, PAGE, TYPES, Cells, differing, drawn, prepare, run_clients


@pytest.fixture(scope="module")
def prepared(embedded: Embedded) -> Iterator[Embedded]:
    prepare(embedded)
    yield embedded
    with embedded.client() as owner:
        owner.command("DROP DATABASE segma")


@pytest.mark.clients
@pytest.mark.parametrize("name", ["clickhouse-connect", "curl", "node", "jdbc"])
def test_every_cell_of_these_clients_is_as_the_manual_says(name: str, prepared: Embedded) -> None:
    chosen = [client for client in CLIENTS if client.name == name]
    cells, there = run_clients(chosen, prepared)
    assert there == chosen
    assert {fault: said for fault, said in cells.faults.items() if any(said.values())} == {}
    assert differing(drawn(cells, chosen)[2:], PAGE.read_text("utf-8")) == []


def test_the_line_of_the_projects_own_client_names_its_version() -> None:
    shown = {client.name: client.shown for client in CLIENTS}
    assert shown["clickhouse-connect"] == f"clickhouse-connect {version('clickhouse-connect')}"
    assert shown["arrow"].startswith(f"pyarrow {version('pyarrow')},")


def test_a_column_of_each_type_of_the_history_is_read(history: ClickHouse) -> None:
    sql = "SELECT DISTINCT replaceAll(type, 'LowCardinality(Nullable(String))', 'String') FROM system.columns"
    found = {str(kind) for (kind,) in history.rows(f"{sql} WHERE database = currentDatabase()")}
    assert found - {"UInt8"} <= set(TYPES.values())
    assert {len(row) for row in EXPECTED} == {len(TYPES)}


def test_a_cell_says_for_whom_it_holds() -> None:
    cells = Cells()
    cells.faults["curl", "connect"] = {"segma": "", "analyst": ""}
    cells.faults["curl", "insert"] = {"segma": "", "analyst": "wrote"}
    cells.faults["curl", "stream"] = {"segma": "x", "analyst": "y"}
    curl = next(client for client in CLIENTS if client.name == "curl")
    shown = {cell: cells.shown(curl, cell) for cell in CELLS}
    assert (shown["connect"], shown["insert"], shown["stream"], shown["types"]) == ("yes", "not as analyst", "no", "no")
    assert differing(drawn(cells, [curl])[2:], PAGE.read_text("utf-8"))


def test_the_manual_has_a_line_of_each_client() -> None:
    page = PAGE.read_text("utf-8")
    assert [client.name for client in CLIENTS if f"| {client.shown} |" not in page] == []
