"""Another number of flow processes, without a moment in which the states are in no place or in two.

The new stores are written beside the old ones (``recovery/rescaling``); until then nothing has happened, whatever ends
this. Renaming that directory to ``recovery/rescaled`` is the switch: from then on the new stores count, no flow starts,
and whoever comes next puts them in their places and removes the old ones. Each step after it may be done again.

Where each process has a folder of its own (a volume), each has such a directory. The first rename is the switch then:
by that time the new stores are whole in every folder, so that whoever comes next only has to rename the others.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

from contracts.codec import Value, json_reader, replaced, to_json, written
from contracts.errors import BadRecord, ConfigError, Problem
from contracts.plurals import counted
from flows.rescale.copying import copy_states
from flows.state.recovery_dir import (
    LAYOUT,
    RESCALED,
    SHAPE_FILE,
    StoreShape,
    directory_of,
    locked,
    recovery_of,
    shape_in,
    stores_in,
    write_shape,
)

RESCALING: Final = "rescaling"
PLAN: Final = "plan.json"
ROOM: Final = 16 << 20
"""Bytes of the disk that stay free."""


class Plan(Value, frozen=True):
    """From how many processes to how many."""

    SCHEMA: ClassVar[int] = 1

    before: int
    after: int
    schema: int = written(1)

    def __str__(self) -> str:
        return f"from {self.before} to {self.after}"


class Places:
    """Where the stores of the processes lie: of all in one data folder, or of each in one of its own."""

    def __init__(self, data: Path | Sequence[Path], plan: Plan) -> None:
        self._data = [data] * max(plan.before, plan.after) if isinstance(data, Path) else list(data)
        self.recoveries = list(dict.fromkeys(map(recovery_of, self._data)))
        """Each folder of stores, once."""

    def recovery(self, index: int) -> Path:
        """Where the stores of a process lie."""
        return recovery_of(self._data[index])

    def store(self, index: int, of: int) -> Path:
        """The store of process ``index`` of ``of``."""
        return directory_of(self._data[index], index, of)

    def stores(self) -> list[Path]:
        """All stores that there are."""
        return [recovery / name for recovery in self.recoveries for name in stores_in(recovery)]

    def staged(self, index: int, of: int, under: str) -> Path:
        """Where a new store lies until it is put in its place."""
        return self.recovery(index) / under / self.store(index, of).name

    @property
    def is_switched(self) -> bool:
        """Whether the new stores count already."""
        return any((recovery / RESCALED).exists() for recovery in self.recoveries)


class Rescaled(NamedTuple):
    """What a rescale did. ``keys``: the devices and subscribers that were copied; 0 where only the rest was done."""

    keys: int
    already: bool = False


_read_plan: Final[Callable[[bytes], Plan]] = json_reader(Plan)


def rescale(data: Path | Sequence[Path], plan: Plan, step: Callable[[str], None]) -> Rescaled:
    """Move the states of ``plan.before`` processes to ``plan.after``, or end what was cut off before.

    ``data``: the data folder of all processes, or that of each, as many as the larger number. ``step`` is told what is
    done next; what it raises ends the rescale there, as a kill would.

    Raises:
        AlreadyRunning: a flow, or another rescale, uses one of the stores.
        ConfigError: the stores are not those of ``plan.before`` processes, do not fit together, or came of another
            release; or there is no room. Nothing was changed.
        StateDamaged: a store cannot be read. Nothing was changed.
    """
    places = Places(data, plan)
    first = places.recovery(0)
    if not any(each.is_dir() for each in places.recoveries):
        raise _problem(first, "no flow has kept any state here", "is it the right home?")
    try:
        with ExitStack() as owned:
            return _rescale(places, plan, step, owned)
    except OSError as error:
        again = "nothing is lost; run the same command again"
        raise _problem(first, f"cannot be written: {error}", again) from error


def _rescale(places: Places, plan: Plan, step: Callable[[str], None], owned: ExitStack) -> Rescaled:
    if places.is_switched:
        _check_same(places, plan)
        _own(owned, places, plan)
        _settle(places, plan, step)
        return Rescaled(0)
    if _is_done(places, plan):
        return Rescaled(0, already=True)
    shapes = _shapes(places, plan)
    _own(owned, places, plan)
    try:
        keys = _copy(places, plan, shapes, step)
    except BaseException:
        if not places.is_switched:
            _take_back(places, plan)
        raise
    _settle(places, plan, step)
    return Rescaled(keys)


def _own(owned: ExitStack, places: Places, plan: Plan) -> None:
    """Let no flow of either number start."""
    for of in (plan.before, plan.after):
        for index in range(of):
            owned.enter_context(locked(places.store(index, of)))


def _take_back(places: Places, plan: Plan) -> None:
    """Remove what a rescale has made that did not come to its switch."""
    for recovery in places.recoveries:
        shutil.rmtree(recovery / RESCALING, ignore_errors=True)
    for index in range(plan.after):
        shutil.rmtree(places.store(index, plan.after), ignore_errors=True)


def _copy(places: Places, plan: Plan, shapes: Sequence[StoreShape], step: Callable[[str], None]) -> int:
    """Write the new stores and switch to them; how many keys they have."""
    sources = [places.store(shape.index, shape.of) for shape in shapes]
    _check_room(places, plan, sources)
    targets = [places.staged(index, plan.after, RESCALING) for index in range(plan.after)]
    staging = [recovery / RESCALING for recovery in places.recoveries]
    for each in staging:
        shutil.rmtree(each, ignore_errors=True)
    for each in (*staging, *targets):
        each.mkdir(parents=True, exist_ok=True)
    keys = copy_states(sources, targets, step)
    secrets = {name: each for shape in shapes for name, each in shape.workspaces.items()}
    for index, target in enumerate(targets):
        write_shape(target, replaced(shapes[0], index=index, of=plan.after, workspaces=secrets))
    for each in staging:
        (each / PLAN).write_bytes(to_json(plan))
        for path in (each, *each.rglob("*")):
            _sync(path)
    for recovery in places.recoveries:
        step("switching")
        _renamed(recovery / RESCALING, recovery / RESCALED)
    return keys


def _settle(places: Places, plan: Plan, step: Callable[[str], None]) -> None:
    """Put the new stores in their places and remove the old ones. Whatever of it was done already stays done."""
    for recovery in places.recoveries:
        # NOTE: a kill came between the renames; or behind the last one of a folder, whose plan moves nothing then.
        if (recovery / RESCALING / PLAN).exists():
            _renamed(recovery / RESCALING, recovery / RESCALED)
    for recovery in places.recoveries:
        _settle_folder(places, recovery, plan, step)


def _settle_folder(places: Places, recovery: Path, plan: Plan, step: Callable[[str], None]) -> None:
    """Do so in one of the folders, if it was not done there."""
    for index in range(plan.before):
        old = places.store(index, plan.before)
        if old.parent == recovery:
            step(f"removing {old.name}")
            shutil.rmtree(old)
    if not (recovery / RESCALED).exists():
        return
    for index in range(plan.after):
        new = places.store(index, plan.after)
        if new.parent == recovery:
            _place(recovery / RESCALED / new.name, new, step)
    step("ending")
    # NOTE: removed as it is, it would count as a switch until the last file is gone, and its plan goes before that.
    _renamed(recovery / RESCALED, recovery / RESCALING)
    step("clearing up")
    shutil.rmtree(recovery / RESCALING)


def _place(staged: Path, new: Path, step: Callable[[str], None]) -> None:
    # NOTE: a store is one once it has its shape, so that comes last.
    for entry in sorted(staged.glob("*"), key=lambda path: path.name == SHAPE_FILE):
        step(f"placing {new.name}/{entry.name}")
        _renamed(entry, new / entry.name)


def _renamed(path: Path, to: Path) -> None:
    path.rename(to)
    _sync(to.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_same(places: Places, plan: Plan) -> None:
    for recovery in places.recoveries:
        if not (recovery / RESCALED).exists():
            continue
        try:
            found = _read_plan((recovery / RESCALED / PLAN).read_bytes())
        except (BadRecord, FileNotFoundError) as error:
            raise _problem(recovery / RESCALED / PLAN, f"cannot be read: {error}", "put it back") from None
        if found != plan:
            again = f"run `segma flow rescale --from {found.before} --to {found.after}` again first"
            raise _problem(recovery, f"a rescale {found} was cut off and is to be ended", again)


def _is_done(places: Places, plan: Plan) -> bool:
    """Whether there are the new stores and no others."""
    return sorted(places.stores()) == sorted(places.store(index, plan.after) for index in range(plan.after))


def _shapes(places: Places, plan: Plan) -> list[StoreShape]:
    """What the old stores were made for. Raises :class:`ConfigError` where they are not to be moved."""
    recovery = places.recovery(0)
    there = places.stores()
    wanted = [places.store(index, plan.before) for index in range(plan.before)]
    names = {each.name for each in wanted}
    if strange := [each.name for each in there if each.name not in names]:
        was = strange[0].rpartition("-")[2]
        raise _problem(recovery, f"the state lies in {', '.join(strange)}", f"that of {was} processes: --from {was}")
    if elsewhere := [str(each) for each in there if each not in wanted]:
        text = f"{', '.join(elsewhere)} is another process's folder"
        raise _problem(recovery, text, "give the folders in the order of the processes")
    shapes = {each.name: shape for each in there if (shape := shape_in(each)) is not None}
    if not shapes:
        raise _problem(recovery, "no flow has kept any state here", "is it the right home?")
    partitions = next(iter(shapes.values())).partitions
    if missing := [each.name for each in wanted[:partitions] if each not in there]:
        text = f"{', '.join(missing)} is not here: what its partitions know would be lost"
        raise _problem(recovery, text, "bring the stores of all processes here first")
    problems = [Problem(str(recovery), "", text, "nothing was changed") for text in _faults(shapes, plan)]
    if problems:
        raise ConfigError(problems)
    return sorted(shapes.values(), key=lambda shape: shape.index)


def _faults(shapes: Mapping[str, StoreShape], plan: Plan) -> Iterator[str]:
    first = next(iter(shapes.values()))
    if plan.after > first.partitions:
        there = counted(first.partitions, "partition")
        yield f"{plan.after} processes are more than {there}: some would have nothing to do"
    for name, shape in shapes.items():
        if name != f"{shape.index}-of-{shape.of}":
            yield f"what lies in {name} was made for process {shape.index} of {shape.of}"
        if shape.layout != LAYOUT:
            yield f"{name} came of another release, in another layout"
        if (shape.partitions, shape.groups, shape.topics) != (first.partitions, first.groups, first.topics):
            yield f"{name} belongs to another log, or has other groups, than {next(iter(shapes))}"


def _check_room(places: Places, plan: Plan, sources: Sequence[Path]) -> None:
    needed = sum(path.stat().st_size for source in sources for path in source.rglob("*") if path.is_file())
    for recovery in places.recoveries:
        own = sum(places.recovery(index) == recovery for index in range(plan.after))
        share, free = needed * own // plan.after, shutil.disk_usage(recovery).free
        if share + ROOM > free:
            raise _problem(recovery, f"{counted(share, 'byte')} may be needed and {free:,} are free", "make room")


def _problem(path: Path, found: str, wanted: str) -> ConfigError:
    return ConfigError([Problem(str(path), "", found, wanted)])
