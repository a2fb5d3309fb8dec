"""A running embedded ClickHouse for tests, and rows to put into it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import clickhouse_connect
import requests

from analytics.clickhouse import ClickHouse
from analytics.config import AnalyticsSettings, embedded_passwords
from analytics.migrate import migrate, read_migrations

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Embedded:
    """The server as a process, on a home of its own."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home, self.port = home, free_port()
        self.settings = AnalyticsSettings(data=home / "data", clickhouse_port=self.port)
        self.passwords = embedded_passwords(self.settings)
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = environment
        self.process: subprocess.Popen[bytes] | None = None

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SEGMA_CONFIG": str(self.home / "segma.yaml"),
            "SEGMA_DATA": str(self.home / "data"),
            "SEGMA_CLICKHOUSE_PORT": str(self.port),
            **self._environment,
        }

    def start(self) -> None:
        with (self.home / "server.log").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "analytics", "server"],
                env=self.environment(),
                stdout=output,
                stderr=output,
            )
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                if requests.get(f"{self.url}/ping", timeout=5).text == "Ok.\n":
                    return
            except requests.RequestException:
                assert self.process.poll() is None, (self.home / "server.log").read_text()[-3_000:]
                assert time.monotonic() < until
                time.sleep(0.05)

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def client(self, user: str = "segma", **options: Any) -> Any:
        """An unchanged clickhouse-connect client."""
        return clickhouse_connect.get_client(
            host="127.0.0.1", port=self.port, username=user, password=self.passwords[user], **options
        )

    def history(self, database: str) -> ClickHouse:
        """Our own client on a database of its own, brought up to date."""
        clickhouse = ClickHouse(self.url, "segma", self.passwords["segma"], database)
        migrate(clickhouse, database, read_migrations(self.settings.migrations))
        return clickhouse
