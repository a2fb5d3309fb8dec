"""A deadline fires, its command is out, the flow dies before its snapshot, and the denial is next in the log.

After the restart it fires again, under the same id, and is taken back as in a run without kills: the log is the clock.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from contracts.commands import Command
from contracts.topics import moves_topic
from tests.recovery.virtual import T0_MS, Deed, VirtualWorld, arriving

SPAN_MS = 6_000
CALM_MS = 16_000
"""From here on nobody is killed: everything that is due comes out."""
END_MS = 26_000
STEP_MS = 500
SEEDS = 200
PEOPLE = 8
MOVES = moves_topic("demo", "mailbox")


def run(home: Path, what: list[Deed], chance: random.Random | None) -> tuple[list[Command], dict[str, list[str]], int]:
    """Commands and lists of a run with two flow processes; with ``chance`` they are killed. How often a kill came
    between a command and the snapshot.
    """
    world = VirtualWorld(home, people=max(deed.person for deed in what) + 1, flows=2)
    waiting, down, phantoms = list(arriving(world, what)), dict[int, int](), 0
    world.start(0)
    world.start(1)
    said = 0
    while world.now_ms < T0_MS + END_MS:
        while waiting and waiting[0][0] <= world.now_ms:
            world.publisher.publish([waiting.pop(0)[1]])
        world.step(STEP_MS)
        if chance is None:
            continue
        count = world.log.end(MOVES)[0]
        if world.now_ms < T0_MS + CALM_MS:
            phantoms += _killed(world, chance, down, spoke=count > said)
        said = count
        for index in [index for index, steps in down.items() if steps <= 0]:
            del down[index]
            world.start(index)
        for index in down:
            down[index] -= 1
        for index in world.running:
            if chance.random() < 0.2:
                world.save(index)
    found, lists = world.commands(), world.lists()
    world.close()
    return found, lists, phantoms


def _killed(world: VirtualWorld, chance: random.Random, down: dict[int, int], *, spoke: bool) -> int:
    """Kill one, the other, or both in either order; mostly where a command has just gone out."""
    if chance.random() > (0.6 if spoke else 0.05):
        return 0
    targets = [index for index in world.running if chance.random() < 0.7]
    chance.shuffle(targets)
    for index in targets:
        world.kill(index)
        down[index] = chance.randrange(0, 6)
    return bool(targets and spoke)


def scenario(seed: int) -> list[Deed]:
    """A basket of everybody's, and purchases: in time, too late, or made in time and heard of behind the deadline."""
    chance, made = random.Random(seed), list[Deed]()
    for person in range(PEOPLE):
        at_ms = chance.randrange(0, SPAN_MS, 50)
        made.append(Deed(at_ms, person, "product_added"))
        in_time_ms, too_late_ms = at_ms + chance.randrange(50, 4_900, 50), at_ms + chance.randrange(5_000, 7_000, 50)
        kind = chance.random()
        if kind < 0.6:
            made.append(Deed(in_time_ms, person, "product_bought", chance.choice([0, 8_000, 9_000, 10_000, 11_000])))
        elif kind < 0.8:
            made.append(Deed(too_late_ms, person, "product_bought"))
        for _ in range(chance.randrange(4)):
            made.append(Deed(at_ms + chance.randrange(0, 9_000, 50), person, "page_viewed"))
    return sorted(made, key=lambda deed: deed.at_ms + deed.delay_ms)


def standing(commands: list[Command]) -> set[str]:
    """The matches whose commands were not taken back."""
    undone = {command.undoes for command in commands if command.undoes}
    return {command.match_id for command in commands if not command.undoes and command.command_id not in undone}


def compared(seed: int, home: Path) -> int:
    """Run a seed with and without kills; how often a kill came between a command and the snapshot."""
    what = scenario(seed)
    commands, lists, _ = run(home / "undisturbed", what, None)
    killed, after, phantoms = run(home / "killed", what, random.Random(seed))
    # A flow that was down fires later, so it may have heard of the denial before; what stands is the same.
    assert standing(killed) == standing(commands)
    assert after == lists
    return phantoms


@pytest.mark.slow
@pytest.mark.parametrize("tenth", range(10))
def test_a_deadline_that_fired_before_a_crash_fires_again_and_is_taken_back(tenth: int, quick_disk: Path) -> None:
    phantoms = sum(
        compared(seed, quick_disk / str(seed)) for seed in range(tenth * SEEDS // 10, (tenth + 1) * SEEDS // 10)
    )
    assert phantoms >= SEEDS // 10, "the kills did not come where they hurt"


def test_the_scenarios_hold_absences_that_are_denied(quick_disk: Path) -> None:
    # Otherwise the test above would be one of nothing: a run without kills fires deadlines and takes some of them back.
    commands, lists, _ = run(quick_disk, scenario(0), None)
    undone = [command for command in commands if command.undoes]
    assert undone
    assert len(lists["abandoned"]) >= 1
    assert len(lists["newsletter"]) >= len(undone), "who was moved wrongly is back"
