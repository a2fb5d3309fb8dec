"""The table of clients: its columns are of every type that the history has, and the manual shows what was run."""

from __future__ import annotations

from analytics.clickhouse import ClickHouse
from tests.clients.table import CELLS, CLIENTS, EXPECTED, PAGE, TYPES, Cells, differing, drawn


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
    missing = {client.name for client in CLIENTS if f"| {client.shown} |" not in page}
    assert missing <= {"dbt"}
