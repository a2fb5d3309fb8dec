"""A real Kafka broker for the tests: the project's own script, a folder, two ports. It can be killed and restarted."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import uuid
from pathlib import Path

from confluent_kafka.admin import AdminClient

from tests.ports import free_port
from transport.config import Settings

SCRIPT = Path(__file__).resolve().parents[1] / "infra" / "kafka" / "kafka"
START_S = 120.0


class Broker:
    """One node."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home, self.port = home, free_port((0, 1, 2))
        self.properties = ""
        """More lines for ``server.properties``, from the next start on."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and return when it answers."""
        self.launch()
        self.await_ready()

    def launch(self) -> None:
        """Start it without waiting."""
        more = self.home / "more.properties"
        more.write_text(self.properties)
        with (self.home / "broker.log").open("ab") as output:
            self._process = subprocess.Popen(
                [str(SCRIPT), "run", str(self.home), str(self.port)],
                env={**os.environ, "SEGMA_KAFKA_PROPERTIES": str(more)},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def await_ready(self) -> None:
        """Return when it answers."""
        try:
            AdminClient({"bootstrap.servers": self.servers, "log_level": 0}).list_topics(timeout=START_S)
        except Exception as error:
            self.kill()
            said = (self.home / "broker.log").read_text()[-3_000:]
            raise AssertionError(f"the broker did not start: {error}\n{said}") from error

    def kill(self) -> None:
        """As a power cut would."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):  # it ended by itself
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Nothing of it is needed any more."""
        self.kill()
        shutil.rmtree(self.home / "data", ignore_errors=True)

    def __enter__(self) -> Broker:
        """As a context: running, and ended however it goes."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def settings(self, data: Path) -> Settings:
        """Settings of an installation of its own on this broker."""
        prefix = f"t{uuid.uuid4().hex[:10]}."
        return Settings(data=data, log="kafka", kafka_servers=self.servers, kafka_prefix=prefix)
