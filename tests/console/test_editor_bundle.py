"""The editor that the console serves is what its source and its lock file make, byte by byte."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CONSOLE = Path(__file__).resolve().parents[2] / "console"
MADE = ("editor.js", "editor.licences.txt")


def test_the_editor_is_made_of_its_source(tmp_path: Path) -> None:
    source, out = tmp_path / "editor", tmp_path / "out"
    shutil.copytree(CONSOLE / "editor", source, ignore=shutil.ignore_patterns("node_modules"))
    out.mkdir()
    npm = shutil.which("npm") or "npm"
    for words in (["ci", "--ignore-scripts"], ["run", "check"], ["run", "build", "--", str(out)]):
        done = subprocess.run([npm, *words], cwd=source, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    differing = [name for name in MADE if (out / name).read_bytes() != (CONSOLE / "static" / name).read_bytes()]
    assert differing == [], "run `npm ci && npm run build` in console/editor"
