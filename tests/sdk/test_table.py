"""The documentation's table of actions and engines is that of the tests."""

from __future__ import annotations

from tests.sdk.engines.each import MARKERS
from tests.sdk.table import PAGE, fresh
from tests.sdk.test_capture import ROWS


def test_the_documentation_says_what_runs_where() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == fresh(page), "run: python -m tests.sdk.table"


def test_every_row_runs_in_chromium_and_says_why_not_elsewhere() -> None:
    left_out = [(row.name, engine, why) for row in ROWS for engine, why in row.left_out.items()]
    assert {engine for _, engine, _ in left_out} <= set(MARKERS) - {"chromium"}
    assert [row for row in left_out if len(row[2]) < 10] == []
