"""``segma up`` as a person uses it: start, a second start, Ctrl-C, and again with the data still there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from cli.supervise import only_one
from cli.up import LocalAddresses, metrics_of
from contracts.topics import BEACONS
from tests.e2e.test_demo import free_base
from transport import open_log
from transport.config import Settings

pytestmark = pytest.mark.alone

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
token_keys: {file: keys}
workspaces:
  demo:
    secret: {file: secret}
    sites: {shop: {key: shop-key, origins: ["http://shop.test"]}}
    accounts: {mailbox: {sink: file}}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "segma.yaml").write_text(CONFIG)
    (tmp_path / "secret").write_text("s" * 40)
    (tmp_path / "keys").write_text(f"k1 {'ab' * 64}\n")
    return tmp_path


def command(home: Path, *words: str) -> tuple[list[str], dict[str, str]]:
    environment = {**os.environ, "SEGMA_ROOT": str(ROOT), "PYTHONPATH": str(ROOT)}
    return [sys.executable, "-m", "cli", *words, "--home", str(home)], environment


@contextmanager
def up(home: Path, base: int, *more: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """A running installation and its addresses; ended by Ctrl-C, which must be clean."""
    words, environment = command(home, "up", "--json", "--port-base", str(base), *more)
    process = subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield process, json.loads(line)["addresses"]
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said


def beacon(number: int, action: str = "page_viewed", properties: dict[str, str] | None = None, **more: str) -> bytes:
    now_ms = 1_800_000_000_000
    event = {"event_id": f"e{number}", "action": action, "occurred_at_ms": now_ms, "properties": properties or {}}
    whole = {"site": "shop-key", "device": "d", "sent_at_ms": now_ms, "events": [event], **more}
    return json.dumps(whole).encode()


def send(addresses: dict[str, str], body: bytes) -> None:
    sent = requests.post(
        f"{addresses['collector']}/v1/beacons", data=body, headers={"Origin": "http://shop.test"}, timeout=10
    )
    assert sent.status_code == 204


@pytest.mark.slow
def test_up_runs_once_stops_cleanly_and_keeps_the_data(home: Path) -> None:
    base = free_base()
    for number in range(2):
        with up(home, base) as (_, addresses):
            send(addresses, beacon(number))
            assert requests.get(f"{addresses['console']}/health", timeout=10).ok
            words, environment = command(home, "up", "--port-base", str(base))
            second = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
            assert second.returncode == 4
            assert "run" in second.stderr
            assert str(home) in second.stderr.replace("\n", "")
    log = open_log(Settings(data=home / "data"))
    records = [record for record in log.reader(BEACONS).poll(1_000) if not record.is_tick]
    log.close()
    assert [b'"e0"' in (record.value or b"") or b'"e1"' in (record.value or b"") for record in records] == [True, True]


@pytest.mark.slow
@pytest.mark.parametrize("name", ['50% off; it\'s #1 "best" $HOME `x` (a) %(here)s'])
def test_a_home_may_have_any_name_and_down_ends_up(tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    home.mkdir()
    (home / "segma.yaml").write_text(CONFIG)
    (home / "secret").write_text("s" * 40)
    (home / "keys").write_text(f"k1 {'ab' * 64}\n")
    with up(home, free_base()) as (process, addresses):
        assert requests.get(f"{addresses['console']}/health", timeout=10).ok
        words, environment = command(home, "down")
        subprocess.run(words, env=environment, capture_output=True, timeout=120, check=True)
        with only_one(home):  # as the backup or the rescale that is typed next
            pass
        assert process.wait(60) == 0


LISTENER = """
listener: viewed-then-added
sequence: [{action: page_viewed}, {action: product_added}]
within: 1d
then: [{add: {to: hot, at: mailbox}}]
"""


def done(home: Path, *words: str) -> str:
    """A command that ends well; what it printed."""
    line, environment = command(home, *words)
    return subprocess.run(line, env=environment, stdout=subprocess.PIPE, text=True, timeout=120, check=True).stdout


@pytest.mark.slow
def test_what_was_begun_before_a_backup_is_completed_in_the_restored_home(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("another machine")
    (home / "listeners").mkdir()
    (home / "listeners" / "viewed.yaml").write_text(LISTENER)
    people = elsewhere / "people.csv"
    people.write_text("email\nann@shop.example\n")
    done(home, "import", "demo/mailbox", "newsletter", "--csv", str(people))
    token = json.loads(done(home, "link", "demo", "ann@shop.example", "--url", "http://shop.test/", "--json"))["token"]
    with up(home, free_base()) as (_, addresses):
        send(addresses, beacon(1, token=token))
    done(home, "backup", "--to", str(elsewhere / "segma.backup"))
    other = elsewhere / "home"
    done(other, "restore", str(elsewhere / "segma.backup"))
    hot = other / "data" / "lists" / "demo" / "mailbox" / "hot.txt"
    assert not hot.exists()
    with up(other, free_base()) as (_, addresses):
        send(addresses, beacon(2, "product_added", token=token))
        until = time.monotonic() + 60
        while not (hot.exists() and "ann@shop.example" in hot.read_text()):
            assert time.monotonic() < until, list((other / "data" / "lists").rglob("*"))
            time.sleep(0.05)


def test_down_says_when_nothing_runs(home: Path) -> None:
    words, environment = command(home, "down")
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "nothing runs" in done.stderr) == (1, True)


def test_a_home_without_a_file_is_told_in_a_sentence(tmp_path: Path) -> None:
    words, environment = command(tmp_path, "up")
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("given", "port", "urls"),
    [
        ({}, "8404", "http://127.0.0.1:8404/metrics"),
        ({"WORKERS": "2"}, "8404", "http://127.0.0.1:8404/metrics,http://127.0.0.1:8405/metrics"),
        ({"METRICS_PORT": "9000"}, "9000", "http://127.0.0.1:9000/metrics"),
        ({"METRICS_PORT": "0"}, "0", ""),
        ({"METRICS_URLS": "http://c.example/metrics"}, "8404", "http://c.example/metrics"),
    ],
)
def test_the_console_is_told_where_the_collector_serves_its_metrics(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], port: str, urls: str
) -> None:
    for name in ("WORKERS", "METRICS_PORT", "METRICS_URLS"):
        monkeypatch.delenv(f"SEGMA_COLLECTOR_{name}", raising=False)
    for name, value in given.items():
        monkeypatch.setenv(f"SEGMA_COLLECTOR_{name}", value)
    told = metrics_of(LocalAddresses.at(8400, shop=False))
    assert told == {"SEGMA_COLLECTOR_METRICS_PORT": port, "SEGMA_COLLECTOR_METRICS_URLS": urls}
