"""Starting and stopping processes: what a start waits for, when it gives up, and what it says of both."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import structlog

from cli import supervise as supervision
from cli.flow_readiness import FlowReadiness
from cli.supervise import ManagedProcess, NotReady, running, supervise
from contracts.codec import to_json
from contracts.events import LogTime
from contracts.log import Log, Outgoing
from contracts.topics import EVENTS, fixed_topics
from transport import open_log
from transport.config import Settings

pytestmark = pytest.mark.slow

SLEEPS = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)")


def test_what_clients_meet_while_all_starts_is_not_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log_line = structlog.get_logger("transport")
    asked = itertools.count()

    def answers(_pid: int) -> bool:
        log_line.warning("kafka", detail="1/1 brokers are down")
        return next(asked) > 2

    with supervise(tmp_path, [ManagedProcess("slow", SLEEPS, answers)]):
        log_line.warning("kafka", detail="the broker has gone")
    assert capsys.readouterr().out.count("kafka") == 1


def test_a_slow_start_is_waited_for_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "TELL_EVERY_S", 0.2)
    asked = itertools.count()
    said: list[str] = []
    slow = ManagedProcess("slow", SLEEPS, lambda _pid: next(asked) > 20)
    with supervise(tmp_path, [slow], say=said.append) as supervised:
        assert supervised.pid("slow") > 0
    assert any(line.startswith("still waiting for slow (") for line in said)
    assert said[-1] == "slow is ready"
    assert running(tmp_path) is None


def test_what_ends_again_and_again_has_failed_with_its_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "MAX_ENDS", 1)
    ends = ManagedProcess("ends", (sys.executable, "-c", "raise SystemExit('no such listener')"), lambda _pid: False)
    with pytest.raises(NotReady, match=r"ends did not start.*no such listener"), supervise(tmp_path, [ends]):
        pass
    assert running(tmp_path) is None


def test_a_sigterm_while_it_starts_stops_what_was_started(tmp_path: Path) -> None:
    def told_to_end(_pid: int) -> bool:
        os.kill(os.getpid(), signal.SIGTERM)
        return False

    with pytest.raises(SystemExit), supervise(tmp_path, [ManagedProcess("never", SLEEPS, told_to_end)]):
        pass
    assert running(tmp_path) is None


def test_what_was_stopped_from_elsewhere_while_it_started_is_told(tmp_path: Path) -> None:
    def stop(_pid: int) -> bool:
        found = running(tmp_path)
        if found is not None:
            found.shutdown()
        return False

    with (
        pytest.raises(NotReady, match="stopped while never"),
        supervise(tmp_path, [ManagedProcess("never", SLEEPS, stop)]),
    ):
        pass


def test_all_are_told_to_stop_at_once(tmp_path: Path) -> None:
    """Each ends by itself once all have been told: told one after the other, none but the last would."""
    names = ("one", "two", "three")
    body = f"""
import pathlib, signal, time
here = pathlib.Path({str(tmp_path)!r})
def told(*_):
    (here / "NAME.told").touch()
    while not all((here / f"{{each}}.told").exists() for each in {names!r}):
        time.sleep(0.01)  # three processes that know of each other by files alone
    (here / "NAME.ended").touch()
    raise SystemExit
signal.signal(signal.SIGTERM, told)
(here / "NAME.up").touch()
signal.pause()
"""
    programs = [
        ManagedProcess(name, (sys.executable, "-c", body.replace("NAME", name)), _is_there(tmp_path / f"{name}.up"))
        for name in names
    ]
    with supervise(tmp_path, programs):
        pass
    assert all((tmp_path / f"{name}.ended").exists() for name in names)


def test_what_does_not_stop_in_time_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "STOP_TIMEOUT_S", 0.5)
    deaf = f"""
import pathlib, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path({str(tmp_path)!r}, "deaf.up").touch()
signal.pause()
"""
    program = ManagedProcess("deaf", (sys.executable, "-c", deaf), _is_there(tmp_path / "deaf.up"))
    with supervise(tmp_path, [program]) as supervised:
        process = psutil.Process(supervised.pid("deaf"))
    process.wait(60)
    assert not process.is_running()


def _is_there(path: Path) -> Callable[[int], bool]:
    return lambda _pid: path.exists()


def test_a_stop_from_elsewhere_is_known_at_once(tmp_path: Path) -> None:
    with supervise(tmp_path, [ManagedProcess("one", SLEEPS)]) as supervised:
        supervised.shutdown()
        assert supervised.ended.wait(60)


def test_commands_and_variables_reach_a_process_as_they_are(tmp_path: Path) -> None:
    value = "50% 'of' \"it\"; # $HOME `id` %(here)s \\ ü"
    show = (
        sys.executable,
        "-c",
        "import os, sys, time; print(os.environ['GIVEN'], sys.argv[1], flush=True); time.sleep(600)",
        value,
    )
    log = tmp_path / "logs" / "show.log"

    def has_shown(_pid: int) -> bool:
        return log.exists() and log.read_text("utf-8").endswith("\n")

    process = ManagedProcess("show", show, has_shown, {"GIVEN": value})
    with supervise(tmp_path, [process]):
        assert log.read_text(encoding="utf-8") == f"{value} {value}\n"


@pytest.fixture
def log(tmp_path: Path) -> Log:
    opened = open_log(Settings(data=tmp_path))
    opened.ensure(fixed_topics())
    return opened


def pass_on(log: Log, source: int, at_ms: int) -> None:
    log.publisher().publish([Outgoing(EVENTS, b"", to_json(LogTime(source, at_ms)), partition=0)])


def test_a_flow_is_ready_once_it_has_outlived_what_it_worked_off(tmp_path: Path, log: Log) -> None:
    ready = FlowReadiness(Settings(data=tmp_path), 0, 1)
    pass_on(log, 0, 1_000)
    assert not ready(7)
    pass_on(log, 0, 2_000)
    assert not ready(7)
    pass_on(log, 0, 3_000)
    assert not ready(8), "another life: what came before it says nothing of it"
    pass_on(log, 0, 4_000)
    assert not ready(8)
    assert not ready(8)
    pass_on(log, 0, 5_000)
    assert ready(8)


def test_a_flow_is_judged_by_its_own_partitions(tmp_path: Path, log: Log) -> None:
    first, second = (FlowReadiness(Settings(data=tmp_path), index, 2) for index in (0, 1))
    for at_ms in (1_000, 2_000, 3_000):
        pass_on(log, 2, at_ms)
        answers = first(7), second(8)
    assert answers == (True, False)
