"""The release's number is one, wherever it stands, and docs/releasing.md names the places."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import yaml
from click.testing import CliRunner

from cli import __version__
from cli.__main__ import cli

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "releasing.md").read_text(encoding="utf-8")


def test_one_number_stands_everywhere() -> None:
    folders = [ROOT / "js-sdk", ROOT / "console" / "editor"]
    packages = [json.loads((folder / "package.json").read_text("utf-8")) for folder in folders]
    locks = [json.loads((folder / "package-lock.json").read_text("utf-8")) for folder in folders]
    chart = yaml.safe_load((ROOT / "infra" / "helm" / "segma" / "Chart.yaml").read_text("utf-8"))
    found = [
        *(each["version"] for each in packages),
        *(each["version"] for each in locks),
        *(each["packages"][""]["version"] for each in locks),
        chart["version"],
        chart["appVersion"],
    ]
    assert set(found) == {__version__}
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    assert CliRunner().invoke(cli, ["--version"]).output == f"segma, version {__version__}\n"


def test_the_page_names_each_place_of_it() -> None:
    packages = [
        f"{folder}/{name}" for folder in ("js-sdk", "console/editor") for name in ("package.json", "package-lock.json")
    ]
    places = ["cli/__init__.py", "infra/helm/segma/Chart.yaml", *packages]
    assert [place for place in places if f"`{place}`" not in PAGE] == []


def test_the_changelog_is_by_release() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heads = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert heads[0] == "Unreleased"
    assert [head for head in heads[1:] if not re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", head)] == []
    parts = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert set(parts) <= {"Upgrade notes", "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_npm_package_holds_what_it_exports_and_nothing_else() -> None:
    sdk = ROOT / "js-sdk"
    npm = shutil.which("npm") or "npm"
    done = subprocess.run(
        [npm, "pack", "--dry-run", "--json", "--ignore-scripts"],
        cwd=sdk,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=True,
    )
    packed = {each["path"] for each in json.loads(done.stdout)[0]["files"]}
    package = json.loads((sdk / "package.json").read_text("utf-8"))
    module = package["exports"]["."]
    named = {package["main"], package["unpkg"], module["types"], module["import"]}
    named |= {package["exports"][name] for name in ("./script", "./loader")}
    types = {f"dist/types/{path.relative_to(sdk / 'src')}".replace(".ts", ".d.ts") for path in sdk.glob("src/**/*.ts")}
    wanted = {
        "package.json",
        "README.md",
        "LICENSE",
        "dist/segma.source.js",
        *types,
        *(name.removeprefix("./") for name in named),
    }
    assert packed == wanted
    assert (sdk / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
