"""The states of all partitions, from the stores of the processes that owned them into those that will."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

from contracts.codec import msgpack_reader, replaced, to_msgpack
from contracts.errors import BadRecord
from flows.operators.device_group import DEVICES
from flows.operators.logic import GroupSnapshot
from flows.operators.source import Position, Positions, positions_in
from flows.rescale import bytewax_store
from flows.state.changelog import PEOPLE, Changelog, StateDamaged
from flows.state.rows import ChangelogRow, disassembled

STATES: Final = "states"
SOURCE: Final = ("segma.log", "log")
KINDS: Final = {"segma.recognise": DEVICES, "segma.follow": PEOPLE}
BLOCK_BYTES: Final = 8 << 20
"""Of rows that are written at once."""
_read_snapshot: Final[Callable[[bytes], GroupSnapshot]] = msgpack_reader(GroupSnapshot)


class Target:
    """A store in the making."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.changelog = Changelog(directory / STATES)
        self.positions: dict[str, Position] = {}
        self.states: list[tuple[str, str, bytes]] = []

    def finish(self) -> None:
        """Have it all on the disk."""
        self.changelog.settle()
        positions = to_msgpack(Positions(self.positions))
        bytewax_store.write(self.directory, [(*SOURCE, positions), *self.states])


def copy_states(sources: Sequence[Path], targets: Sequence[Path], step: Callable[[str], None]) -> int:
    """Write the states of all ``sources`` into new stores, by the owners of their partitions; how many keys they have.

    One source is open at a time, and of it one key group in memory. ``step`` is told what is done next.
    Raises :class:`StateDamaged` where a source cannot be read.
    """
    with ExitStack() as opened:
        made = [Target(each) for each in targets]
        for target in made:
            opened.enter_context(closing(target.changelog))
        keys = sum(_copy_source(source, made, step) for source in sources)
        for target in made:
            step(f"writing {target.directory.name}")
            target.finish()
    return keys


def _copy_source(source: Path, targets: Sequence[Target], step: Callable[[str], None]) -> int:
    keys = 0
    with closing(Changelog(source / STATES)) as changelog:
        for name, key, state in bytewax_store.resumed(source):
            step(f"{source.name}: {name.removeprefix('segma.')} {key}")
            try:
                keys += _copy(changelog, name, key, state, targets)
            except BadRecord as error:
                raise StateDamaged(f"{source}: {name} {key} cannot be read: {error}") from error
    return keys


def _copy(changelog: Changelog, name: str, key: str, state: Any, targets: Sequence[Target]) -> int:
    if (name, key) == SOURCE:
        for lane, position in positions_in(state).items():
            _owner(lane.partition(".")[2], targets).positions[lane] = position
    elif name in KINDS:
        target = _owner(key.partition("-")[0], targets)
        snapshot, keys = _moved(changelog, _read_snapshot(state), target.changelog, KINDS[name])
        target.states.append((name, key, to_msgpack(snapshot)))
        return keys
    return 0


def _owner(partition: str, targets: Sequence[Target]) -> Target:
    return targets[int(partition) % len(targets)]


def _moved(source: Changelog, snapshot: GroupSnapshot, target: Changelog, kind: str) -> tuple[GroupSnapshot, int]:
    """A group's states in another changelog, under a name of that one's; and how many keys it has."""
    _, chains = source.group(snapshot.position)
    group, _ = target.group(None, kind)
    for rows in _blocks(disassembled(chains.items(), {})):
        target.append(group, rows)
    return replaced(snapshot, position=group.position), len(chains)


def _blocks(rows: Iterable[ChangelogRow]) -> Iterator[list[ChangelogRow]]:
    block, size = list[ChangelogRow](), 0
    for row in rows:
        block.append(row)
        size += len(row.key) + len(row.data or b"")
        if size > BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block
