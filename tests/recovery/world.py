"""A whole installation in a directory, whose processes can be killed, with people who walk through fixed scripts.

Every event has a fixed id, so the matches and commands of a run with kills can be told beforehand: by the pure machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import requests

from cli.people import import_people
from contracts.codec import json_reader
from contracts.commands import Outcome
from contracts.log import Log, Record
from contracts.rows import EventRow
from contracts.tokens import Claims, Keyring, TokenKey, subscriber_id
from contracts.topics import OUTCOMES, ROWS, moves_topic
from tests.ports import free_port
from tests.recovery.event_rows import done_by_people
from transport import open_log
from transport.config import Settings, environment_of, settings_at

SECRET = b"recovery-secret-of-forty-bytes-or-more-00"
TOKEN_SECRET = bytes(range(64))
ORIGIN = "http://shop.test"
PEOPLE = 24
SILENCE_S = 120.0
"""How long nothing may change before a run is given up."""

LISTENERS = {
    "engaged": "sequence:\n  - action: email_clicked\n  - {action: page_viewed, times: 2}\n"
    "then: [{move: {from: newsletter, to: engaged, at: mailbox}}]\n",
    "abandoned": "sequence:\n  - action: product_added\n  - {not: product_bought, for: 1s}\n"
    "then: [{add: {to: abandoned, at: mailbox}}]\n",
    "viewed": "sequence:\n  - {step: looked, action: page_viewed}\n"
    'then: [{add: {to: "viewed-{looked.category}", at: mailbox}}]\n',
}
FORMERLY_BELOW = {"collector", "flows", "sinks", "analytics"}
"""Until November 2026 the rooms were packages below ``segma``."""

_read_outcome = json_reader(Outcome)


class World:
    """The installation, its processes, and readers of what came of it."""

    def __init__(
        self,
        home: Path,
        *,
        delay_ms: int = 0,
        log: Settings | None = None,
        flows: int = 1,
        partitions: int = 2,
        **environment: str,
    ) -> None:
        self.home, self.port = home, free_port()
        self.addresses = [f"person{number}@example.org" for number in range(PEOPLE)]
        self.subscribers = [subscriber_id(SECRET, address) for address in self.addresses]
        self.keyring = Keyring([TokenKey("k1", TOKEN_SECRET)], max_age_s=10**9)
        self.tokens = [self.keyring.seal(Claims("demo", each, int(time.time()))) for each in self.subscribers]
        self._partitions = partitions
        self._write(delay_ms)
        self._environment = environment
        if log is not None:
            lines = environment_of(log.model_copy(update={"data": home / "data"}))
            (home / "segma.env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
            self._environment = lines | environment
        import_people(home, "demo/mailbox", "newsletter")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.log: Log = open_log(settings_at(home))
        self._rows = self.log.reader(ROWS)
        self._followed: set[str] = set()
        self._commands = {
            "collector": [sys.executable, "-m", "collector"],
            "delivery": [sys.executable, "-m", "sinks", "--account", "demo/mailbox"],
            "clickhouse": [sys.executable, "-m", "analytics", "server"],
            "loader": [sys.executable, "-m", "analytics", "loader"],
        }
        self.flows: list[str] = []
        self.have_flows(flows)
        self.kills: Counter[str] = Counter()
        self.builds: dict[str, Path] = {}
        """The checkouts that processes are started from, where that is not this one."""

    @property
    def url(self) -> str:
        """Where the next beacon is sent."""
        return f"http://127.0.0.1:{self.port}"

    def _write(self, delay_ms: int) -> None:
        secrets = self.home / "secrets"
        secrets.mkdir(parents=True, exist_ok=True)
        (secrets / "demo").write_bytes(SECRET)
        (secrets / "token-keys").write_text(f"k1 {TOKEN_SECRET.hex()}\n")
        (self.home / "sdk.js").write_text("/* sdk */\n")
        (self.home / "segma.yaml").write_text(
            "token_keys: {file: secrets/token-keys}\n"
            "workspaces:\n"
            "  demo:\n"
            "    secret: {file: secrets/demo}\n"
            "    grace: 200ms\n"
            "    sites:\n"
            f"      shop: {{key: shop-key, origins: ['{ORIGIN}'], redirect_hosts: [shop.test],"
            " rate_per_s: 100000, rate_burst: 100000}\n"
            f"    accounts: {{mailbox: {{sink: file, options: {{delay_ms: {delay_ms}}}}}}}\n"
            f"partitions: {self._partitions}\n"
        )
        (self.home / "listeners").mkdir()
        for name, text in LISTENERS.items():
            (self.home / "listeners" / f"{name}.yaml").write_text(f"listener: {name}\n{text}")
        lists = self.home / "data" / "lists" / "demo" / "mailbox"
        lists.mkdir(parents=True)
        (lists / "newsletter.txt").write_text("".join(f"{address}\n" for address in self.addresses))

    @property
    def environment(self) -> dict[str, str]:
        """What the processes that start now are given."""
        return {
            **os.environ,
            "SEGMA_CONFIG": str(self.home / "segma.yaml"),
            "SEGMA_DATA": str(self.home / "data"),
            "SEGMA_SDK": str(self.home / "sdk.js"),
            "SEGMA_COLLECTOR_PORT": str(self.port),
            "SEGMA_GROUPS": "4",
            "SEGMA_EPOCH_MS": "300",
            "SEGMA_FLOW_SETTLE_MS": "2000",
            "SEGMA_FLOW_OF": str(len(self.flows)),
            **self._environment,
        }

    def start(self, *names: str) -> None:
        """Start processes and wait for the collector's door."""
        environment = self.environment
        for name in names:
            if name in self.flows:
                environment["SEGMA_FLOW_INDEX"] = str(self.flows.index(name))
            words, own, folder = self._of_build(name)
            with (self.home / f"{name}.log").open("ab") as output:
                self.processes[name] = subprocess.Popen(
                    words,
                    env=environment | own,
                    cwd=folder,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
        if "collector" in names:
            self.await_collector()

    def _of_build(self, name: str) -> tuple[list[str], dict[str, str], Path | None]:
        """Command, variables and working directory of a process."""
        words, checkout = self._commands[name], self.builds.get(name)
        if checkout is None:
            return words, {}, None
        if not (checkout / "src").is_dir():
            return words, {"PYTHONPATH": str(checkout)}, checkout
        former = [f"segma.{word}" if word in FORMERLY_BELOW else word for word in words]
        return former, {"PYTHONPATH": str(checkout / "src")}, checkout

    def have_flows(self, count: int) -> None:
        """Let this be the number of flow processes from now on; those of before have ended."""
        for name in self.flows:
            self.processes.pop(name, None)
        self.flows = ["flow"] if count == 1 else [f"flow-{index}" for index in range(count)]
        self._commands |= {name: [sys.executable, "-m", "flows"] for name in self.flows}

    def allow(self, name: str, value: str) -> None:
        """Give the processes that start from now on a setting."""
        self._environment = {**self._environment, name: value}

    def await_collector(self) -> None:
        """Return when the collector answers."""
        until = time.monotonic() + SILENCE_S
        while time.monotonic() < until:
            try:
                if requests.get(f"{self.url}/ready", timeout=1).ok:
                    return
            except requests.RequestException:
                threading.Event().wait(0.02)
        raise AssertionError(f"the collector did not start: {self.said('collector')}")

    def kill(self, name: str) -> None:
        """Kill a process (the collector: its workers too) as a power cut would."""
        os.killpg(self.processes[name].pid, 9)
        self.processes[name].wait()
        self.kills[name] += 1

    def __enter__(self) -> Self:
        """As a context: ended however it goes."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Stop, or where something failed already, kill."""
        if kind is None:
            self.stop()
            return
        for name, process in self.processes.items():
            if process.poll() is None:
                self.kill(name)
        self.log.close()

    def ask_to_stop(self, name: str) -> int:
        """Send a SIGTERM and wait for the end; the exit code."""
        self.processes[name].terminate()
        return self.processes[name].wait(SILENCE_S)

    def rest(self) -> None:
        """See that every process still runs: one that ended by itself would make a recovery of nothing."""
        for name, process in self.processes.items():
            assert process.poll() is None, f"{name} ended by itself: {self.said(name)}"

    def stop(self) -> None:
        """End everything; it must end by itself when asked."""
        for process in self.processes.values():
            process.terminate()
        for name, process in self.processes.items():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                raise AssertionError(f"{name} did not stop: {self.said(name)}") from None
        self.log.close()

    def said(self, name: str) -> str:
        """The end of a process's output."""
        return (self.home / f"{name}.log").read_text()[-3_000:]

    def count(self, topic: str) -> int:
        """How many records a topic has had."""
        return sum(self.log.end(topic).values())

    def records(self, topic: str) -> Iterator[Record]:
        """All records of a topic."""
        reader = self.log.reader(topic)
        while records := reader.poll(10_000):
            yield from records
        reader.close()

    def outcomes(self) -> list[Outcome]:
        """What became of commands."""
        return [_read_outcome(record.value) for record in self.records(OUTCOMES) if record.value]

    def event_rows(self) -> list[EventRow]:
        """The rows of what people did."""
        return list(done_by_people(self.records(ROWS)))

    def followed_events(self) -> int:
        """How many different events have come out of the flow as rows so far."""
        while records := self._rows.poll(10_000):
            self._followed |= {row.event.event_id for row in done_by_people(records)}
        return len(self._followed)

    def calls(self) -> list[tuple[str, str]]:
        """The platform's own journal: the command of each call and whose it was, in order."""
        path = self.home / "data" / "lists" / "demo" / "mailbox" / "calls.ndjson"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return [(line["change_id"], line["subscriber"]) for line in lines]

    def lists(self) -> dict[str, list[str]]:
        """The lists of the account."""
        directory = self.home / "data" / "lists" / "demo" / "mailbox"
        return {path.stem: path.read_text().split() for path in sorted(directory.glob("*.txt"))}

    def await_outcomes(self, wanted: set[str]) -> list[Outcome]:
        """Wait until every wanted command has its outcome; give up when nothing changes any more."""
        reader, found = self.log.reader(OUTCOMES), list[Outcome]()
        while wanted - {outcome.command_id for outcome in found}:
            records = reader.poll(10_000, timeout_s=SILENCE_S)
            if not records:
                missing = wanted - {outcome.command_id for outcome in found}
                unread = {outcome.command_id for outcome in self.outcomes()} & missing
                raise AssertionError(
                    f"{len(missing)} of {len(wanted)} commands have no outcome, {len(unread)} of them only not read; "
                    f"{self.count(moves_topic('demo', 'mailbox'))} commands in the log, "
                    f"{len(found)} outcomes, {self.followed_events()} events followed\n"
                    + "\n".join(f"{name}: {self.said(name)}" for name in self.processes)
                )
            found += [_read_outcome(record.value) for record in records if record.value]
        reader.close()
        return found
