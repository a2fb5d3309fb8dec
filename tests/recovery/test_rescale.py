"""Another number of flow processes: whatever ends the rescale, the states are in one place, and all of them."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.__main__ import cli
from contracts.codec import msgpack_reader, replaced, to_json, to_msgpack
from contracts.errors import AlreadyRunning, ConfigError
from contracts.topics import BEACONS, EVENTS
from flows.operators.logic import GroupSnapshot
from flows.operators.source import Position, Positions, positions_in
from flows.rescale import bytewax_store, switch
from flows.rescale.switch import Plan, Rescaled, rescale
from flows.state.changelog import Changelog, StateDamaged
from flows.state.recovery_dir import (
    LAYOUT,
    StoreShape,
    check_store,
    directory_of,
    locked,
    recovery_of,
    stores_in,
    write_shape,
)
from flows.state.rows import SnapshotAndTail
from tests.recovery.test_phantom import END_MS, STEP_MS, scenario, standing
from tests.recovery.virtual import GROUPS, T0_MS, Deed, Saved, VirtualWorld, arriving

PARTITIONS = 4
STEPS = {"recognise": "0", "follow": "1"}
_read_snapshot = msgpack_reader(GroupSnapshot)


SHAPE = StoreShape(PARTITIONS, GROUPS, 0, 1, {}, {"demo": "1"}, LAYOUT)


class Killed(BaseException):
    """The process ends here."""


def shape_of(world: VirtualWorld, index: int, of: int) -> StoreShape:
    topics = {name: world.log.topic_id(name) for name in (BEACONS, EVENTS)}
    return StoreShape(PARTITIONS, GROUPS, index, of, topics, {"demo": "1"}, LAYOUT)


def put_down(world: VirtualWorld) -> None:
    """Stop every process; what it saved last is in its store, as Bytewax has it."""
    for index in range(world.flows):
        if index in world.running:
            world.kill(index)
        saved = world.saved[index] or Saved({}, {})
        lanes = {f"{STEPS[step]}.{part}": position for (step, part), position in saved.positions.items()}
        states = [(f"segma.{step}", key, state) for (step, key), state in saved.states.items()]
        store = directory_of(world.home, index, world.flows)
        store.mkdir(parents=True, exist_ok=True)
        (store / bytewax_store.FILE).unlink(missing_ok=True)
        bytewax_store.write(store, [("segma.log", "log", to_msgpack(Positions(lanes))), *states])
        write_shape(store, shape_of(world, index, world.flows))
        (store / "lock").touch()


def pick_up(world: VirtualWorld, flows: int) -> None:
    """Start so many processes on what their stores hold."""
    world.flows, names = flows, {number: step for step, number in STEPS.items()}
    for index in range(flows):
        check_store(directory_of(world.home, index, flows), shape_of(world, index, flows))
        positions: dict[tuple[str, str], Position] = {}
        states: dict[tuple[str, str], bytes] = {}
        for step, key, state in bytewax_store.resumed(directory_of(world.home, index, flows)):
            if step == "segma.log":
                lanes = positions_in(state).items()
                positions |= {(names[lane[0]], lane[2:]): position for lane, position in lanes}
            else:
                states[step.removeprefix("segma."), key] = state
        world.saved[index] = Saved(positions, states)
        world.start(index)


def passed(world: VirtualWorld, waiting: list[tuple[int, Any]], until_ms: int, chance: random.Random) -> None:
    """Let time pass; processes save now and then."""
    while world.now_ms < T0_MS + until_ms:
        while waiting and waiting[0][0] <= world.now_ms:
            world.publisher.publish([waiting.pop(0)[1]])
        world.step(STEP_MS)
        for index in world.running:
            if chance.random() < 0.3:
                world.save(index)


def told(home: Path, what: list[Deed], numbers: list[int], chance: random.Random) -> tuple[set[str], Any]:
    """What stands, and the lists, of a run with these numbers of processes one after the other."""
    world = VirtualWorld(home, people=max(deed.person for deed in what) + 1, partitions=PARTITIONS, flows=numbers[0])
    waiting = list(arriving(world, what))
    for index in range(numbers[0]):
        world.start(index)
    for before, after in itertools.pairwise(numbers):
        passed(world, waiting, world.now_ms - T0_MS + chance.randrange(1_000, 5_000), chance)
        for index in range(before):
            if chance.random() < 0.5:
                world.save(index)  # drained; the others are killed
        put_down(world)
        passed(world, waiting, world.now_ms - T0_MS + chance.randrange(0, 2_000), chance)  # people go on meanwhile
        assert rescale(world.home, Plan(before, after), lambda step: None).keys > 0
        pick_up(world, after)
    passed(world, waiting, END_MS, chance)
    found = standing(world.commands()), world.lists()
    world.close()
    return found


@pytest.mark.parametrize("seed", range(3))
def test_another_number_of_processes_changes_no_move(seed: int, quick_disk: Path) -> None:
    what = scenario(seed)
    undisturbed = told(quick_disk / "one", what, [1], random.Random(seed))
    assert undisturbed[0], "nobody is moved: a test of nothing"
    assert told(quick_disk / "many", what, [1, 3, 2, 4, 1], random.Random(seed)) == undisturbed


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of one process in the middle of its work."""
    world = VirtualWorld(tmp_path_factory.mktemp("stopped") / "home", people=8, partitions=PARTITIONS)
    world.start(0)
    passed(world, list(arriving(world, scenario(1))), 4_000, random.Random(1))
    world.save(0)
    put_down(world)
    world.close()
    return world.home


@pytest.fixture
def store(stopped: Path, quick_disk: Path) -> Path:
    """A copy of it."""
    shutil.copytree(recovery_of(stopped), recovery_of(quick_disk / "home"))
    return quick_disk / "home"


State = tuple[GroupSnapshot, dict[str, SnapshotAndTail]]


def kept(home: Path, of: int) -> tuple[dict[str, Position], dict[tuple[str, str], State]]:
    """All that the stores of so many processes hold: positions by lane; snapshots and states by step and key."""
    lanes: dict[str, Position] = {}
    states: dict[tuple[str, str], State] = {}
    for index in range(of):
        directory = directory_of(home, index, of)
        with closing(Changelog(directory / "states")) as changelog:
            for step, key, state in bytewax_store.resumed(directory):
                if step == "segma.log":
                    assert {int(lane[2:]) % of for lane in positions_in(state)} == {index}
                    lanes |= positions_in(state)
                    continue
                assert int(key.partition("-")[0]) % of == index
                snapshot = _read_snapshot(state)
                assert (step, key) not in states
                chains = changelog.group(snapshot.position)[1]
                states[step, key] = (
                    replaced(snapshot, position=replaced(snapshot.position, group="", **NOWHERE)),
                    chains,
                )
    return lanes, states


NOWHERE: dict[str, Any] = {"segment": 0, "end": 0, "check": 0}
"""Where a state stands in a changelog is that one's own."""


def killer(at: int) -> Callable[[str], None]:
    """Counts steps down, and ends the process before the one with this number."""
    left = iter(range(at, -1, -1))

    def step(what: str) -> None:
        if next(left) == 0:
            raise Killed(what)

    return step


def test_a_rescale_killed_at_any_step_has_changed_nothing_or_goes_on(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch, "_take_back", lambda data, plan: None)  # a kill tidies nothing up
    steps, plan, before = list[str](), Plan(1, 3), kept(store, 1)
    assert len(before[0]) == 2 * PARTITIONS
    assert any(chains for _, chains in before[1].values())
    shutil.copytree(store, store.with_name("whole"))
    rescale(store.with_name("whole"), plan, steps.append)
    assert kept(store.with_name("whole"), 3) == before
    sides = set[bool]()
    for number in range(len(steps)):
        home = store.with_name(f"killed-{number}")
        shutil.copytree(store, home)
        with pytest.raises(Killed):
            rescale(home, plan, killer(number))
        switched = (recovery_of(home) / "rescaled").exists()
        sides.add(switched)
        done = number == steps.index("clearing up")
        assert switched == (number > steps.index("switching") and not done)
        if not switched and not done:
            assert kept(home, 1) == before, "it goes back: what was there is there"
        for index, of in [(0, 1), (0, 3)] if switched else []:
            with pytest.raises(ConfigError, match="a rescale was cut off"):
                check_store(directory_of(home, index, of), replaced(SHAPE, index=index, of=of))
        assert rescale(home, plan, lambda step: None).already is done
        assert kept(home, 3) == before, f"killed before {steps[number]!r}"
        assert stores_in(recovery_of(home)) == ["0-of-3", "1-of-3", "2-of-3"]
        assert not (recovery_of(home) / "0-of-1").exists()
        shutil.rmtree(home)
    assert sides == {True, False}


def test_one_killed_twice_behind_its_switch_goes_on(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch, "_take_back", lambda data, plan: None)
    steps, plan, before = list[str](), Plan(1, 3), kept(store, 1)
    shutil.copytree(store, store.with_name("whole"))
    rescale(store.with_name("whole"), plan, steps.append)
    with pytest.raises(Killed, match="placing 0-of-3/states"):
        rescale(store, plan, killer(next(n for n, step in enumerate(steps) if step.startswith("placing 0-of-3/st"))))
    left = 0
    while left >= 0:
        try:
            rescale(store, plan, killer(left))
        except Killed:
            left += 1
        else:
            left = -1
    assert kept(store, 3) == before


def test_one_killed_in_the_middle_of_a_removal_goes_on(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, removed, whole = kept(store, 1), shutil.rmtree, list[Path]()
    monkeypatch.setattr(switch, "_take_back", lambda data, plan: None)

    def counted(path: Path, **options: Any) -> None:
        whole.append(path)
        removed(path, **options)

    monkeypatch.setattr(shutil, "rmtree", counted)
    shutil.copytree(store, store.with_name("whole"))
    rescale(store.with_name("whole"), Plan(1, 3), lambda step: None)
    for number, last in itertools.product(range(len(whole)), ("shape.json", switch.PLAN, "lock", bytewax_store.FILE)):
        home, left = store.with_name(f"killed-{number}-{last}"), iter(range(number, -1, -1))
        shutil.copytree(store, home)

        def cut_off(path: Path, left: Iterator[int] = left, last: str = last, **options: Any) -> None:
            if next(left):
                removed(path, **options)
                return
            for each in path.rglob(last):
                each.unlink()
            raise Killed(path)

        monkeypatch.setattr(shutil, "rmtree", cut_off)
        with pytest.raises(Killed):
            rescale(home, Plan(1, 3), lambda step: None)
        monkeypatch.setattr(shutil, "rmtree", removed)
        rescale(home, Plan(1, 3), lambda step: None)
        assert kept(home, 3) == before
        removed(home)


def test_one_that_fails_leaves_nothing_behind(store: Path) -> None:
    def step(what: str) -> None:
        if what.startswith("writing 2"):
            raise OSError(28, "No space left on device")

    before = sorted(recovery_of(store).rglob("*"))
    with pytest.raises(ConfigError, match="No space left on device; nothing is lost"):
        rescale(store, Plan(1, 3), step)
    assert sorted(recovery_of(store).rglob("*")) == before


def test_it_may_be_asked_for_again(store: Path) -> None:
    rescale(store, Plan(1, 2), lambda step: None)
    assert rescale(store, Plan(1, 2), lambda step: None) == Rescaled(0, already=True)


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        (Plan(2, 3), "the state lies in 0-of-1; that of 1 processes: --from 1"),
        (Plan(1, PARTITIONS + 1), "5 processes are more than 4 partitions"),
    ],
)
def test_numbers_that_do_not_fit_are_told(plan: Plan, text: str, store: Path) -> None:
    before = sorted(recovery_of(store).rglob("*"))
    with pytest.raises(ConfigError, match=text):
        rescale(store, plan, lambda step: None)
    assert sorted(recovery_of(store).rglob("*")) == before


def test_a_running_flow_is_told(store: Path) -> None:
    with locked(directory_of(store, 0, 1)), pytest.raises(AlreadyRunning, match="another flow uses"):
        rescale(store, Plan(1, 2), lambda step: None)
    assert kept(store, 1)[0]


def test_a_home_without_a_store_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no flow has kept any state"):
        rescale(tmp_path, Plan(1, 2), lambda step: None)
    recovery_of(tmp_path).mkdir()
    with pytest.raises(ConfigError, match="no flow has kept any state"):
        rescale(tmp_path, Plan(1, 2), lambda step: None)


def test_stores_that_are_not_all_there_or_do_not_fit_are_told(store: Path) -> None:
    rescale(store, Plan(1, 3), lambda step: None)
    second = directory_of(store, 1, 3)
    shape = (second / "shape.json").read_bytes()
    second.rename(store / "elsewhere")
    with pytest.raises(ConfigError, match="1-of-3 is not here: what its partitions know would be lost"):
        rescale(store, Plan(3, 2), lambda step: None)
    (store / "elsewhere").rename(second)
    other = StoreShape(PARTITIONS, GROUPS, 1, 3, {BEACONS: "another", EVENTS: "another"}, {"demo": "1"}, LAYOUT)
    for change, text in [
        (to_json(other), "1-of-3 belongs to another log"),
        (to_json(replaced(other, groups=GROUPS + 1)), "1-of-3 belongs to another log, or has other groups"),
        (to_json(replaced(other, layout=1)), "another release, in another layout"),
        (to_json(replaced(other, schema=2)), "written by a newer release"),
        (to_json(replaced(other, of=4)), "what lies in 1-of-3 was made for process 1 of 4"),
        (to_json(replaced(other, index=2)), "what lies in 1-of-3 was made for process 2 of 3"),
        (b"{", "cannot be read"),
    ]:
        (second / "shape.json").write_bytes(change)
        with pytest.raises(ConfigError, match=text):
            rescale(store, Plan(3, 2), lambda step: None)
    (second / "shape.json").write_bytes(shape)
    assert rescale(store, Plan(3, 2), lambda step: None).keys > 0


def test_a_cut_off_one_is_ended_before_another_begins(store: Path) -> None:
    with pytest.raises(Killed):
        rescale(store, Plan(1, 3), lambda step: killer(0)(step) if step == "ending" else None)
    with pytest.raises(ConfigError, match=r"a rescale from 1 to 3 was cut off.*--from 1 --to 3"):
        rescale(store, Plan(3, 1), lambda step: None)
    assert rescale(store, Plan(1, 3), lambda step: None) == Rescaled(0)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("PRAGMA user_version = 6", r"another release of Bytewax \(schema 6, not 5\)"),
        ("UPDATE snaps SET step_id = 'segma.later' WHERE state_key = '0'", "does not have: segma.later"),
        ("UPDATE snaps SET ser_change = x'80' WHERE state_key = '0'", "cannot be read"),
        ("DROP TABLE snaps", "cannot be read"),
    ],
)
def test_a_store_of_another_release_is_told(change: str, text: str, store: Path) -> None:
    with closing(sqlite3.connect(directory_of(store, 0, 1) / bytewax_store.FILE)) as database, database:
        database.execute(change)
    with pytest.raises(StateDamaged, match=text):
        rescale(store, Plan(1, 2), lambda step: None)
    assert stores_in(recovery_of(store)) == ["0-of-1"]


def asked(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["flow", *words])
    return done.exit_code, done.output


def test_the_command_says_what_it_did_or_what_is_wrong(store: Path) -> None:
    home, numbers = str(store.parent), ("--from", "1", "--to", "3")
    store.rename(store.with_name("data"))
    assert asked("--home", home, "rescale", *numbers)[0] == 2
    assert asked("rescale", "--home", home, "--from", "2", "--to", "2")[0] == 2
    assert asked("rescale", "--home", home, "--from", "2", "--to", "3")[0] == 2
    with locked(directory_of(store.with_name("data"), 0, 1)):
        assert asked("rescale", "--home", home, *numbers)[0] == 4
    code, said = asked("rescale", "--home", home, *numbers, "--json")
    assert code == 0
    assert json.loads(said)["keys"] > 0
    assert json.loads(asked("rescale", "--home", home, *numbers, "--json")[1])["already"]
