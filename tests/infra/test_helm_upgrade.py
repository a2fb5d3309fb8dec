"""The chart's processes as they are rendered, on a real Kafka and a ClickHouse, made more under load: nothing is lost
or doubled, in the log, at the platform or in the history.

From one to three collectors and from two to five flows in one upgrade, which begins the loader anew, and the one that
starts the flows behind it, as docs/operations.md says. The judge is that of the recovery tests.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from analytics.config import analytics_settings_at
from analytics.migrate import read_migrations
from tests.broker import Broker
from tests.infra.installed import Installed
from tests.recovery.faults import Walking, walked
from tests.recovery.judge import judge
from tests.recovery.mixed_builds import awaited, loaded

pytestmark = [pytest.mark.alone, pytest.mark.slow, pytest.mark.broker]


@pytest.fixture
def world(tmp_path: Path, broker: Broker) -> Iterator[Installed]:
    with Installed(tmp_path / "home", broker.settings(tmp_path / "home" / "data")) as made:
        yield made


def test_more_collectors_and_flows_in_an_upgrade_under_load_change_no_move(
    world: Installed, record_property: Callable[[str, object], None]
) -> None:
    world.upgrade("collector.replicas=1", "flow.of=2")
    assert_migrated_by_the_hook(world)
    people = walked(world)
    load = Walking(people, every_s=0.5)
    load.start()
    awaited(lambda: world.followed_events() > 0)
    (loader,) = world.pods.ready("loader")
    began = time.monotonic()
    more = ("collector.replicas=3", "flow.of=5", "loader.resources.limits.memory=2Gi")
    world.upgrade(*more, "flow.rescaleFrom=2")
    assert (len(world.pods.ready("collector")), world.flows) == (3, [])
    assert [each.process for each in world.pods.ready("loader")] != [loader.process]
    world.upgrade(*more)
    record_property("pause_s", time.monotonic() - began)
    assert len(world.flows) == 5
    sent = sum(len(each.acknowledged) for each in people)
    awaited(lambda: sum(len(each.acknowledged) for each in people) > sent)
    figures = judge(world, people, load.stop(), patience_s=300)
    assert (figures["calls_repeated"], figures["commands_repeated_in_the_log"]) == (0, 0)
    assert loaded(world, people) == figures["beacons_acknowledged"]
    awaited(lambda: world.moves_in_the_history() == (figures["commands"],) * 3)
    assert set(world.asked) == {f"segma-collector-{index}" for index in range(3)}
    world.pods.alive()


def assert_migrated_by_the_hook(world: Installed) -> None:
    """The hook made the tables, and not the loader, which would have where there were none."""
    numbered = read_migrations(analytics_settings_at(world.home).migrations)
    hook = (world.home / "segma-migrate.log").read_text()
    assert [line.split()[0] for line in hook.splitlines()[:-1]] == [f"{each.number:04}" for each in numbered], hook
    assert f"{len(numbered)} migrations applied" in hook
