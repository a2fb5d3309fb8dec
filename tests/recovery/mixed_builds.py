"""``python -m tests.recovery.mixed_builds CHECKOUT``: an upgrade from another build, a process after the other.

All processes of a home are those of the other checkout first. While people walk on, one after the other is stopped and
comes back as this build's, in every order of the rooms that can be asked for; between two of them the builds work side
by side: collector new with flow old, flow new with delivery old, and so on. The judge compares with an undisturbed run.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import click

from tests.broker import Broker
from tests.recovery.faults import await_followed, walked
from tests.recovery.judge import judge
from tests.recovery.world import World
from transport.config import Settings

ROOMS: Final = ("collector", "flow", "delivery")
SIDES: Final = tuple(itertools.permutations(ROOMS))


def upgraded(home: Path, other: Path, order: Sequence[str], log: Settings | None = None) -> dict[str, int]:
    """Upgrade the rooms in this order under load; the judge's figures. Each room is once the only new one, or old."""
    with World(home, log=log) as world:
        world.builds = dict.fromkeys(ROOMS, other.resolve())
        world.start(*ROOMS)
        people = walked(world)
        for number, name in enumerate((None, *order)):
            if name is not None:
                world.ask_to_stop(name)
                del world.builds[name]
                world.start(name)
            for each in people:
                each.rounds.put(number)
            await_followed(world, people, number + 1)
        return judge(world, people, range(len(order) + 1), patience_s=300)


@click.command()
@click.argument("other", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--order", "orders", multiple=True, help="Rooms with commas, in the order of their upgrade; else all six."
)
@click.option("--kafka", is_flag=True, help="On a Kafka of its own instead of the embedded log.")
def main(other: Path, orders: tuple[str, ...], kafka: bool) -> None:
    """Upgrade from the build in OTHER to this one, in each order of the rooms."""
    wanted = [tuple(each.split(",")) for each in orders] or SIDES
    with tempfile.TemporaryDirectory() as directory, ExitStack() as opened:
        broker = opened.enter_context(Broker(Path(directory) / "broker")) if kafka else None
        for number, order in enumerate(wanted):
            began, home = time.monotonic(), Path(directory) / str(number)
            log = None if broker is None else broker.settings(home / "data")
            figures = upgraded(home, other, order, log)
            click.echo(f"{', '.join(order)}: as an undisturbed run, {figures}, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
