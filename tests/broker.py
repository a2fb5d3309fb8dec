"""A real Kafka broker for the tests: the project's own script, a folder, two ports. It can be killed and restarted."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from confluent_kafka.admin import AdminClient, ClusterMetadata  # type: ignore[attr-defined]

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
        self.environment: dict[str, str] = {"JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1"}
        """More variables for the next start. By default quick to start, as no test wants a broker's best throughput."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of the process while it runs, whose children count with it."""
        assert self._process is not None
        return self._process.pid

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
                env={**os.environ, **self.environment, "SEGMA_KAFKA_PROPERTIES": str(more)},
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

    def pause(self) -> None:
        """Let it live and answer nobody, as a machine that hangs."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

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


class Cluster:
    """Three nodes, each a JVM; the first is the controller as well. The others may be killed, both at once."""

    def __init__(self, home: Path) -> None:
        self.nodes = [Broker(home / str(number)) for number in (1, 2, 3)]
        voter = f"1@127.0.0.1:{self.nodes[0].port + 1}"
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        for number, node in enumerate(self.nodes, start=1):
            listeners = f"PLAINTEXT://127.0.0.1:{node.port}"
            node.environment |= {"SEGMA_KAFKA_CLUSTER": cluster_id, "SEGMA_KAFKA_HEAP": "256m"}
            node.properties = (
                f"node.id={number}\n"
                f"process.roles={'broker,controller' if number == 1 else 'broker'}\n"
                f"listeners={listeners}{f',CONTROLLER://127.0.0.1:{node.port + 1}' if number == 1 else ''}\n"
                f"controller.quorum.voters={voter}\n"
                "broker.session.timeout.ms=6000\nbroker.heartbeat.interval.ms=1000\nreplica.lag.time.max.ms=6000\n"
                "default.replication.factor=3\nauto.leader.rebalance.enable=false\nnum.network.threads=1\nnum.io.threads=2\n"
            )

    @property
    def servers(self) -> str:
        return ",".join(node.servers for node in self.nodes)

    def __enter__(self) -> Cluster:
        """As a context: running, and ended however it goes."""
        try:
            for node in self.nodes:
                node.launch()
            for node in self.nodes:
                node.await_ready()
            self.await_brokers(3)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        for node in self.nodes:
            node.stop()

    def await_brokers(self, count: int) -> None:
        """Return when so many brokers are there."""
        self.await_metadata(lambda metadata: len(metadata.brokers) == count)

    def await_metadata(self, holds: Callable[[ClusterMetadata], bool]) -> None:
        """Return when the controller's broker says so."""
        admin = AdminClient({"bootstrap.servers": self.nodes[0].servers, "log_level": 0})
        until = time.monotonic() + START_S
        while not holds(admin.list_topics(timeout=START_S)):
            assert time.monotonic() < until, "the cluster did not come to it"
            threading.Event().wait(0.2)

    def await_leader(self, topic: str, leader: int) -> None:
        """Return when partition 0 of a topic is led by this node; -1: by none."""
        self.await_metadata(
            lambda metadata: topic in metadata.topics and metadata.topics[topic].partitions[0].leader == leader
        )

    def settings(self, data: Path) -> Settings:
        """Settings of an installation of its own on this cluster, which knows a lost leader soon."""
        prefix = f"t{uuid.uuid4().hex[:10]}."
        return Settings(
            data=data,
            log="kafka",
            kafka_servers=self.servers,
            kafka_prefix=prefix,
            kafka_replication=3,
            kafka_timeout_ms=2_000,
        )
