"""Two workspaces that share an address never meet, and no address is readable but in the directory (DESIGN 5)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from cli.people import import_people
from contracts.codec import json_reader, to_json
from contracts.commands import Command, Outcome
from contracts.tokens import Claims, Keyring, TokenKey, subscriber_id
from contracts.topics import OUTCOMES, SUBSCRIBERS, moves_topic
from tests.live_files import files_below
from tests.ports import free_port
from tests.recovery.world import SILENCE_S
from transport import open_log
from transport.config import Settings

pytestmark = pytest.mark.alone

ADDRESS = "Shared.Person@Example.org"
SECRETS = {"north": b"n" * 40, "south": b"z" * 40}
KEY = TokenKey("k1", bytes(range(64)))
_read_outcome = json_reader(Outcome)
_read_command = json_reader(Command)


class Installation:
    """Two workspaces, each with a site, a listener and an account."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (home / "keys").write_text(f"k1 {KEY.secret.hex()}\n")
        (home / "sdk.js").write_text("/* sdk */\n")
        lines = ["token_keys: {file: keys}", "partitions: 1", "workspaces:"]
        for name, secret in SECRETS.items():
            (home / f"{name}.secret").write_bytes(secret)
            (home / f"{name}.server").write_bytes(f"{name}-server".encode())
            lists = home / "data" / "lists" / name / "mailbox"
            lists.mkdir(parents=True)
            (lists / "newsletter.txt").write_text(f"{ADDRESS}\n")
            (home / f"{name}-listeners").mkdir()
            (home / f"{name}-listeners" / "looked.yaml").write_text(
                f"listener: {name}-looked\nsequence: [{{action: page_viewed}}]\n"
                f"then: [{{move: {{from: newsletter, to: {name}-lookers, at: mailbox}}}}]\n"
            )
            lines += [
                f"  {name}:",
                f"    secret: {{file: {name}.secret}}",
                f"    listeners: {name}-listeners",
                f"    sites: {{site: {{key: {name}-key, origins: ['https://{name}.test'],"
                f" redirect_hosts: ['{name}.test'], server_key: {{file: {name}.server}}}}}}",
                "    accounts: {mailbox: {sink: file}}",
            ]
        (home / "segma.yaml").write_text("\n".join(lines) + "\n")
        for name in SECRETS:
            import_people(home, f"{name}/mailbox", "newsletter")
        self.log = open_log(Settings(data=home / "data"))
        environment = {
            **os.environ,
            "SEGMA_CONFIG": str(home / "segma.yaml"),
            "SEGMA_DATA": str(home / "data"),
            "SEGMA_SDK": str(home / "sdk.js"),
            "SEGMA_COLLECTOR_PORT": str(self.port),
        }
        arguments = [["collector"], ["flows"]]
        arguments += [["sinks", "--account", f"{name}/mailbox"] for name in SECRETS]
        self.output = (home / "output.log").open("wb")
        self.processes = [
            subprocess.Popen([sys.executable, "-m", *each], env=environment, stdout=self.output, stderr=self.output)
            for each in arguments
        ]

    def await_collector(self) -> None:
        until = time.monotonic() + SILENCE_S
        while time.monotonic() < until:
            try:
                if requests.get(f"{self.url}/ready", timeout=1).ok:
                    return
            except requests.RequestException:
                time.sleep(0.05)
        raise AssertionError((self.home / "output.log").read_text())

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(20)
        self.output.close()
        self.log.close()


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path)
    try:
        made.await_collector()
        yield made
    finally:
        made.stop()


def beacon(site: str, subscriber: str, workspace: str, number: int) -> bytes:
    now_ms = time.time_ns() // 1_000_000
    sealed = Keyring([KEY], max_age_s=10**9).seal(Claims(workspace, subscriber, int(time.time())))
    event = {
        "event_id": f"{site}.{number}",
        "action": "page_viewed",
        "occurred_at_ms": now_ms,
        "properties": {"path": "/"},
    }
    return to_json(
        {"site": f"{site}-key", "device": "shared-device", "sent_at_ms": now_ms, "token": sealed, "events": [event]}
    )


@pytest.mark.slow
def test_two_workspaces_never_meet_and_no_address_is_readable(installation: Installation) -> None:
    people = {name: subscriber_id(secret, ADDRESS) for name, secret in SECRETS.items()}
    assert people["north"] != people["south"]
    outcomes = installation.log.reader(OUTCOMES)

    def send(site: str, body: bytes, path: str = "/v1/beacons", key: str = "") -> None:
        headers = {"Origin": f"https://{site}.test"} if not key else {"Authorization": f"Bearer {key}"}
        assert requests.post(f"{installation.url}{path}", data=body, headers=headers, timeout=10).status_code == 204

    # The north's person, known by token; the same device and a foreign token at the south's site; a server's address.
    send("north", beacon("north", people["north"], "north", 1))
    send("south", beacon("south", people["north"], "north", 1))
    now_ms = time.time_ns() // 1_000_000
    called = {
        "site": "south-key",
        "address": ADDRESS,
        "events": [{"event_id": "bought", "action": "product_bought", "occurred_at_ms": now_ms}],
    }
    send("south", to_json(called), "/v1/events", "south-server")
    link = f"{installation.url}/r/{Keyring([KEY], max_age_s=10**9).seal(Claims('south', people['south'], 1))}"
    requests.get(link, params={"u": "https://south.test/"}, allow_redirects=False, timeout=10)
    # Then the south's own person looks: the last thing to happen.
    send("south", beacon("south", people["south"], "south", 2))

    found: list[Outcome] = []
    while {outcome.workspace for outcome in found} < set(SECRETS):
        records = outcomes.poll(100, timeout_s=SILENCE_S)
        assert records, (installation.home / "output.log").read_text()[-2_000:]
        found += [_read_outcome(record.value) for record in records if record.value]

    for name, subscriber in people.items():
        topic = installation.log.reader(moves_topic(name, "mailbox"))
        commands = [_read_command(record.value) for record in topic.poll(100) if record.value]
        assert {(command.workspace, command.subscriber) for command in commands} == {(name, subscriber)}
        assert {command.listener for command in commands} == {f"{name}-looked"}
        lists = installation.home / "data" / "lists" / name / "mailbox"
        assert {path.name for path in lists.glob("*.txt")} == {f"{name}-lookers.txt", "newsletter.txt"}

    readable = []
    for each in installation.log.topics():
        reader = installation.log.reader(each.name)
        while records := reader.poll(10_000):
            for record in records:
                text = (record.key + (record.value or b"")).lower()
                if each.name != SUBSCRIBERS and (b"shared.person" in text or b"example.org" in text):
                    readable.append((each.name, record.offset))
        reader.close()
    assert readable == []
    output = (installation.home / "output.log").read_text().lower()
    assert "example.org" not in output
    for path, data in files_below(installation.home / "data"):
        if "lists" not in path.parts and not path.name.startswith(f"{SUBSCRIBERS}.db"):
            assert b"shared.person" not in data.lower(), path
