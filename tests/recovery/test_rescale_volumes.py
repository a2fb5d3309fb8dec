"""Another number of flow processes where each has a volume of its own, as in Kubernetes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from contracts.codec import replaced
from contracts.errors import AlreadyRunning, ConfigError
from flows.rescale import switch
from flows.rescale.switch import Plan, Rescaled, rescale
from flows.state.recovery_dir import check_store, directory_of, locked, recovery_of, stores_in
from tests.recovery.test_rescale import SHAPE, Killed, asked, kept, killer, stopped, store

__all__ = ["stopped", "store"]
Volumes = Sequence[Path]


def spread(home: Path, to: Path, of: int, count: int) -> Volumes:
    """The stores of a home, each on its volume; as many volumes as asked for."""
    volumes = [to / str(index) / "own" for index in range(count)]
    for index in range(of):
        recovery_of(volumes[index]).mkdir(parents=True)
        directory_of(home, index, of).rename(directory_of(volumes[index], index, of))
    return volumes


def held(volumes: Volumes, of: int) -> object:
    """What the stores on the volumes hold; there are those of this number, each on its own, and nothing else."""
    for index, volume in enumerate(volumes):
        assert stores_in(recovery_of(volume)) == ([f"{index}-of-{of}"] if index < of else [])
    together = volumes[0].parent.parent / "together"
    for index in range(of):
        shutil.copytree(directory_of(volumes[index], index, of), directory_of(together, index, of))
    found = kept(together, of)
    shutil.rmtree(together)
    return found


@pytest.fixture
def two(store: Path) -> tuple[Path, object]:
    """A home of two processes, and what it holds."""
    rescale(store, Plan(1, 2), lambda step: None)
    return store, kept(store, 2)


@pytest.mark.parametrize("after", [1, 3, 4])
def test_each_state_comes_to_the_volume_of_its_process(two: tuple[Path, object], after: int) -> None:
    home, before = two
    volumes = spread(home, home.with_name("volumes"), 2, max(2, after))
    assert rescale(volumes, Plan(2, after), lambda step: None).keys > 0
    assert held(volumes, after) == before
    assert rescale(volumes, Plan(2, after), lambda step: None) == Rescaled(0, already=True)
    assert rescale(volumes, Plan(after, 2), lambda step: None).keys > 0
    assert held(volumes, 2) == before


@pytest.mark.parametrize("after", [1, 3])
def test_one_killed_at_any_step_has_changed_nothing_or_goes_on(
    two: tuple[Path, object], after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch, "_take_back", lambda places, plan: None)  # a kill tidies nothing up
    (home, before), plan, count = two, Plan(2, after), max(2, after)

    def made(name: str) -> Volumes:
        shutil.copytree(home, home.with_name(f"home-{name}"))
        return spread(home.with_name(f"home-{name}"), home.with_name(name), 2, count)

    steps = list[str]()
    rescale(made("whole"), plan, steps.append)
    assert steps.count("switching") == count
    for number in range(len(steps)):
        volumes = made(f"killed-{number}")
        with pytest.raises(Killed):
            rescale(volumes, plan, killer(number))
        switched = [volume for volume in volumes if (recovery_of(volume) / "rescaled").exists()]
        if number <= steps.index("switching"):
            assert not switched
            assert held(volumes, 2) == before, "it goes back: what was there is there"
        for volume in switched:
            with pytest.raises(ConfigError, match="a rescale was cut off"):
                check_store(directory_of(volume, 0, after), replaced(SHAPE, index=0, of=after))
        rescale(volumes, plan, lambda step: None)
        assert held(volumes, after) == before, f"killed before {steps[number]!r}"
        shutil.rmtree(volumes[0].parent.parent)


def test_volumes_in_another_order_are_refused(two: tuple[Path, object]) -> None:
    home, before = two
    volumes = spread(home, home.with_name("volumes"), 2, 3)
    with pytest.raises(ConfigError, match="is another process's folder; give the folders in the order"):
        rescale([volumes[1], volumes[0], volumes[2]], Plan(2, 3), lambda step: None)
    assert held(volumes, 2) == before


def test_a_flow_that_still_drains_is_told(two: tuple[Path, object]) -> None:
    home, before = two
    volumes = spread(home, home.with_name("volumes"), 2, 3)
    with locked(directory_of(volumes[1], 1, 2)), pytest.raises(AlreadyRunning, match="another flow uses"):
        rescale(volumes, Plan(2, 3), lambda step: None)
    assert held(volumes, 2) == before


def test_a_volume_without_room_is_told_before_anything_is_made(
    two: tuple[Path, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, before = two
    volumes = spread(home, home.with_name("volumes"), 2, 3)
    usage: Callable[[Path], Any] = shutil.disk_usage
    full = recovery_of(volumes[2])

    def free(path: Path) -> Any:
        found = usage(path)
        return found._replace(free=0) if path == full else found

    monkeypatch.setattr(shutil, "disk_usage", free)
    with pytest.raises(ConfigError, match=r"volumes/2/own/recovery: .* bytes may be needed and 0 are free"):
        rescale(volumes, Plan(2, 3), lambda step: None)
    assert held(volumes, 2) == before


def test_the_command_takes_where_each_process_has_its_data(two: tuple[Path, object]) -> None:
    home, before = two
    volumes, words = spread(home, home.with_name("volumes"), 2, 3), ("--from", "2", "--to", "3", "--json")
    where = str(home.with_name("volumes") / "{}" / "own")
    code, said = asked("rescale", "--home", str(home), *words, "--data-of", where.replace("{}", "{0}"))
    assert code == 2
    assert "{}" in said
    code, said = asked("rescale", "--home", str(home), *words, "--data-of", where)
    assert code == 0, said
    assert json.loads(said)["keys"] > 0
    assert held(volumes, 3) == before
    assert volumes[2].stat().st_mode & 0o077 == 0, "a folder that it made is its owner's"
