"""A local Kafka for ``segma up --kafka`` and ``segma demo --kafka``: one node, by the project's own script."""

from __future__ import annotations

import socket
import time
from functools import partial
from pathlib import Path
from typing import Final

from cli.java import java_or_bring
from cli.output import Exit, fail
from cli.root import checkout
from cli.supervise import ManagedProcess
from contracts.errors import ConfigError, LogError, Problem
from transport.config import Settings, settings_at
from transport.kafka.topics import KafkaTopics

PORT_OFFSET: Final = 10
"""Behind the ports of collector, console and shop; the controller's is the next."""


def script() -> Path:
    """``infra/kafka/kafka`` of the checkout that ``./segma`` runs from."""
    return checkout() / "infra" / "kafka" / "kafka"


def choose_kafka(home: Path, port_base: int, *, wanted: bool) -> int | None:
    """Write into ``segma.env`` where this home's own Kafka is; its port, or None where the home has none.

    A home that has data in a local Kafka keeps it. Raises :class:`ConfigError` where the home has another log already.
    """
    node = home / "data" / "kafka"
    if not wanted and not node.is_dir():
        return None
    if (home / "data" / "log").is_dir():
        raise ConfigError(
            [Problem(str(home), "--kafka", "this home has its data in the embedded log", "begin in another home")]
        )
    if not script().is_file():
        fail(f"a local Kafka needs the project's checkout: there is no {script()}", Exit.USAGE)
    java_or_bring()
    node.mkdir(parents=True, exist_ok=True)
    port = port_base + PORT_OFFSET
    lines = "# Written by `segma up --kafka`: the log of this home is its own Kafka.\n"
    (home / "segma.env").write_text(f"{lines}SEGMA_LOG=kafka\nSEGMA_KAFKA_SERVERS=127.0.0.1:{port}\n", encoding="utf-8")
    return port


def kafka_program(home: Path) -> list[ManagedProcess]:
    """The node of a home that has one."""
    node = (home / "data" / "kafka").resolve()
    if not node.is_dir():
        return []
    settings = settings_at(home)
    command = [str(script()), "run", str(node), settings.kafka_servers.rpartition(":")[2]]
    return [ManagedProcess("kafka", command, partial(_answers, settings), first=True)]


def _answers(settings: Settings, _pid: int) -> bool:
    host, _, port = settings.kafka_servers.rpartition(":")
    try:
        # NOTE: a client says of a broker that is away, again and again; one that starts is, for seconds.
        socket.create_connection((host, int(port)), timeout=2.0).close()
        KafkaTopics(settings, time.monotonic).names(timeout_s=2.0)
    except (OSError, LogError):
        return False
    return True
