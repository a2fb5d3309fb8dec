"""Checkouts, compiled or not, whose processes are run and whose processor time is counted, beside each other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import click
import psutil

import contracts

SAMPLER: Final = Path(__file__).with_name("way_sampler.py")


class Build(NamedTuple):
    """A checkout whose processes are run."""

    name: str
    path: Path
    package: str

    @classmethod
    def at(cls, name: str, directory: Path) -> Build:
        """The build of a checkout, or what was compiled of it; of the layout before 0.2 too.

        Raises :class:`click.BadParameter`.
        """
        for path, package in ((directory, ""), (directory / "src", "segma."), (directory, "segma.")):
            if (path / f"{package.replace('.', '/')}flows" / "__main__.py").is_file():
                return cls(name, path.resolve(), package)
        raise click.BadParameter(f"{directory} holds no checkout of Segma")


def deployed() -> Build:
    """What runs here, as it is deployed: compiled where a compiled machine is there."""
    return Build.at("now", Path(str(contracts.__file__)).parents[1])


@contextmanager
def process(build: Build, module: str, home: Path, more: Mapping[str, str], into: Path | None = None) -> Iterator[int]:
    """A process of a build on a home; yields its id, and ends it.

    ``more``: variables of its environment. ``into``: where it says where its time went.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": str(build.path),
        "SEGMA_CONFIG": str(home / "segma.yaml"),
        "SEGMA_DATA": str(home / "data"),
        "SEGMA_EPOCH_MS": "10000",
        **more,
    }
    name, *words = module.split()
    sampled = ["-P", str(SAMPLER), str(into)] if into else ["-m"]
    with (home / f"{name}.log").open("ab") as output:
        started = subprocess.Popen(
            [sys.executable, *sampled, f"{build.package}{name}", *words],
            env=environment,
            stdout=output,
            stderr=output,
            umask=0o077,  # a home that is open to others is refused here, and builds of before make such
        )
    try:
        yield started.pid
    finally:
        started.terminate()
        try:
            started.wait(60)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait(10)


def spent_s(pid: int) -> float:
    """User and system time so far of a process and of those that it started and that live."""
    own = psutil.Process(pid)
    times = [each.cpu_times() for each in (own, *own.children(recursive=True))]
    return sum(each.user + each.system for each in times)
