"""Rules for the whole suite, and the one Kafka broker that its tests share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.broker import Broker, missing

SOURCE = Path(__file__).resolve().parents[1] / "src"


def pytest_configure() -> None:
    """Let the processes that tests start find the source, as pytest itself does by its settings."""
    before = os.environ.get("PYTHONPATH", "")
    if str(SOURCE) not in before.split(os.pathsep):
        os.environ["PYTHONPATH"] = os.pathsep.join([str(SOURCE), before] if before else [str(SOURCE)])


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """End red on CI where anything was skipped: what is not run there is run nowhere. Stop what the session shared."""
    mailman = sys.modules.get("tests.sinks.simulator.mailman")
    if mailman is not None:
        mailman.stop_real()
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    skipped = len(reporter.stats.get("skipped", []))
    if skipped and os.environ.get("CI") and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line(f"{skipped} test(s) skipped: CI must run them all", red=True)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A running broker: nobody kills this one. Installations on it are kept apart by their prefixes."""
    if lacking := missing():
        pytest.skip(f"a real Kafka needs {lacking}: install them (Debian: default-jre-headless, maven)")
    made = Broker(tmp_path_factory.mktemp("kafka"))
    made.start()
    yield made
    made.stop()
