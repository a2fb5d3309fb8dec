"""``infra/release/make.py`` makes what docs/releasing.md says, with checksums. Tests of docs build the manual.

The image needs docker: a stand-in takes what docker would get, and the context is compared with what the image copies.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from cli import __version__
from tests.docs.test_infra import copied, stages
from tests.infra.helm import ROOT, helm

SCRIPT = ROOT / "infra" / "release" / "make.py"


DOCKER = """#!/bin/sh
echo "$*" >>"$TOLD"
case "$1" in build) cat >"$TOLD.tar.gz" ;; image) echo sha256:0123 ;; esac
"""


def made(into: Path, *words: str, script: Path = SCRIPT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script), "--into", str(into), *words],
        env={**os.environ, "SEGMA_HELM": str(helm()), **environment},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def without_docker(folder: Path, *programs: str) -> str:
    """A path on which these programs are, and no docker."""
    folder.mkdir()
    for name in programs:
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    return str(folder)


def copy_of_the_checkout(into: Path) -> Path:
    """What git would know of the working tree, in a repository of its own: the build writes into it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, into / name)
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    for each in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *each], cwd=into, check=True, timeout=60)
    (into / "js-sdk" / "node_modules").symlink_to(ROOT / "js-sdk" / "node_modules")
    return into


def test_a_wheel_a_chart_and_their_sums(tmp_path: Path) -> None:
    done = made(tmp_path / "out", "--only", "wheel", "--only", "chart")
    assert done.returncode == 0, done.stderr
    wheel, chart = f"wheel/segma-{__version__}-py3-none-any.whl", f"chart/segma-{__version__}.tgz"
    assert [line.split()[1] for line in done.stdout.splitlines()] == [chart, wheel]
    with zipfile.ZipFile(tmp_path / "out" / wheel) as archive:
        names = archive.namelist()
        assert {"segma/__init__.py", "segma/rooms/console/static/editor.js"} <= set(names)
        assert [name for name in names if "/console/editor/" in name] == []
    with tarfile.open(tmp_path / "out" / chart) as archive:
        assert "segma/Chart.yaml" in archive.getnames()
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=tmp_path / "out",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    (tmp_path / "out" / chart).write_bytes(b"another")
    checked = subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS"], cwd=tmp_path / "out", capture_output=True, timeout=60, check=False
    )
    assert checked.returncode == 1


def test_nothing_is_made_among_other_files(tmp_path: Path) -> None:
    (tmp_path / "old.whl").touch()
    done = made(tmp_path, "--only", "wheel")
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["old.whl"]


def test_a_part_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--into", str(tmp_path), "--only", "chart"],
        env={**os.environ, "SEGMA_HELM": str(tmp_path / "no-helm")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("chart: ")
    assert not (tmp_path / "SHA256SUMS").exists()


@pytest.mark.slow
def test_the_sdks_package_and_the_bills_of_material_and_no_image_without_docker(tmp_path: Path) -> None:
    root = copy_of_the_checkout(tmp_path / "checkout")
    path = without_docker(tmp_path / "bin", "git", "node", "npm", "sh")
    out, script = tmp_path / "out", root / "infra" / "release" / "make.py"
    words = ("--only", "npm", "--only", "boms", "--only", "image")
    done = made(out, *words, script=script, PATH=path, PYTHONPATH=str(root))
    assert done.returncode == 0, done.stderr
    assert "no image: there is no docker here" in done.stderr
    package = f"npm/segma-{__version__}.tgz"
    assert [line.split()[1] for line in done.stdout.splitlines()] == [
        "boms/editor.cdx.json",
        "boms/python.cdx.json",
        "boms/sdk.cdx.json",
        package,
    ]
    with tarfile.open(out / package) as archive:
        assert {"package/dist/segma.js", "package/dist/types/index.d.ts", "package/LICENSE"} <= set(archive.getnames())


def test_docker_gets_what_the_image_copies_and_the_number_as_its_tag(tmp_path: Path) -> None:
    root = copy_of_the_checkout(tmp_path / "checkout")
    (root / "cli" / "later.py").write_text("nothing of a release's commit\n")
    folder = Path(without_docker(tmp_path / "bin", "git", "sh", "cat"))
    (folder / "docker").write_text(DOCKER)
    (folder / "docker").chmod(0o755)
    told, script = tmp_path / "told", root / "infra" / "release" / "make.py"
    words = ("--only", "context", "--only", "image")
    done = made(tmp_path / "out", *words, script=script, PATH=str(folder), TOLD=str(told))
    assert done.returncode == 0, done.stderr
    tag = f"segma:{__version__}"
    assert told.read_text().splitlines() == [
        f"build -f infra/Dockerfile -t {tag} -",
        f"image inspect -f {{{{.Id}}}} {tag}",
    ]
    assert (tmp_path / "out" / "image" / "image.txt").read_text() == "sha256:0123\n"
    context = tmp_path / "out" / "context" / f"segma-{__version__}-context.tar.gz"
    assert Path(f"{told}.tar.gz").read_bytes() == context.read_bytes()
    with tarfile.open(context) as archive:
        held = {each.name for each in archive.getmembers() if each.isfile()}
    copied_by_the_image = {name for stage in stages() for name in copied(stage)}
    known = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout.split()
    wanted = {each for each in known for name in copied_by_the_image if each == name or each.startswith(f"{name}/")}
    assert held == wanted | {"infra/Dockerfile"}
