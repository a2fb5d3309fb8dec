"""``segma docs``: the manual as a site, built by Sphinx with every warning an error (docs/adr/0030)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click

from cli.output import Exit, err, fail


def built(root: Path, into: Path) -> subprocess.CompletedProcess[str]:
    """Build the site from ``docs/``; exit status 1 where a page, a link or an anchor is wrong."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", root / "docs", into]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)


@click.command(name="docs")
@click.option(
    "--into", type=click.Path(path_type=Path, file_okay=False), help="Where the pages go.  [default: docs/build]"
)
def docs_command(into: Path | None) -> None:
    """Build the manual as a site of pages that need no other host. Needs a checkout."""
    root = Path(os.environ.get("SEGMA_ROOT", ".")).resolve()
    if not (root / "docs" / "conf.py").is_file():
        fail("the manual is in the project's checkout, not in an installed package; clone it", Exit.USAGE)
    target = into or root / "docs" / "build"
    with err.status("building the manual …"):
        done = built(root, target)
    if done.returncode:
        err.print(done.stderr, markup=False)
        fail("the manual has mistakes; they stand above", Exit.PROBLEMS)
    err.print(f"open {target / 'index.html'}", markup=False)
