"""What the image says it holds of others: the Dockerfile's own commands, run here, against the schema of CycloneDX."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement

from tests.docs.test_infra import stages

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
Document = dict[str, Any]


def run(name: str, out: Path, folder: str = "js-sdk") -> Document:
    """Run the Dockerfile's command that makes a file, on this machine, in a folder of the checkout."""
    (line,) = (each for stage in stages() for each in stage if f"/sbom/{name}" in each)
    command = re.sub(r"^RUN (mkdir /sbom|cd /editor) && ", "", line).replace("/sbom/", f"{out}/")
    tool = f"{Path(sys.executable).parent}/cyclonedx-py environment --no-validate"
    command = command.replace("/tool/bin/cyclonedx-py environment", tool)
    command = command.replace("/usr/local/bin/python", sys.executable)
    subprocess.run(["sh", "-c", command], cwd=ROOT / folder, timeout=200, check=True, capture_output=True)
    found: Document = json.loads((out / name).read_bytes())
    return found


def is_valid(document: Document, version: SchemaVersion) -> bool:
    return JsonStrictValidator(version).validate_str(json.dumps(document)) is None


def pinned() -> dict[str, str]:
    """What an installation takes on this machine: name → version."""
    lines = re.findall(r"(?m)^([A-Za-z0-9].*?) \\$", (ROOT / "requirements.txt").read_text("utf-8"))
    wanted = [Requirement(line) for line in lines]
    here = [each for each in wanted if each.marker is None or each.marker.evaluate()]
    return {each.name: str(each.specifier).removeprefix("==") for each in here}


@pytest.fixture(scope="module")
def of_python(tmp_path_factory: pytest.TempPathFactory) -> Document:
    return run("python.cdx.json", tmp_path_factory.mktemp("sbom"))


def test_each_package_stands_in_it_with_its_version_and_address(of_python: Document) -> None:
    found = {each["name"].lower().replace("_", "-").replace(".", "-"): each for each in of_python["components"]}
    wanted = {name.replace(".", "-"): version for name, version in pinned().items()}
    assert len(wanted) > 50
    assert {name: found[name]["version"] for name in wanted} == wanted
    for name, version in wanted.items():
        assert found[name]["purl"].startswith("pkg:pypi/")
        assert f"@{version}" in found[name]["purl"]


def test_it_says_the_licences_and_who_needs_whom(of_python: Document) -> None:
    found = {each["name"]: each for each in of_python["components"]}
    assert [each for each in ("falcon", "click", "starlette", "chdb") if not found[each].get("licenses")] == []
    needs = {each["ref"]: each.get("dependsOn", []) for each in of_python["dependencies"]}
    assert found["starlette"]["bom-ref"] in needs[found["sse-starlette"]["bom-ref"]]


def test_it_is_cyclonedx(of_python: Document) -> None:
    part = {**of_python, "components": of_python["components"][:8], "dependencies": []}  # all of it takes half a minute
    assert is_valid(part, SchemaVersion.V1_6)
    assert not is_valid({**part, "components": [{"name": "x"}]}, SchemaVersion.V1_6)


def test_the_browsers_sdk_holds_nothing_of_others(tmp_path: Path) -> None:
    document = run("sdk.cdx.json", tmp_path)
    package = json.loads((ROOT / "js-sdk" / "package.json").read_bytes())
    assert document["metadata"]["component"]["purl"] == f"pkg:npm/{package['name']}@{package['version']}"
    assert document["components"] == []
    assert is_valid(document, SchemaVersion.V1_5)


def test_what_is_in_the_consoles_editor_stands_in_its_own(tmp_path: Path) -> None:
    document = run("editor.cdx.json", tmp_path, "console/editor")
    told = (ROOT / "console" / "static" / "editor.licences.txt").read_text("utf-8")
    named = set(re.findall(r"(?m)^(\S+) (\d\S+) \(MIT\)$", told))
    assert len(named) > 10
    assert named <= {(each["name"], each["version"]) for each in document["components"]}
    assert is_valid(document, SchemaVersion.V1_5)
