"""A number and its noun agree wherever something is told: by the one function for it, in every room."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from cli.compile import ROOMS

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
PLURAL = re.compile(
    " (accounts|beacons|cells|commands|days|devices|events|examples|letters|lines|listeners|lists|matches|moves|notices"
    "|partitions|people|pages|problems|profiles|ranges|records|rows|runs|subscribers|tables|tokens|topics|versions"
    r"|workspaces)\b"
)
"""Nouns of more than one behind a number. Units that are never one of what is told (bytes over a bound) are not."""
ALWAYS_MORE = {
    "collector/notices.py: len(found) notices": "more than a bound",
    "collector/pipeline.py: events events": "more than a bound",
    "console/writing/samples.py: len(events) events": "none, or more than a bound",
    "flows/config.py: partitions partitions": "fewer than there are processes, of which there is another one",
    "cli/backup.py: counts['records'] records": "a line that goes on changing",
}


def by_hand(source: str) -> Iterator[str]:
    """Where a text writes a number that may be one before a plural: the expression and the noun; or ``noun(s)``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            for value, text in pairwise(node.values):
                noun = PLURAL.match(str(getattr(text, "value", "")))
                if isinstance(value, ast.FormattedValue) and noun and may_be_one(value):
                    yield f"{ast.unparse(value.value)} {noun[1]}"
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"\w+\(s\)(?= )", node.value.replace("http(s)", ""))


def may_be_one(value: ast.FormattedValue) -> bool:
    """Whether a placeholder is a whole number and none of the bounds, which are constants."""
    whole = value.format_spec is None or ast.unparse(value.format_spec) == "f','"
    constant = isinstance(value.value, ast.Name) and value.value.id.isupper()
    counted = isinstance(value.value, ast.Call) and ast.unparse(value.value.func) == "counted"
    return whole and not constant and not counted


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_text_counts_by_hand(path: Path) -> None:
    place = str(path.relative_to(ROOT))
    found = [f"{place}: {each}" for each in by_hand(path.read_text(encoding="utf-8"))]
    assert [each for each in found if each not in ALWAYS_MORE] == [], "contracts.plurals.counted"


def test_what_is_allowed_is_there() -> None:
    found = {f"{p.relative_to(ROOT)}: {each}" for p in FILES for each in by_hand(p.read_text(encoding="utf-8"))}
    assert found == set(ALWAYS_MORE)


@pytest.mark.parametrize("text", ['f"{len(found)} people of x"', 'f"{n:,} rows"', '"3 problem(s) above"'])
def test_a_number_by_hand_is_found(text: str) -> None:
    assert list(by_hand(f"x = {text}"))


@pytest.mark.parametrize("text", ['f"{hours:.1f} days"', 'f"{MOST} rows"', '"an http(s) address"'])
def test_what_is_never_one_is_not(text: str) -> None:
    assert list(by_hand(f"x = {text}")) == []
