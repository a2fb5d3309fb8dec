"""The matrix of consent in docs/sinks.md and on pages in docs/platforms: no empty field, no sink without a page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sinks.registry import SINKS
from tests.sinks.simulator.imitation import imitations

ROOT = Path(__file__).resolve().parents[2]
SINKS_PAGE = ROOT / "docs" / "sinks.md"
PLATFORMS = ROOT / "docs" / "platforms"


def rows(page: Path = SINKS_PAGE) -> list[list[str]]:
    text = page.read_text("utf-8").partition("## Consent, kind by kind")[2]
    lines = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


OF_ALL = {column.lower() for column in rows()[0]}
PAGES = [
    path for path in sorted(PLATFORMS.glob("*.md")) if path.stem in {*SINKS} - OF_ALL - {"kafka", "webhook", "file"}
]
"""Of the platforms without a column: they say of consent what the matrix says of the others."""
ALL_PAGES = pytest.mark.parametrize("page", [SINKS_PAGE, *PAGES], ids=lambda page: page.stem)


@ALL_PAGES
def test_no_field_of_the_matrix_is_empty(page: Path) -> None:
    head, *body = rows(page)
    assert len(body) >= 12
    assert all(len(row) == len(head) and all(row) for row in body)


@ALL_PAGES
def test_every_test_that_the_matrix_names_is_there(page: Path) -> None:
    code = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    _, *body = rows(page)
    for row in body:
        named = re.findall(r"`(test_\w+)`", row[-1])
        assert named
        assert [name for name in named if f"def {name}(" not in code] == []


def test_a_platforms_page_tells_of_every_kind() -> None:
    kinds = [row[0] for row in rows()[1:]]
    assert {page.stem: kinds for page in PAGES} == {page.stem: [row[0] for row in rows(page)[1:]] for page in PAGES}


def test_every_imitated_platform_has_a_column_or_a_page() -> None:
    told = OF_ALL | {page.stem for page in PAGES}
    assert {each.dialect().name for each in imitations().values()} - told == set()


@pytest.mark.parametrize("sink", SINKS)
def test_every_sink_has_a_page_a_line_and_what_starts_an_automation(sink: str) -> None:
    page = (PLATFORMS / f"{sink}.md").read_text("utf-8")
    (way,) = re.findall(
        r"(?:\*\*|## )From nothing to the first mail(?:\.\*\*|\n)(.*?)(?:\n\*\*|\n## |\Z)", page, re.DOTALL
    )
    assert "account" in way
    assert "move" in way or "listener" in way
    line, automation = (
        SINKS_PAGE.read_text("utf-8").partition("## The platforms")[2].split("From a move to the platform's", 1)
    )
    assert f"\n| [`{sink}`](platforms/{sink}.md) |" in line
    assert re.search(rf"^\| [^|]*`{sink}`", automation.partition("The pages behind")[0], re.MULTILINE)
