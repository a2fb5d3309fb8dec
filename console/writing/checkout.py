"""Commits of what the console writes, where the listeners' folder is a git checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

TIMEOUT_S: Final = 20
_OURS: Final = (
    "-c", f"core.hooksPath={os.devnull}", "-c", "commit.gpgSign=false", "-c", "user.name=Segma",
    "-c", "user.email=console@segma.invalid",
)  # fmt: skip
"""No hook of the checkout runs, no key is asked for, and the console is who commits."""


def committed(folder: Path, paths: Sequence[Path], user: str, message: str) -> str:
    """Commit these files and nothing else, with the user as author; what was wrong, empty if nothing.

    Outside a checkout, and for files that it ignores, nothing is done.
    """
    git = shutil.which("git")
    try:
        if git is None or _git(git, folder, "check-ignore", "-q", "--", str(paths[-1])).returncode != 1:
            return ""
        names = [str(each) for each in paths if each.exists() or _git(git, folder, "ls-files", "--", str(each)).stdout]
        added = _git(git, folder, "add", "-A", "--", *names)
        if added.returncode == 0 and not _git(git, folder, "diff", "--cached", "--quiet", "--", *names).returncode:
            return ""  # nothing of it has changed
        author = f"{user} <{user}@segma.invalid>"
        done = _git(git, folder, *_OURS, "commit", "-q", "--author", author, "-m", message, "--only", "--", *names)
    except (OSError, subprocess.SubprocessError) as error:
        return f"git: {type(error).__name__}"
    failed = next((each for each in (added, done) if each.returncode), None)
    return f"git: {' '.join(failed.stderr.split())[:300]}" if failed is not None else ""


def _git(git: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [git, "-C", str(folder), *words]
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=TIMEOUT_S,
        check=False,
    )
