"""``promtool``, which tests Prometheus' rules: the system's, or that of Debian's package, unpacked only."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".segma" / "promtool"


@functools.cache
def promtool() -> Path:
    """The program; fetched once into the project's folder. Where it cannot be had the test is skipped: red on CI."""
    if found := os.environ.get("SEGMA_PROMTOOL") or shutil.which("promtool"):
        return Path(found)
    if not KEPT.exists():
        _fetch()
    return KEPT


def _fetch() -> None:
    if shutil.which("apt-get") is None:
        pytest.skip("promtool is neither installed nor to be had: install prometheus, or name it in SEGMA_PROMTOOL")
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT.parent) as folder:
        packages = _downloaded(Path(folder))
        if not packages and os.geteuid() == 0:  # a fresh machine has no list of packages yet
            subprocess.run(["apt-get", "update", "-qq"], check=False, timeout=200)
            packages = _downloaded(Path(folder))
        if not packages:
            pytest.skip("promtool cannot be fetched: install prometheus, or name it in SEGMA_PROMTOOL")
        subprocess.run(["dpkg", "-x", packages[0], folder], check=True, timeout=60)
        # NOTE: moved in one step, so that of two first uses neither sees half a program.
        (Path(folder) / "usr" / "bin" / "promtool").replace(KEPT)


def _downloaded(folder: Path) -> list[Path]:
    subprocess.run(["apt-get", "download", "-qq", "prometheus"], cwd=folder, check=False, timeout=200)
    return list(folder.glob("*.deb"))
