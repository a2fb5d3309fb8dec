"""docs/mail.md: each line of its tables has a source, each page that it names a date, each test is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "mail.md").read_text(encoding="utf-8")
LINK = re.compile(r"\]\((https?://[^)\s]+)\)(.{0,40})", re.DOTALL)
DATED = re.compile(r"\s\((?:\w+ )*(?:of )?20\d\d(?:-\d\d)?(?:-\d\d)?\b")
"""``(2026-11-30)``: read on that day; ``(of 2013-12)``: the page's own date."""
TEST = re.compile(r"`(tests/[\w/]+\.py)`")


def sources(title: str) -> list[str]:
    """The last cell of each line of the table below a title."""
    part = PAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in part.splitlines() if line.startswith("| ")]
    return [line.rstrip("| ").rpartition(" | ")[2] for line in lines[1:]]


def test_each_line_has_a_source() -> None:
    found = [*sources("What becomes of a link"), *sources("What becomes of a pixel")]
    assert len(found) > 8
    assert [each for each in found if not LINK.search(each) and not TEST.search(each)] == []


def test_each_page_that_is_named_has_a_date() -> None:
    found = LINK.findall(PAGE)
    assert len(found) > 15
    assert [url for url, behind in found if not DATED.match(behind)] == []
    assert not DATED.match("; whether")


def test_each_test_that_is_named_is_there() -> None:
    named = TEST.findall(PAGE)
    assert len(named) >= 4
    assert [name for name in named if not (ROOT / name).is_file()] == []
