"""``python -m tests.recovery.mixed_builds CHECKOUT``: an upgrade from another build, a process after the other.

All processes of a home are those of the other checkout first. While people walk on, one after the other is stopped and
comes back as this build's, in every order of the rooms that can be asked for; between two of them the builds work side
by side: collector new with flow old, flow new with delivery old, and so on. The judge compares with an undisturbed run.
With ``--history`` the loader is one of them, over a ClickHouse that this build's migrations have brought up to date, as
the chart's hook does before anything else: the other build's loader writes into it until its turn comes.
"""

from __future__ import annotations

import itertools
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Final

import click
import requests

from analytics.config import analytics_settings_at, connect
from analytics.migrate import migrate, read_migrations
from contracts.errors import SegmaError
from contracts.membership import IMPORT
from tests.broker import Broker
from tests.ports import free_port
from tests.recovery.faults import await_followed, walked
from tests.recovery.judge import judge
from tests.recovery.people import People
from tests.recovery.world import World
from transport.config import Settings

ROOMS: Final = ("collector", "flow", "delivery")
LOADER: Final = "loader"
SIDES: Final = tuple(itertools.permutations(ROOMS))
PATIENCE_S: Final = 120.0


def upgraded(home: Path, other: Path, order: Sequence[str], log: Settings | None = None) -> dict[str, int]:
    """Upgrade the rooms in this order under load; the judge's figures. The loader is there where it is in the order."""
    with World(home, log=log, SEGMA_CLICKHOUSE_PORT=str(free_port())) as world:
        world.builds = dict.fromkeys((*ROOMS, LOADER), other.resolve())
        world.start(*ROOMS)
        if LOADER in order:
            history_of(world)
        people = walked(world)
        for number, name in enumerate((None, *order)):
            if name is not None:
                world.ask_to_stop(name)
                del world.builds[name]
                world.start(name)
            for each in people:
                each.rounds.put(number)
            await_followed(world, people, number + 1)
        figures = judge(world, people, range(len(order) + 1), patience_s=300)
        return figures | ({"rows": loaded(world, people)} if LOADER in order else {})


def history_of(world: World) -> None:
    """Start ClickHouse and the other build's loader, and migrate to this build's tables once it is at work."""
    world.start("clickhouse")
    awaited(
        lambda: requests.get(f"http://127.0.0.1:{analytics_settings_at(world.home).clickhouse_port}/ping", timeout=1).ok
    )
    world.start(LOADER)
    settings = analytics_settings_at(world.home)
    with closing(connect(settings)) as clickhouse:
        awaited(lambda: bool(clickhouse.rows("SELECT count() FROM migrations")))
        migrate(clickhouse, settings.clickhouse_database, read_migrations(settings.migrations))


def loaded(world: World, people: Sequence[People]) -> int:
    """Wait until every acknowledged event is in the history, and see that none is there twice; how many there are.

    What the import of the people tells of their lists is left out, as the judge leaves it out of the log's rows.
    """
    acknowledged = {event_id for each in people for event_id in each.acknowledged}
    with closing(connect(analytics_settings_at(world.home))) as clickhouse:
        found = list[str]()

        def all_there() -> bool:
            sql = "SELECT event_id FROM events WHERE JSONExtractString(properties, 'by') != {import:String}"
            found[:] = [event_id for (event_id,) in clickhouse.rows(sql, {"import": IMPORT})]
            return set(found) >= acknowledged

        awaited(all_there)
    assert sorted(found) == sorted(acknowledged)
    return len(found)


def awaited(true: Callable[[], bool]) -> None:
    """Return once something is true; what is not there yet is asked again."""
    until = time.monotonic() + PATIENCE_S
    while True:
        with suppress(requests.RequestException, SegmaError):
            if true():
                return
        assert time.monotonic() < until, "it never came"
        threading.Event().wait(0.1)


@click.command()
@click.argument("other", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--order", "orders", multiple=True, help="Rooms with commas, in the order of their upgrade; else all six."
)
@click.option("--history", is_flag=True, help="With ClickHouse and the loader, which is upgraded first, or last.")
@click.option("--kafka", is_flag=True, help="On a Kafka of its own instead of the embedded log.")
def main(other: Path, orders: tuple[str, ...], history: bool, kafka: bool) -> None:
    """Upgrade from the build in OTHER to this one, in each order of the rooms."""
    wanted: Sequence[tuple[str, ...]] = [tuple(each.split(",")) for each in orders] or SIDES
    if history:
        wanted = [with_it for each in wanted for with_it in ((LOADER, *each), (*each, LOADER))]
    with tempfile.TemporaryDirectory() as directory, ExitStack() as opened:
        broker = opened.enter_context(Broker(Path(directory) / "broker")) if kafka else None
        for number, order in enumerate(wanted):
            began, home = time.monotonic(), Path(directory) / str(number)
            log = None if broker is None else broker.settings(home / "data")
            figures = upgraded(home, other, order, log)
            click.echo(f"{', '.join(order)}: as an undisturbed run, {figures}, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
