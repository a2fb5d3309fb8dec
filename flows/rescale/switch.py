"""Another number of flow processes, without a moment in which the states are in no place or in two.

The new stores are written beside the old ones (``recovery/rescaling``); until then nothing has happened, whatever ends
this. Renaming that directory to ``recovery/rescaled`` is the switch: from then on the new stores count, no flow starts,
and whoever comes next puts them in their places and removes the old ones. Each step after it may be done again.
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


class Rescaled(NamedTuple):
    """What a rescale did. ``keys``: the devices and subscribers that were copied; 0 where only the rest was done."""

    keys: int
    already: bool = False


_read_plan: Final[Callable[[bytes], Plan]] = json_reader(Plan)


def rescale(data: Path, plan: Plan, step: Callable[[str], None]) -> Rescaled:
    """Move the states of ``plan.before`` processes to ``plan.after``, or end what was cut off before.

    ``step`` is told what is done next; what it raises ends the rescale there, as a kill would.

    Raises:
        AlreadyRunning: a flow, or another rescale, uses one of the stores.
        ConfigError: the stores are not those of ``plan.before`` processes, do not fit together, or came of another
            release; or there is no room. Nothing was changed.
        StateDamaged: a store cannot be read. Nothing was changed.
    """
    recovery = recovery_of(data)
    if not recovery.is_dir():
        raise _problem(recovery, "no flow has kept any state here", "is it the right home?")
    try:
        with ExitStack() as owned:
            return _rescale(data, plan, step, owned)
    except OSError as error:
        again = "nothing is lost; run the same command again"
        raise _problem(recovery, f"cannot be written: {error}", again) from error


def _rescale(data: Path, plan: Plan, step: Callable[[str], None], owned: ExitStack) -> Rescaled:
    recovery = recovery_of(data)
    if (recovery / RESCALED).exists():
        _check_same(recovery, plan)
        _own(owned, data, plan)
        _settle(data, plan, step)
        return Rescaled(0)
    if _is_done(recovery, plan):
        return Rescaled(0, already=True)
    shapes = _shapes(data, plan)
    _own(owned, data, plan)
    try:
        keys = _copy(data, plan, shapes, step)
    except BaseException:
        if not (recovery / RESCALED).exists():
            _take_back(data, plan)
        raise
    _settle(data, plan, step)
    return Rescaled(keys)


def _own(owned: ExitStack, data: Path, plan: Plan) -> None:
    """Let no flow of either number start."""
    for of in (plan.before, plan.after):
        for index in range(of):
            owned.enter_context(locked(directory_of(data, index, of)))


def _take_back(data: Path, plan: Plan) -> None:
    """Remove what a rescale has made that did not come to its switch."""
    shutil.rmtree(recovery_of(data) / RESCALING, ignore_errors=True)
    for index in range(plan.after):
        shutil.rmtree(directory_of(data, index, plan.after), ignore_errors=True)


def _copy(data: Path, plan: Plan, shapes: Sequence[StoreShape], step: Callable[[str], None]) -> int:
    """Write the new stores and switch to them; how many keys they have."""
    recovery, staging = recovery_of(data), recovery_of(data) / RESCALING
    sources = [directory_of(data, shape.index, shape.of) for shape in shapes]
    _check_room(recovery, sources)
    shutil.rmtree(staging, ignore_errors=True)
    targets = [staging / directory_of(data, index, plan.after).name for index in range(plan.after)]
    for target in targets:
        target.mkdir(parents=True)
    keys = copy_states(sources, targets, step)
    secrets = {name: each for shape in shapes for name, each in shape.workspaces.items()}
    for index, target in enumerate(targets):
        write_shape(target, replaced(shapes[0], index=index, of=plan.after, workspaces=secrets))
    (staging / PLAN).write_bytes(to_json(plan))
    for path in (staging, *staging.rglob("*")):
        _sync(path)
    step("switching")
    _renamed(staging, recovery / RESCALED)
    return keys


def _settle(data: Path, plan: Plan, step: Callable[[str], None]) -> None:
    """Put the new stores in their places and remove the old ones. Whatever of it was done already stays done."""
    recovery, staging = recovery_of(data), recovery_of(data) / RESCALED
    for index in range(plan.before):
        old = directory_of(data, index, plan.before)
        step(f"removing {old.name}")
        shutil.rmtree(old)
    for index in range(plan.after):
        new = directory_of(data, index, plan.after)
        # NOTE: a store is one once it has its shape, so that comes last.
        entries = sorted((staging / new.name).glob("*"), key=lambda path: path.name == SHAPE_FILE)
        for entry in entries:
            step(f"placing {new.name}/{entry.name}")
            _renamed(entry, new / entry.name)
    step("ending")
    # NOTE: removed as it is, it would count as a switch until the last file is gone, and its plan goes before that.
    _renamed(staging, recovery / RESCALING)
    step("clearing up")
    shutil.rmtree(recovery / RESCALING)


def _renamed(path: Path, to: Path) -> None:
    path.rename(to)
    _sync(to.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_same(recovery: Path, plan: Plan) -> None:
    try:
        found = _read_plan((recovery / RESCALED / PLAN).read_bytes())
    except (BadRecord, FileNotFoundError) as error:
        raise _problem(recovery / RESCALED / PLAN, f"cannot be read: {error}", "put it back") from None
    if found != plan:
        again = f"run `segma flow rescale --from {found.before} --to {found.after}` again first"
        raise _problem(recovery, f"a rescale {found} was cut off and is to be ended", again)


def _is_done(recovery: Path, plan: Plan) -> bool:
    """Whether there are the new stores and no others."""
    return stores_in(recovery) == sorted(f"{index}-of-{plan.after}" for index in range(plan.after))


def _shapes(data: Path, plan: Plan) -> list[StoreShape]:
    """What the old stores were made for. Raises :class:`ConfigError` where they are not to be moved."""
    recovery = recovery_of(data)
    there = stores_in(recovery)
    wanted = [directory_of(data, index, plan.before).name for index in range(plan.before)]
    if strange := [name for name in there if name not in wanted]:
        was = strange[0].rpartition("-")[2]
        raise _problem(recovery, f"the state lies in {', '.join(strange)}", f"that of {was} processes: --from {was}")
    shapes = {name: shape for name in there if (shape := shape_in(recovery / name)) is not None}
    if not shapes:
        raise _problem(recovery, "no flow has kept any state here", "is it the right home?")
    if missing := [name for name in wanted[: shapes[there[0]].partitions] if name not in there]:
        text = f"{', '.join(missing)} is not here: what its partitions know would be lost"
        raise _problem(recovery, text, "bring the stores of all processes here first")
    problems = [Problem(str(recovery), "", text, "nothing was changed") for text in _faults(shapes, plan)]
    if problems:
        raise ConfigError(problems)
    return sorted(shapes.values(), key=lambda shape: shape.index)


def _faults(shapes: Mapping[str, StoreShape], plan: Plan) -> Iterator[str]:
    first = next(iter(shapes.values()))
    if plan.after > first.partitions:
        yield f"{plan.after} processes are more than the {first.partitions} partitions: some would have nothing to do"
    for name, shape in shapes.items():
        if name != f"{shape.index}-of-{shape.of}":
            yield f"what lies in {name} was made for process {shape.index} of {shape.of}"
        if shape.layout != LAYOUT:
            yield f"{name} came of another release, in another layout"
        if (shape.partitions, shape.groups, shape.topics) != (first.partitions, first.groups, first.topics):
            yield f"{name} belongs to another log, or has other groups, than {next(iter(shapes))}"


def _check_room(recovery: Path, sources: Sequence[Path]) -> None:
    needed = sum(path.stat().st_size for source in sources for path in source.rglob("*") if path.is_file())
    free = shutil.disk_usage(recovery).free
    if needed + ROOM > free:
        raise _problem(recovery, f"{needed:,} bytes may be needed and {free:,} are free", "make room")


def _problem(path: Path, found: str, wanted: str) -> ConfigError:
    return ConfigError([Problem(str(path), "", found, wanted)])
