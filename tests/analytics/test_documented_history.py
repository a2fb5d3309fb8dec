"""What pages say of tables, views and columns is so, and all of it is said. The columns: docs/reference/tables.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from analytics.clickhouse import ClickHouse, HistoryError
from tests.docs.history_tables import Table, kept, tables

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = (ROOT / "docs" / "analytics.md").read_text(encoding="utf-8")
PAGES: Final = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("**/*.md"))}
SQL: Final = [
    (name, found)
    for name, text in PAGES.items()
    for found in re.findall(r'segma query \\?\s*"(SELECT [^"]+)"', text)
    + re.findall(r'query(?:_df)?\(\s*"(SELECT [^"]+)"\s*\)', text)
    + ["".join(re.findall(r'"([^"]*)"', each)) for each in re.findall(r'query\(\n((?: +"[^"]*"\n)+)\)', text)]
]


@pytest.fixture(scope="module")
def known() -> tuple[Table, ...]:
    """Every table and view."""
    return tables()


def rows_below(title: str) -> list[list[str]]:
    """The cells of the table below a title of the page."""
    part = re.split(r"^#{2,3} ", PAGE.split(f" {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines() if line.startswith("| `")]


@pytest.mark.slow
def test_every_view_is_in_the_table_of_views_and_no_other(known: tuple[Table, ...]) -> None:
    named = {name.strip("`") for name, _ in rows_below("Tables and views")}
    assert named == {each.name for each in known if each.view} | {"erasures"}


@pytest.mark.slow
def test_how_long_rows_are_kept_is_what_the_tables_do(known: tuple[Table, ...]) -> None:
    said = {name.strip("`"): for_so_long for name, for_so_long, _ in rows_below("How long rows are kept")}
    assert said == {each.name: each.kept for each in known if each.kept}
    assert kept("MergeTree ORDER BY a TTL toDateTime(at) + toIntervalMonth(3) SETTINGS x = 1") == "3 months by `at`"


@pytest.mark.slow
def test_the_page_of_columns_has_every_column_of_every_table(known: tuple[Table, ...]) -> None:
    text = (ROOT / "docs" / "reference" / "tables.md").read_text(encoding="utf-8")
    said = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL))
    columns = {name: re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE) for name, part in said.items()}
    assert columns == {each.name: [column.name for column in each.columns] for each in known}
    assert len(columns) > 15


def test_the_pages_have_sql_to_ask() -> None:
    assert {name for name, _ in SQL} >= {"analytics.md", "analyst.md", "data-engineer.md"}
    assert [sql for name, sql in SQL if name == "analyst.md" and "memberships" in sql]


@pytest.mark.parametrize(("name", "sql"), SQL)
def test_sql_of_a_page_names_columns_that_are_there(name: str, sql: str, history: ClickHouse) -> None:
    assert history.rows(f"DESCRIBE TABLE ({sql})"), name


def test_a_column_that_is_not_there_is_found(history: ClickHouse) -> None:
    with pytest.raises(HistoryError, match="weekday"):
        history.rows("DESCRIBE TABLE (SELECT weekday FROM events)")
