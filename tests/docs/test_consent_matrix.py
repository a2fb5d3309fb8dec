"""The matrix of consent in docs/sinks.md: no empty field, and every test that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def rows() -> list[list[str]]:
    text = (ROOT / "docs/sinks.md").read_text("utf-8").partition("## Consent, kind by kind")[2]
    lines = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def test_no_field_of_the_matrix_is_empty() -> None:
    head, *body = rows()
    assert len(body) >= 12
    assert all(len(row) == len(head) and all(row) for row in body)


def test_every_test_that_the_matrix_names_is_there() -> None:
    code = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    _, *body = rows()
    for row in body:
        named = re.findall(r"`(test_\w+)`", row[-1])
        assert named
        assert [name for name in named if f"def {name}(" not in code] == []
