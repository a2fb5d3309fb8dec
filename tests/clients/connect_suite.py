"""clickhouse-connect's own integration tests against the embedded server.

::

    python -m tests.clients.connect_suite [SOURCE]

``SOURCE`` is a clone of clickhouse-connect's repository (or its git directory), else it is cloned. Its tests are taken
at the tag :data:`TAG` and run with the released package of that version, in an environment of its own. Prints how many
passed and failed, and each failure; ends with 1 where more than :data:`MOST_FAILURES` failed, or one is not named in
``docs/analytics.md``.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

import click

from tests.analytics.embedded import Embedded
from tests.clients import venvs

TAG: Final = "v1.7.2"
REPOSITORY: Final = "https://github.com/ClickHouse/clickhouse-connect"
MOST_FAILURES: Final = 15
PAGE: Final = venvs.ROOT / "docs" / "analytics.md"
HERE: Final = Path(__file__).parent


class Failure(NamedTuple):
    """A test that failed: ``file::name[parameters]``, and the first line of why."""

    test: str
    why: str


class Outcome(NamedTuple):
    """What became of the tests. ``counts``: by ``passed``, ``failed`` and ``skipped``."""

    counts: Counter[str]
    failures: list[Failure]


def unpack_tests(source: str, into: Path) -> None:
    """Lay the tests of the tag into a folder. Raises :class:`subprocess.CalledProcessError`."""
    if not Path(source).exists():
        clone = into / "clone"
        command = ["git", "clone", "--quiet", "--bare", "--depth", "1", "--branch", TAG, source, str(clone)]
        subprocess.run(command, check=True)
        source = str(clone)
    packed = subprocess.run(
        ["git", "-C", source, "archive", TAG, "tests", "pyproject.toml"], check=True, capture_output=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(into, filter="data")


def run_tests(folder: Path, server: Embedded, python: Path, chosen: tuple[str, ...]) -> Outcome:
    """Run the tests in ``folder`` against a running server, one after another."""
    report = folder / "report.xml"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))},
        "CLICKHOUSE_CONNECT_TEST_HOST": "127.0.0.1",
        "CLICKHOUSE_CONNECT_TEST_PORT": str(server.port),
        "CLICKHOUSE_CONNECT_TEST_USER": "segma",
        "CLICKHOUSE_CONNECT_TEST_PASSWORD": server.passwords["segma"],
    }
    # NOTE: Python's own tracebacks: pytest's parse the source at each failure, which fails deep in a stack.
    options = ["-v", "-o", "addopts=", "--tb=native", "-W", "ignore", "--timeout", "180"]
    subprocess.run(
        [str(python), "-m", "pytest", *options, f"--junitxml={report}", *(chosen or ("tests/integration_tests",))],
        cwd=folder,
        env=environment,
        check=False,
    )
    return read_report(report)


def read_report(report: Path) -> Outcome:
    """Read a JUnit report."""
    counts, failures = Counter[str](), list[Failure]()
    for case in ET.parse(report).iter("testcase"):
        fault = next((each for each in case if each.tag in {"failure", "error"}), None)
        skipped = case.find("skipped") is not None
        counts["failed" if fault is not None else "skipped" if skipped else "passed"] += 1
        if fault is not None:
            file = case.get("classname", "").replace(".", "/").removeprefix("tests/integration_tests/")
            told = (fault.get("message") or "").strip() or (fault.text or "").strip()
            failures.append(Failure(f"{file}::{case.get('name')}", told.splitlines()[0][:200] if told else ""))
    return Outcome(counts, failures)


def unnamed(failures: list[Failure], page: str) -> list[Failure]:
    """The failures whose test the page does not name."""
    return [each for each in failures if f"`{each.test.partition('::')[2].partition('[')[0]}`" not in page]


@click.command()
@click.argument("source", default=REPOSITORY)
@click.option("--only", multiple=True, help="A file of its tests, or tests/integration_tests/FILE::NAME.")
def main(source: str, only: tuple[str, ...]) -> None:
    """Run clickhouse-connect's own integration tests against a server of their own."""
    python = venvs.made("connect-suite", HERE / "python" / "connect-suite.txt")
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        unpack_tests(source, folder)
        server = Embedded(folder)
        server.start()
        try:
            outcome = run_tests(folder, server, python, only)
        finally:
            server.stop()
    for each in outcome.failures:
        click.echo(f"{each.test}\n    {each.why}")
    click.echo(", ".join(f"{outcome.counts[name]} {name}" for name in ("passed", "failed", "skipped")))
    strange = unnamed(outcome.failures, PAGE.read_text("utf-8"))
    for each in strange:
        click.echo(f"not named in docs/analytics.md: {each.test}")
    sys.exit(bool(strange) or outcome.counts["failed"] > MOST_FAILURES)


if __name__ == "__main__":
    main()
