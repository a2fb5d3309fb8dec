"""``python -m tests.recovery``: the judge for longer than CI has time for; it prints what it compared.

On a Kafka of its own: kills of collector, flow and delivery under load, then of the broker, then the broker away, with
a spool that fills up. Ends with 1, and the assertion that failed, where a run with faults differs from one without.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

import click

from tests.broker import Broker
from tests.recovery.faults import kill_at_random, kill_broker, walked
from tests.recovery.judge import judge
from tests.recovery.world import World

PROCESSES = ("collector", "flow", "delivery")


def say(text: str) -> None:
    click.echo(text, err=True)


@click.command()
@click.option("--kills", default=100, show_default=True, help="Of collector, flow and delivery, shuffled.")
@click.option("--broker-kills", default=10, show_default=True)
@click.option("--away-s", default=60.0, show_default=True, help="How long the broker stays away at the end.")
@click.option("--spool-bytes", default=60_000, show_default=True, help="The collector's spool: it must fill up.")
@click.option("--seed", default=1, show_default=True)
def main(kills: int, broker_kills: int, away_s: float, spool_bytes: int, seed: int) -> None:
    """Kill everything, then compare."""
    chance, began = random.Random(seed), time.monotonic()
    targets = [PROCESSES[number % 3] for number in range(kills)]
    chance.shuffle(targets)
    with tempfile.TemporaryDirectory() as directory, Broker(Path(directory) / "broker") as broker:
        interrupted, first = _killed(Path(directory) / "first", broker, targets, chance)
        click.echo(f"{kills} kills of processes, {interrupted} of work in flight: {first}")
        home = Path(directory) / "second"
        refused, second = _broker_killed(home, broker, broker_kills, away_s, spool_bytes, chance)
        click.echo(f"{broker_kills} kills of the broker, then away for {away_s:.0f} s, {refused} × 503: {second}")
    click.echo(f"as an undisturbed run; seed {seed}, {time.monotonic() - began:.0f} s")


def _killed(home: Path, broker: Broker, targets: list[str], chance: random.Random) -> tuple[int, dict[str, int]]:
    with World(home, log=broker.settings(home / "data"), delay_ms=1) as world:
        world.start(*PROCESSES)
        people = walked(world)
        for each in people:
            each.rounds.put(len(targets))
        interrupted = kill_at_random(world, targets, people, chance, rest_s=1.0, say=say)
        assert interrupted * 2 >= len(targets), f"only {interrupted} of {len(targets)} kills interrupted work"
        return interrupted, judge(world, people, [len(targets), *range(len(targets))], patience_s=300)


def _broker_killed(
    home: Path, broker: Broker, times: int, away_s: float, spool_bytes: int, chance: random.Random
) -> tuple[int, dict[str, int]]:
    settings = broker.settings(home / "data").model_copy(update={"kafka_timeout_ms": 2_000})
    with World(home, log=settings, SEGMA_SPOOL_MAX_BYTES=str(spool_bytes)) as world:
        world.start(*PROCESSES)
        people = walked(world)
        kill_broker(world, broker, people, chance, times=times, away_s=away_s, say=say)
        figures = judge(world, people, [times + 1, *range(times + 1)], patience_s=300)
        return sum(each.refused for each in people), figures


if __name__ == "__main__":
    main()
