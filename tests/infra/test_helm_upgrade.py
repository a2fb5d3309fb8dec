"""The chart's processes as they are rendered, on a real Kafka, made more under load: nothing is lost or doubled.

From one to three collectors and from two to five flows in one upgrade, and the one that starts the flows behind it, as
docs/operations.md says. The judge is that of the recovery tests.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.broker import Broker
from tests.infra.chart import Document, rendered
from tests.infra.chart_checks import faults
from tests.infra.pods import Cluster, Pod, Pods
from tests.recovery.faults import Walking, walked
from tests.recovery.judge import judge
from tests.recovery.mixed_builds import awaited
from tests.recovery.world import World
from transport.config import Settings

pytestmark = [pytest.mark.alone, pytest.mark.slow, pytest.mark.broker]

PARTITIONS = 8
DELIVERY = "segma-deliver-demo-mailbox"


class Installed(World):
    """The recovery tests' installation, as a release of the chart."""

    def __init__(self, home: Path, log: Settings) -> None:
        super().__init__(home, log=log, partitions=PARTITIONS)
        self._log, self.asked = log, Counter[str]()
        secrets = {"segma": {each.name: each.read_bytes() for each in (home / "secrets").iterdir()}}
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


@pytest.fixture
def world(tmp_path: Path, broker: Broker) -> Iterator[Installed]:
    with Installed(tmp_path / "home", broker.settings(tmp_path / "home" / "data")) as made:
        yield made


def test_more_collectors_and_flows_in_an_upgrade_under_load_change_no_move(
    world: Installed, record_property: Callable[[str, object], None]
) -> None:
    world.upgrade("collector.replicas=1", "flow.of=2")
    people = walked(world)
    load = Walking(people, every_s=0.5)
    load.start()
    awaited(lambda: world.followed_events() > 0)
    began = time.monotonic()
    world.upgrade("collector.replicas=3", "flow.of=5", "flow.rescaleFrom=2")
    assert (len(world.pods.ready("collector")), world.flows) == (3, [])
    world.upgrade("collector.replicas=3", "flow.of=5")
    record_property("pause_s", time.monotonic() - began)
    assert len(world.flows) == 5
    sent = sum(len(each.acknowledged) for each in people)
    awaited(lambda: sum(len(each.acknowledged) for each in people) > sent)
    figures = judge(world, people, load.stop(), patience_s=300)
    assert (figures["calls_repeated"], figures["commands_repeated_in_the_log"]) == (0, 0)
    assert set(world.asked) == {f"segma-collector-{index}" for index in range(3)}
    world.pods.alive()
