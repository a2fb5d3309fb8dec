"""``segma test``: the project's own tests, as CI runs them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click

from cli.needs import NEEDS, Need, lacking
from cli.output import Exit, err, fail
from cli.root import checkout

ALONE: Final = "alone"
"""Tests that kill the processes which they start at work, beside which nothing runs; all others run side by side."""
BROWSERS: Final = "browser or firefox or webkit"
"""Tests in browsers, each of which is started once."""
SLOW: Final = f"slow or alone or {BROWSERS} or broker or compiler or mailman or sympa or clients"
"""What ``--fast`` leaves out."""
SLOWEST: Final = 30
"""So many tests of each step are named with their time: what to look at before the whole takes too long."""


@dataclass(frozen=True, slots=True)
class Check:
    """One step of ``segma test``: a command, and the directory to run it in."""

    name: str
    command: list[str]
    directory: Path
    environment: dict[str, str] = field(default_factory=dict)
    beside: tuple[Check, ...] = ()
    """What runs meanwhile, one after another; what they say stands behind what this one says."""

    def run(self, kept: dict[str, str], *, gather: bool = False) -> subprocess.CompletedProcess[bytes]:
        """Run it to its end; what it says is passed through, or gathered."""
        output, errors = (subprocess.PIPE, subprocess.STDOUT) if gather else (None, None)
        environment = {**os.environ, **kept, **self.environment}
        return subprocess.run(
            self.command, cwd=self.directory, env=environment, stdout=output, stderr=errors, check=False
        )


def checks(root: Path, *, fast: bool) -> list[Check]:
    """Return the steps of ``segma test``, in order."""
    python = sys.executable
    slowest = f"--durations={SLOWEST}"
    npm = shutil.which("npm") or "npm"
    beside = ["-n", "auto", "--dist", "worksteal", slowest]
    quick = [
        Check("ruff", [python, "-m", "ruff", "check", "."], root),
        Check("format", [python, "-m", "ruff", "format", "--check", "."], root),
        Check("sdk tests", [npm, "test", "--silent"], root / "js-sdk"),
    ]
    types = (  # of one processor each
        Check("typescript", [npm, "run", "--silent", "check"], root / "js-sdk"),
        Check("mypy", [python, "-m", "mypy"], root),
    )
    if fast:
        return [
            *quick,
            pytest(root, "tests", *beside, "-m", f"not ({SLOW})", "--hypothesis-profile=fast", meanwhile=types),
        ]
    return [
        *quick,
        pytest(root, "tests side by side", *beside, "-m", f"not ({BROWSERS}) and not {ALONE}", meanwhile=types),
        # NOTE: the driver's event loop stays in the process for good, and other rooms' tests fail beside it.
        pytest(root, "tests in browsers", slowest, "-m", f"({BROWSERS}) and not {ALONE}"),
        pytest(root, "tests of processes", slowest, "-m", ALONE),
    ]


def pytest(root: Path, name: str, *words: str, meanwhile: tuple[Check, ...] = ()) -> Check:
    """Tests by pytest, which leaves out what cannot run here."""
    return Check(name, [sys.executable, "-m", "pytest", "-q", *words], root, beside=meanwhile)


@contextlib.contextmanager
def kept_bytecode() -> Iterator[dict[str, str]]:
    """Give Python a folder for its bytecode where it may keep none beside the source, as in many an image.

    Without one, each of the thousands of processes that the tests start compiles all that it imports.
    """
    if not sys.dont_write_bytecode:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="segma-bytecode-", ignore_cleanup_errors=True) as folder:
        yield {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": folder}


def run_checks(steps: Sequence[Check]) -> list[str]:
    """Run each step with its output passed through. Return the names of those that failed."""
    failed = []
    with kept_bytecode() as kept:
        for step in steps:
            err.rule(step.name)
            with ThreadPoolExecutor(1) as aside:
                meanwhile = aside.map(lambda other: other.run(kept, gather=True), step.beside)
                ended = [(step, step.run(kept)), *zip(step.beside, meanwhile, strict=True)]
            for other, done in ended[1:]:
                err.rule(other.name)
                sys.stdout.write(done.stdout.decode(errors="replace"))
                sys.stdout.flush()
            failed += [each.name for each, done in ended if done.returncode != 0]
    return failed


def say_lacking(needs: Sequence[Need]) -> None:
    """Name what could not be brought, and what to type for it."""
    for need in needs:
        err.print(f"without {need.name}, the tests marked `{need.marker}` are left out: {need.command}", markup=False)


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--fast", is_flag=True, help="Leave out what searches or kills, and what needs a browser or a broker.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def test_command(fast: bool, words: tuple[str, ...]) -> None:
    """Run linters, type checkers and every test; with WORDS (files, or what else pytest takes), those tests alone.

    Needs a checkout. What the tests need and this machine lacks is brought first: packages of the system by its package
    manager (as root or by sudo without a password), all else into the project's folder.
    """
    root = checkout()
    if not (root / "tests").is_dir():
        fail("the tests are in the project's checkout, not in an installed package; clone it", Exit.USAGE)
    if words:
        leave_out = ("-m", f"not ({SLOW})") if fast else ()
        asked = Check("tests", pytest(root, "tests", *leave_out, *words).command, root, {"SEGMA_TEST_BRINGS": "yes"})
        sys.exit(Exit.PROBLEMS if run_checks([asked]) else Exit.OK)
    left = [] if fast else lacking(frozenset(need.marker for need in NEEDS))
    say_lacking(left)
    failed = run_checks(checks(root, fast=fast))
    say_lacking(left)
    if failed:
        fail(f"failed: {', '.join(failed)}", Exit.PROBLEMS)
    err.print("everything passed" if not left else "everything that could run here passed")
