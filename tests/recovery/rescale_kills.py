"""``python -m tests.recovery.rescale_kills``: another number of flows under load, with kills of flows and rescales.

People walk on all the while. Flows are killed at work or stopped; a rescale is killed at a random moment, again and
again, and then ends what is left. The judge compares with a run of nothing of that kind.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from tests.broker import Broker
from tests.recovery.faults import Say, await_followed, await_in_flight, walked
from tests.recovery.judge import judge
from tests.recovery.people import People
from tests.recovery.world import PEOPLE, SILENCE_S, World
from transport.config import Settings

PARTITIONS: Final = 4
NUMBERS: Final = (1, 3, 2)
PROGRAM: Final = """
import sys
from pathlib import Path
from flows.rescale.switch import Plan, rescale
plan = Plan(int(sys.argv[2]), int(sys.argv[3]))
print("ready", flush=True)
sys.stdin.readline()
rescale(Path(sys.argv[1]), plan, lambda step: None)
"""
"""What the command does, with everything loaded before it begins: a kill falls into the work."""


class Rescales:
    """Rescales of a world's stores, killed on the way."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world, self.chance = world, chance
        self.kills = self.interrupted = 0
        self._took_s = 0.2

    def run(self, before: int, after: int, kills: int) -> None:
        """Kill it so often, then let it end."""
        for number in range(kills + 1):
            with self._started(before, after) as process:
                began = time.monotonic()
                if number == kills:
                    said = process.communicate(b"\n", SILENCE_S)[0]
                    assert process.returncode == 0, said
                    self._took_s = max(time.monotonic() - began, 0.02)
                else:
                    self._kill(process)

    def _started(self, before: int, after: int) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-c", PROGRAM, str(self._world.home / "data"), str(before), str(after)]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready == b"ready\n", ready + process.stdout.read()
        return process

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        threading.Event().wait(self.chance.uniform(0, self._took_s))
        process.kill()
        self.interrupted += process.wait() == -9
        self.kills += 1


def round_of(world: World, people: Sequence[People], rescales: Rescales, after: int, kills: int) -> float:
    """End the flows (half of them by a kill), rescale with so many kills, start them; how long none was at work."""
    names, before = list(world.flows), len(world.flows)
    chance = rescales.chance
    for name in names:
        if chance.random() < 0.5:
            world.kill(name)
            rescales.kills += 1
        else:
            # One that is still starting has nothing to drain, and ends as it is told to.
            assert world.ask_to_stop(name) in {0, -signal.SIGTERM}, world.said(name)
    began = time.monotonic()
    rescales.run(before, after, kills)
    world.have_flows(after)
    world.start(*world.flows)
    return time.monotonic() - began


def rescaled(
    home: Path, numbers: Sequence[int], kills: int, chance: random.Random, say: Say, log: Settings | None = None
) -> dict[str, int]:
    """Go through these numbers of flows under load, with so many kills in each rescale; the judge's figures.

    ``log``: of a broker; None: the embedded one.
    """
    with World(home, log=log, partitions=PARTITIONS, flows=numbers[0]) as world:
        world.start("collector", *world.flows, "delivery")
        people, rescales = walked(world), Rescales(world, chance)
        for each in people:
            each.rounds.put(0)
        await_followed(world, people, 1)  # a flow that is still starting has no store
        for number, after in enumerate(numbers[1:], 1):
            for each in people:
                each.rounds.put(number)
            await_in_flight(world, world.flows[0], people, number + 1)
            pause = round_of(world, people, rescales, after, kills)
            say(f"{numbers[number - 1]} to {after}: {rescales.kills} kills, {pause:.1f} s without a flow")
        assert rescales.interrupted or not kills, "no kill came before the end of a rescale"
        figures = judge(world, people, range(len(numbers)), patience_s=300)
        return figures | {"kills": rescales.kills, "interrupted": rescales.interrupted}


@click.command()
@click.option("--kills", default=100, show_default=True, help="Of rescales and flows, at least.")
@click.option("--each", default=5, show_default=True, help="Kills in each rescale.")
@click.option("--seed", default=1, show_default=True)
@click.option("--kafka", is_flag=True, help="On a broker of its own, and not on the embedded log.")
def main(kills: int, each: int, seed: int, kafka: bool) -> None:
    """Kill flows and rescales, then compare."""
    rounds = -(-kills // each)
    numbers = [*itertools.islice(itertools.cycle(NUMBERS), rounds + 1)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as owned:
        chance, home = random.Random(seed), Path(directory) / "home"
        log: Settings | None = None
        if kafka:
            log = owned.enter_context(Broker(Path(directory) / "broker")).settings(home / "data")
        figures = rescaled(home, numbers, each, chance, lambda text: click.echo(text, err=True), log)
    took = time.monotonic() - began
    click.echo(f"{rounds} rescales under the load of {PEOPLE} people: {figures}; seed {seed}, {took:.0f} s")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    main()
