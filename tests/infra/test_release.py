"""``infra/release/make.py`` makes what docs/releasing.md says, with checksums. The parts that take long are built by
other tests anyway: the site, the SDK; the image needs docker.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from cli import __version__
from tests.infra.helm import ROOT, helm

SCRIPT = ROOT / "infra" / "release" / "make.py"


def made(into: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), "--into", str(into), *words],
        env={**os.environ, "SEGMA_HELM": str(helm())},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_a_wheel_a_chart_and_their_sums(tmp_path: Path) -> None:
    done = made(tmp_path / "out", "--only", "wheel", "--only", "chart")
    assert done.returncode == 0, done.stderr
    wheel, chart = f"wheel/segma-{__version__}-py3-none-any.whl", f"chart/segma-{__version__}.tgz"
    assert [line.split()[1] for line in done.stdout.splitlines()] == [chart, wheel]
    with zipfile.ZipFile(tmp_path / "out" / wheel) as archive:
        assert "segma/__init__.py" in archive.namelist()
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
