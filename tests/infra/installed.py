"""A release of the chart at work: its processes as they are rendered, on a real Kafka and a ClickHouse."""

from __future__ import annotations

import itertools
from collections import Counter
from contextlib import closing
from pathlib import Path

import requests

from analytics.config import OWNER, analytics_settings_at, connect, embedded_passwords
from console.access.users import Users
from tests.console.visitor import CHEAP, PASSWORD
from tests.infra.chart import Document, rendered
from tests.infra.chart_checks import faults
from tests.infra.pods import Cluster, Pod, Pods
from tests.ports import free_port
from tests.recovery.mixed_builds import awaited
from tests.recovery.world import World
from transport.config import Settings

PARTITIONS = 8
USER = "mara"
"""A marketer, who may come into the console by :data:`PASSWORD`."""
DELIVERY = "segma-deliver-demo-mailbox"
CLICKHOUSE = "segma-clickhouse"
"""The Secret with ClickHouse's password."""


class Installed(World):
    """The recovery tests' installation, as a release of the chart beside a ClickHouse that is the user's own."""

    def __init__(self, home: Path, log: Settings) -> None:
        super().__init__(home, log=log, partitions=PARTITIONS, SEGMA_CLICKHOUSE_PORT=str(free_port()))
        self._log, self.asked = log, Counter[str]()
        self.start("clickhouse")
        self._clickhouse = self._history_at()
        Users(home / "segma.yaml", CHEAP).put(USER, PASSWORD, {"demo": "marketer"})
        secrets = {"segma": {each.name: each.read_bytes() for each in (home / "secrets").iterdir()}}
        secrets[CLICKHOUSE] = {"password": embedded_passwords(analytics_settings_at(home))[OWNER].encode()}
        cluster = Cluster(home / "cluster", home, secrets, home / "sdk.js")
        cluster.claim(DELIVERY).mkdir(parents=True)
        (cluster.claim(DELIVERY) / "own").symlink_to(home / "data")  # where the people's lists are
        self.pods = Pods(cluster, self.processes)
        self._collectors: list[Pod] = []
        self._turn = itertools.count()

    @property
    def url(self) -> str:
        """The next of the collectors that were ready when it was last looked: what the chart's Service leads to."""
        pod = self._collectors[next(self._turn) % len(self._collectors)]
        self.asked[pod.name] += 1
        return f"http://{pod.address}:8400"

    def _history_at(self) -> str:
        """Wait for ClickHouse; where it is."""
        awaited(lambda: requests.get(f"{analytics_settings_at(self.home).url}/ping", timeout=1).ok)
        return analytics_settings_at(self.home).url

    def moves_in_the_history(self) -> tuple[int, ...]:
        """How many moves the history has, how many different ones, and of how many it knows what became of them."""
        sql = "SELECT count(), uniqExact(command_id), countIf(result != 'waiting') FROM moves"
        with closing(connect(analytics_settings_at(self.home))) as clickhouse:
            return clickhouse.rows(sql)[0]

    def upgrade(self, *values: str) -> None:
        """Install the chart with these values, or upgrade to them."""
        documents = self._rendered(*values)
        assert faults(documents) == []
        self.pods.upgrade(documents)
        self._collectors = self.pods.ready("collector")
        self.flows = [each.name for each in self.pods.ready("flow")]

    def _rendered(self, *values: str) -> list[Document]:
        kafka = f"servers={self._log.kafka_servers},prefix={self._log.kafka_prefix},replication=1"
        given = [
            *(f"kafka.{each}" for each in kafka.split(",")),
            f"kafka.ports={{{self._log.kafka_servers.rpartition(':')[2]}}}",
            f"clickhouse.url={self._clickhouse}",
            f"clickhouse.passwordSecret={CLICKHOUSE}",
            f"clickhouse.ports={{{self._clickhouse.rpartition(':')[2]}}}",
            "accounts={demo/mailbox}",
            "deliver.data.persistent=true",
            "flow.groups=4",
            "flow.epochMs=300",
            *values,
        ]
        files = [f"config={self.home / 'segma.yaml'}"]
        for each in sorted((self.home / "listeners").iterdir()):
            files.append(rf"listeners.{each.stem}\.yaml={each}")
        return rendered(["--set", ",".join(given), *(word for each in files for word in ("--set-file", each))])
