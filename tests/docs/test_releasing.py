"""The release's number is one, wherever it stands, and docs/releasing.md names the places."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml
from click.testing import CliRunner

from cli import __version__
from cli.__main__ import cli

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "releasing.md").read_text(encoding="utf-8")


def test_one_number_stands_everywhere() -> None:
    package = json.loads((ROOT / "js-sdk" / "package.json").read_text("utf-8"))
    lock = json.loads((ROOT / "js-sdk" / "package-lock.json").read_text("utf-8"))
    chart = yaml.safe_load((ROOT / "infra" / "helm" / "segma" / "Chart.yaml").read_text("utf-8"))
    found = [
        package["version"],
        lock["version"],
        lock["packages"][""]["version"],
        chart["version"],
        chart["appVersion"],
    ]
    assert set(found) == {__version__}
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    assert CliRunner().invoke(cli, ["--version"]).output == f"segma, version {__version__}\n"


def test_the_page_names_each_place_of_it() -> None:
    places = ("cli/__init__.py", "js-sdk/package.json", "js-sdk/package-lock.json", "infra/helm/segma/Chart.yaml")
    assert [place for place in places if f"`{place}`" not in PAGE] == []


def test_the_changelog_is_by_release() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heads = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert heads[0] == "Unreleased"
    assert [head for head in heads[1:] if not re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", head)] == []
    parts = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert set(parts) <= {"Upgrade notes", "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
