"""The image's processes under the user, folders and modes of the compose file and of the chart, without Docker."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from cli.init import init_command
from tests.infra.unprivileged import as_a_user
from tests.ports import free_port
from tests.recovery.world import SILENCE_S

pytestmark = pytest.mark.alone

ROOT = Path(__file__).resolve().parents[2]
FOREIGN = 12_345
"""Root's in a container: whom the image's user is not."""
PROCESSES = (["collector"], ["flows"], ["sinks", "--account", "main/mailbox"], ["console"])


def written_by_init(home: Path) -> None:
    """A home as ``segma init`` writes it, on a host with the usual mask."""
    before = os.umask(0o022)
    try:
        init_command.main(["--home", str(home), "--origin", "https://shop.example"], standalone_mode=False)
    finally:
        os.umask(before)


def read_only(home: Path) -> None:
    """Take the right to write from every folder and file, as a mount that is read only does."""
    for path in (home, *home.rglob("*")):
        path.chmod(path.stat().st_mode & 0o555)


@contextmanager
def started(before: Sequence[str], home: Path, data: Path, output: Path) -> Iterator[tuple[str, list[int | None]]]:
    """Every process of the image, once collector and console answer; their address, and how those ended that did."""
    port = free_port((0, 1))
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SEGMA_CONFIG": str(home / "segma.yaml"),
        "SEGMA_DATA": str(data),
        "SEGMA_SDK": str(ROOT / "js-sdk" / "dist" / "segma.js"),
        "SEGMA_COLLECTOR_PORT": str(port),
        "SEGMA_CONSOLE_PORT": str(port + 1),
    }
    with output.open("wb") as file:
        running = [
            subprocess.Popen([*before, sys.executable, "-m", *each], env=environment, stdout=file, stderr=file)
            for each in PROCESSES
        ]
        try:
            await_answer(f"http://127.0.0.1:{port}/ready", running, output)
            await_answer(f"http://127.0.0.1:{port + 1}/health", running, output)
            yield f"http://127.0.0.1:{port}", [each.poll() for each in running]
        finally:
            for each in running:
                each.terminate()
            for each in running:
                each.wait(SILENCE_S)


def await_answer(url: str, running: Sequence[subprocess.Popen[bytes]], output: Path) -> None:
    """Return once an address answers; a process that has ended is told at once."""
    for _ in range(int(SILENCE_S * 10)):
        assert not any(each.poll() for each in running), output.read_text()[-3_000:]
        try:
            if requests.get(url, timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError(output.read_text()[-3_000:])


def works(url: str, home: Path, data: Path) -> None:
    """A beacon is stored in the data folder, and every file of the SDK is served."""
    event = {"event_id": "e1", "action": "page_viewed", "occurred_at_ms": 1}
    body = {"site": "main-site", "device": "d1", "sent_at_ms": 1, "events": [event]}
    answer = requests.post(f"{url}/v1/beacons", json=body, headers={"Origin": "https://shop.example"}, timeout=30)
    assert answer.status_code == 204
    assert (data / "log" / "beacons.db").stat().st_mode & 0o777 == 0o600
    assert data.stat().st_mode & 0o777 == 0o700
    assert not [path for path in home.rglob("*") if path.name in {"log", "run"}], "the home is written to"
    sdk = requests.get(f"{url}/v1/sites/main-site/config.json", timeout=30).json()["sdk"]
    for path in (sdk, "/sdk/segma.js", "/sdk/segma.js?f=clicks", "/sdk/segma.js?f=forms,scroll"):
        assert requests.get(f"{url}{path}", timeout=30).headers["content-type"].startswith("text/javascript"), path


@pytest.mark.slow
def test_the_compose_files_processes_run_with_what_init_wrote(tmp_path: Path) -> None:
    home, data = tmp_path / "home", tmp_path / "data"
    written_by_init(home)
    read_only(home)
    data.mkdir(mode=0o700)
    with started(as_a_user(), home, data, tmp_path / "output") as (url, ended):
        assert ended == [None] * len(PROCESSES)
        works(url, home, data)


@pytest.mark.slow
def test_the_charts_processes_run_with_the_groups_secrets_in_a_foreign_volume(tmp_path: Path) -> None:
    """The volume belongs to root and the group; the Secret's files are root's, mode 0440, read by the group."""
    home, volume = tmp_path / "home", tmp_path / "data"
    written_by_init(home)
    volume.mkdir()
    owner, group = (FOREIGN, FOREIGN + 1) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    for path in (home, *home.rglob("*")):
        os.chown(path, owner, group)
        path.chmod(0o755 if path.is_dir() else 0o440)
    os.chown(volume, owner, group)
    volume.chmod(0o2775)
    tmp_path.chmod(0o755)
    with started(as_a_user(group=group), home, volume / "own", tmp_path / "output") as (url, ended):
        assert ended == [None] * len(PROCESSES)
        works(url, home, volume / "own")


@pytest.mark.slow
def test_a_user_who_did_not_write_the_secrets_is_told_so(tmp_path: Path) -> None:
    """What the compose file's ``SEGMA_UID`` is for."""
    home = tmp_path / "home"
    written_by_init(home)
    for path in (home / "secrets").iterdir():
        path.chmod(0o000)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SEGMA_CONFIG": str(home / "segma.yaml")}
    done = subprocess.run(
        [*as_a_user(), sys.executable, "-m", "collector"],
        env=environment | {"SEGMA_DATA": str(tmp_path / "data"), "SEGMA_SDK": str(ROOT / "js-sdk/dist/segma.js")},
        capture_output=True,
        text=True,
        timeout=SILENCE_S,
        check=False,
    )
    assert done.returncode == 1
    assert "cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
