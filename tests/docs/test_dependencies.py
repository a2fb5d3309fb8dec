"""``docs/dependencies.md`` names each package that an installation takes, with the licence that it has."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(
    r"^\| `(?P<name>[^`]+)` \| (?P<task>[^|]+) \| [^|]* \| (?P<licence>[^|]+) \| (?P<day>\d{4}-\d\d-\d\d) \|$", re.M
)
ROWS = {found["name"]: found for found in ROW.finditer((ROOT / "docs" / "dependencies.md").read_text("utf-8"))}


def taken() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return sorted(re.split(r"[=<>\[ ]", each)[0] for each in project["dependencies"])


def test_each_package_has_its_row_and_no_other_has_one() -> None:
    assert sorted(ROWS) == taken()


@pytest.mark.parametrize("name", taken())
def test_the_licence_is_the_packages_own(name: str) -> None:
    about = metadata.metadata(name)
    named = about.get_all("License-Expression", []) or about.get_all("License", [])
    told = [*named, *about.get_all("Classifier", [])]
    words = re.findall(r"Apache|BSD|MIT|PSF|Unlicense", ROWS[name]["licence"])
    assert words
    said = " ".join(told)
    assert name in SILENT or all(word in said for word in words), said[:300]


SILENT = {"bytewax"}
"""Packages whose metadata name no licence: the file in the package does."""
