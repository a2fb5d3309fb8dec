"""``segma compile``: the flows' pure parts as machine code, by mypyc. The Python source stays the truth.

What comes of it is a copy of the rooms with compiled modules beside the same sources: put first on Python's path it is
imported instead (``./segma`` does so while it is as new as the source). docs/adr/0006 says what it brings.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Final

import click

from cli.output import Exit, err, fail

ROOMS: Final = ("analytics", "cli", "collector", "console", "contracts", "flows", "sinks", "transport")
MODULES: Final = (
    "contracts/bodies",
    "contracts/properties",
    "flows/counts/run_counts",
    "flows/counts/tally",
    "flows/derived/sessions",
    "flows/language/compile",
    "flows/language/operators",
    "flows/language/paths",
    "flows/machine/compiled",
    "flows/machine/correlation",
    "flows/machine/earlier",
    "flows/machine/index",
    "flows/machine/machine",
    "flows/machine/program",
    "flows/machine/state_codec",
    "flows/machine/tree",
    "flows/operators/device_group",
    "flows/operators/key_group",
    "flows/operators/regroup",
    "flows/recognise",
    "flows/state/arena",
    "flows/state/entry",
    "flows/state/recency",
    "flows/state/store",
    "flows/state/timers",
    "flows/subscriber/decide",
    "flows/subscriber/engine",
    "flows/subscriber/evidence",
    "flows/subscriber/generations",
    "flows/subscriber/merging",
    "flows/subscriber/noting",
    "flows/subscriber/reapply",
    "flows/subscriber/steps",
    "flows/subscriber/subscriber",
    "flows/subscriber/timeline",
    "flows/subscriber/timeline_codec",
    "flows/subscriber/weaving",
    "flows/subscriber/wishes",
    "flows/subscriber/woven",
)
"""NOTE: what holds msgspec's classes stays Python (msgspec reads their annotations)."""

_SETUP: Final = """
from mypyc.build import mypycify
from setuptools import setup

setup(name="segma-compiled", packages=[], package_dir={{"": "."}}, ext_modules=mypycify({arguments!r}, opt_level="3"))
"""


HEADERS_PACKAGE: Final = f"python{sys.version_info.major}.{sys.version_info.minor}-dev"
"""Of Debian and Ubuntu, with this Python's headers; a Python from elsewhere brings its own."""


def python_headers() -> bool:
    """Return whether Python's headers are here, which the compiled modules include."""
    return Path(sysconfig.get_path("include"), "Python.h").is_file()


@click.command(name="compile")
@click.argument("into", type=click.Path(path_type=Path, file_okay=False))
def compile_command(into: Path) -> None:
    """Compile the machine INTO a directory, which then holds all the rooms.

    Needs a C compiler and Python's headers. Without them, or without this command, everything works the same, slower.
    """
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        fail("there is no C compiler; nothing needs one, the flow is slower without", Exit.UNAVAILABLE)
    if not python_headers():
        fail(f"Python's headers are not here (Debian, Ubuntu: apt install {HEADERS_PACKAGE})", Exit.UNAVAILABLE)
    source = Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory(prefix="segma-compile-") as directory:
        work = Path(directory)
        ignored = shutil.ignore_patterns("*.so", "__pycache__", "node_modules")
        for room in ROOMS:
            shutil.copytree(source / room, work / room, ignore=ignored)
        compiled(work)
        install(work, into)
    err.print(f"compiled {len(MODULES)} modules into {into}", markup=False)


def install(work: Path, into: Path) -> None:
    """Put the compiled copy at ``into`` at once: who starts meanwhile finds the old one, or the new one whole."""
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{into.name}.", dir=into.parent) as directory:
        fresh, old = Path(directory) / "new", Path(directory) / "old"
        for room in ROOMS:
            shutil.copytree(work / room, fresh / room)
        for library in work.glob("*.so"):
            shutil.copy2(library, fresh)
        if into.exists():
            into.rename(old)
        fresh.rename(into)


def compiled(work: Path) -> None:
    """Compile the copy of the rooms in ``work``, in place."""
    (work / "mypy.ini").write_text("[mypy]\nexplicit_package_bases = True\nnamespace_packages = True\n")
    arguments = ["--config-file=mypy.ini", "--ignore-missing-imports"]
    arguments += [f"{module}.py" for module in MODULES]
    (work / "setup.py").write_text(_SETUP.format(arguments=arguments))
    with err.status("compiling …"):
        done = subprocess.run(
            [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"],
            cwd=work,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": _path(), "MYPYPATH": str(work)},
        )
    if done.returncode:
        err.print(done.stdout[-4_000:] + done.stderr[-4_000:], markup=False)
        fail("the machine could not be compiled; the compiler's words stand above", Exit.PROBLEMS)


def _path() -> str:
    found = {str(Path(tool).parent) for tool in map(shutil.which, ("cc", "gcc", "clang", "ld", "as")) if tool}
    return ":".join(sorted(found))
