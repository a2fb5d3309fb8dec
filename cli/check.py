"""``segma test``: the project's own tests, as CI runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from cli.output import Exit, err, fail


def checks(root: Path, *, fast: bool) -> list[tuple[str, list[str], Path]]:
    """What ``segma test`` runs: a name, a command, and the directory to run it in."""
    python = sys.executable
    pytest = [python, "-m", "pytest", "-q"]
    if fast:
        pytest += ["-m", "not slow and not browser"]
    npm = shutil.which("npm") or "npm"
    return [
        ("ruff", [python, "-m", "ruff", "check", "."], root),
        ("format", [python, "-m", "ruff", "format", "--check", "."], root),
        ("mypy", [python, "-m", "mypy"], root),
        ("typescript", [npm, "run", "--silent", "check"], root / "js-sdk"),
        ("sdk tests", [npm, "test", "--silent"], root / "js-sdk"),
        ("tests", pytest, root),
    ]


def run_checks(steps: Sequence[tuple[str, list[str], Path]]) -> list[str]:
    """Run each step with its output passed through; the names of those that failed."""
    failed = []
    for name, command, directory in steps:
        err.rule(name)
        if subprocess.run(command, cwd=directory, check=False).returncode != 0:
            failed.append(name)
    return failed


@click.command()
@click.option("--fast", is_flag=True, help="Leave out what searches, kills, or drives a browser.")
def test_command(fast: bool) -> None:
    """Run linters, type checkers and every test. Needs a checkout; `./segma test` installs what it needs."""
    root = Path(os.environ.get("SEGMA_ROOT", "."))
    if not (root / "tests").is_dir():
        fail("the tests are in the project's checkout, not in an installed package; clone it", Exit.USAGE)
    failed = run_checks(checks(root, fast=fast))
    if failed:
        fail(f"failed: {', '.join(failed)}", Exit.PROBLEMS)
    err.print("everything passed")
