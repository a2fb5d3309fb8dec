"""Rules for the whole suite, and what its tests share: one Kafka broker, one browser."""

from __future__ import annotations

import faulthandler
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from cli.needs import lacking, unmet
from tests.broker import Broker

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BROWSER = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--mute-audio"]
ROOT = Path(__file__).resolve().parents[1]

DESCRIPTORS = 8_192
"""One process makes and breaks hundreds of logs and state stores; many shells allow 1,024 descriptors."""


hypothesis.settings.register_profile("fast", max_examples=20)


def pytest_configure(config: pytest.Config) -> None:
    """Let the processes that tests start find the source, as pytest itself does; take the descriptors that we may."""
    config.stash[STDERR] = os.dup(2)  # a test's own is caught
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    before = os.environ.get("PYTHONPATH", "")
    if str(ROOT) not in before.split(os.pathsep):
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), before] if before else [str(ROOT)])


ENDING_S = 300.0
"""How long a test that failed may take to clean up, and a process of the tests to end behind its last test."""

STDERR = pytest.StashKey[int]()


def _end_with_stacks(config: pytest.Config) -> None:
    """End this process after ``ENDING_S`` with the stack of every thread, if it has not ended until then."""
    if config.pluginmanager.hasplugin("faulthandler"):
        faulthandler.dump_traceback_later(ENDING_S, exit=True, file=config.stash[STDERR])


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """Watch a failed test's clean-up: at an exception pytest stops its own watch (`faulthandler_timeout`)."""
    if isinstance(node, pytest.Item):
        _end_with_stacks(node.config)


NEEDED_BY_FIXTURE = {"broker": "broker", "browser": "browser", "embedded": "slow"}
"""``embedded``: the history's server, which takes seconds to start and for each database."""


def _runs_mailman(nodeid: str) -> bool:
    path, _, parameters = nodeid.partition("[")
    return path.startswith(("tests/conformance/", "tests/sinks/")) and "mailman" in parameters


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark who uses a fixture that needs something, before `-m` is applied."""
    for item in items:
        needed = [
            marker for fixture, marker in NEEDED_BY_FIXTURE.items() if fixture in getattr(item, "fixturenames", ())
        ]
        for marker in [*needed, *(["mailman"] if _runs_mailman(item.nodeid) else [])]:
            item.add_marker(marker)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave out the tests whose needs this machine cannot meet, and say what to type; `segma test` brings them."""
    markers = frozenset(marker.name for item in session.items for marker in item.iter_markers())
    brings = os.environ.get("SEGMA_TEST_BRINGS") and not hasattr(session.config, "workerinput")
    for need in lacking(markers) if brings else unmet(markers):
        for item in session.items:
            if item.get_closest_marker(need.marker):
                item.add_marker(pytest.mark.skip(reason=f"needs {need.name}: {need.command}"))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """End red on CI where anything was skipped: what is not run there is run nowhere. Stop what the session shared."""
    _end_with_stacks(session.config)
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
    made = Broker(tmp_path_factory.mktemp("kafka"))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The suite's one Chromium: the driver allows one in a process."""
    from playwright.sync_api import sync_playwright

    from cli.browser import find_browser

    executable = find_browser()
    assert executable, "these tests need Chromium: see `segma doctor`"
    with sync_playwright() as playwright:
        # NOTE: the driver switches the browser's back/forward cache off, which people have on.
        launched = playwright.chromium.launch(
            executable_path=executable, args=BROWSER, ignore_default_args=["--disable-back-forward-cache"]
        )
        yield launched
        launched.close()
