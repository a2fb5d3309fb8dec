"""The state store: one append-only changelog a process; a group's snapshot is its position in it (DESIGN 6).

A *block* holds rows of one group (:mod:`flows.state.rows`): whole states, and what came to a state since it was
written whole. Blocks of all groups share the files (*segments*), so that one sync makes an epoch durable, whatever the
number of groups. What is guaranteed:

* A position that :meth:`ChangelogGroup.snapshot` returned is on the disk, with everything before it.
* Resuming at a position gives the group exactly as it was there, whatever was written after it: by an epoch that was
  never committed, by a start that crashed, or by a write that was torn. A start writes into a new segment and says, in
  each group's first block, where it went on; what stands between is void.
* Of a damaged or missing block that a position needs, :class:`StateDamaged` is raised; nothing is guessed.

A *base* is a block with all rows of its group. When the files have grown to more than twice what lives, the group whose
base is oldest writes a new one: of bases no more an epoch than of what came, or one. Files older than every base are
removed a few epochs later.
Rows may be written before the epoch's end, so that little is left to write when everybody waits for it.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

from contracts.codec import Value, msgpack_reader, to_msgpack, written
from contracts.errors import BadRecord, SegmaError
from flows.state.rows import ChangelogRow, SnapshotAndTail, assembled

SEGMENT_BYTES: Final = 64 << 20
SLACK_BYTES: Final = 64 << 20
"""Files smaller than twice what lives plus this are left alone."""
EPOCHS_KEPT: Final = 8
"""Epochs that pass before a file that no base needs is removed. NOTE: Bytewax lets a source be one epoch ahead of what
is committed, so a position is committed two epochs after it was returned at the latest."""

SCHEMA: Final = 2
"""1: every row was a whole state. Such blocks are read as they are."""
_MAGIC: Final = b"SG"
_BASE, _BEGIN = 1, 2
_HEAD: Final = struct.Struct("<2sBBHIIIQ")
"""Magic, schema, flags, bytes of the name, bytes and CRC-32 of the rows, and of a start's first block: segment and end
of what it went on from. Then the name, a CRC-32 of head and name, and the rows (MessagePack)."""
_SUM: Final = struct.Struct("<I")


class StateDamaged(SegmaError):
    """A block of the state store that is needed is missing or damaged."""


_read_rows: Final[Callable[[bytes], list[ChangelogRow]]] = msgpack_reader(list[ChangelogRow])


class GroupPosition(Value, frozen=True):
    """The position of a group: the end of its last block in a segment, and that block's CRC-32. 0 in 0: no block yet.

    ``group``: a name of the changelog's own (Bytewax does not say which key a logic is made for).
    """

    SCHEMA: ClassVar[int] = 1

    group: str
    segment: int = 0
    end: int = 0
    check: int = 0
    schema: int = written(1)

    @property
    def place(self) -> tuple[int, int]:
        """Comparable with other positions of the group."""
        return self.segment, self.end


class _Block(NamedTuple):
    """A block as a scan of the heads finds it."""

    segment: int
    start: int
    end: int
    size: int
    check: int
    flags: int
    resumed: tuple[int, int]

    @property
    def place(self) -> tuple[int, int]:
        return self.segment, self.end


class ChangelogGroup:
    """One key group's part of the changelog. Who keeps the states gives ``pending``, ``everything`` and ``live``."""

    def __init__(self, changelog: Changelog, position: GroupPosition, base: int) -> None:
        self._changelog = changelog
        self.position = position
        self.base = base
        """The segment of its newest base; 0 while it has no block."""
        self.begun = False
        self.resumed = (position.segment, position.end)
        self.epochs = 0
        self.pending: Callable[[], Sequence[ChangelogRow]] = tuple
        self.everything: Callable[[], Sequence[ChangelogRow]] = tuple
        self.live: Callable[[], tuple[int, int]] = lambda: (0, 0)
        """How many keys the group has, and their bytes."""

    def write(self, rows: Sequence[ChangelogRow]) -> None:
        """Write rows now. They count with the next :meth:`snapshot`."""
        if rows:
            self._changelog.append(self, rows)

    def snapshot(self) -> GroupPosition:
        """Write what is pending, of all groups; return when it is on the disk. Call it once an epoch."""
        self._changelog.commit(self)
        return self.position


class Changelog:
    """The changelog of one process. Its directory belongs to it alone; one thread uses it."""

    def __init__(
        self,
        directory: Path,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        slack_bytes: int = SLACK_BYTES,
        sync: Callable[[int], None] = os.fsync,
    ) -> None:
        """``sync``: makes what was written to a file's descriptor durable."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._sync = sync
        self._segment_bytes, self._slack_bytes = segment_bytes, slack_bytes
        self._groups: dict[str, ChangelogGroup] = {}
        self._alike: Counter[str] = Counter()
        """Kind → how many groups there are of it."""
        self.opened = 0
        """How many groups there are of all kinds."""
        self._found: dict[str, list[_Block]] = {}
        self.sizes: dict[int, int] = {}
        """Bytes of each segment."""
        for path in sorted(directory.glob("*.log")):
            number = int(path.stem)
            self.sizes[number] = path.stat().st_size
            for name, block in _scan(path, number):
                self._found.setdefault(name, []).append(block)
        self._segment = max(self.sizes, default=0)
        # NOTE: whoever wrote before has a segment of its own, so names made of this number are new.
        self._opened = self._segment + 1
        self._file = -1
        self._unsynced = False
        self._doomed: dict[int, tuple[ChangelogGroup, int]] = {}
        """Segments that no base needs: by whose epoch, and since when."""
        self._committed: set[str] = set()
        """The groups that have ended the epoch so far."""
        self._written = self._based = 0
        """Bytes of the epoch: of rows, and of bases."""

    def share(self, of_all: int) -> int:
        """A group's share of a bound on all groups together; 16 at least."""
        return max(of_all // max(len(self._groups), 1), 16)

    def share_of_kind(self, of_all: int, kind: str) -> int:
        """A group's share of a bound on all groups of its kind together; 16 at least."""
        return max(of_all // max(self._alike[kind], 1), 16)

    @property
    def total_bytes(self) -> int:
        """What the files take."""
        return sum(list(self.sizes.values()))

    @property
    def live_bytes(self) -> int:
        """What of it lives."""
        return sum(group.live()[1] for group in list(self._groups.values()))

    @property
    def keys(self) -> int:
        """How many keys have a state."""
        return sum(group.live()[0] for group in list(self._groups.values()))

    def group(self, resumed: GroupPosition | None, kind: str = "") -> tuple[ChangelogGroup, dict[str, SnapshotAndTail]]:
        """Open a group at a position (None: a new one), with its states by key. Raises :class:`StateDamaged`.

        ``kind``: what its states are; a new group's name begins with it, for whoever reads the files (:func:`latest`).
        """
        position = resumed or GroupPosition(f"{kind}{self._opened}.{len(self._groups)}")
        blocks = self._blocks(position)
        rows = _applied(self._directory, blocks)
        group = ChangelogGroup(self, position, blocks[0].segment if blocks else 0)
        if position.group not in self._groups:
            self._alike[kind] += 1
        self._groups[position.group] = group
        self.opened = len(self._groups)
        return group, rows

    def append(self, group: ChangelogGroup, rows: Sequence[ChangelogRow], *, base: bool = False) -> None:
        """Write one block."""
        flags = _BASE if base or not group.base else 0
        if not group.begun:
            flags |= _BEGIN
        data, name = to_msgpack(rows), group.position.group.encode()
        check = zlib.crc32(data)
        head = _HEAD.pack(_MAGIC, SCHEMA, flags, len(name), len(data), check, *group.resumed) + name
        end = self._write(head + _SUM.pack(zlib.crc32(head)) + data)
        if base:
            self._based += len(data)
        else:
            self._written += len(data)
        group.begun = True
        group.position = GroupPosition(group.position.group, self._segment, end, check)
        if flags & _BASE:
            group.base = self._segment

    def commit(self, group: ChangelogGroup) -> None:
        """Make everything durable, and clear up a little."""
        group.epochs += 1
        if group.position.group in self._committed:
            self._committed.clear()
            self._written = self._based = 0
        self._committed.add(group.position.group)
        for each in self._groups.values():
            each.write(each.pending())
        if group.base and group.base == self._oldest() and self._overgrown() and self._affordable(group):
            self.append(group, group.everything(), base=True)
            oldest = self._oldest()
            for number in self.sizes:
                if number < oldest:
                    self._doomed.setdefault(number, (group, group.epochs))
        self.settle()
        self._clear(group)

    def settle(self) -> None:
        """Make everything that was written durable."""
        if self._unsynced:
            self._sync(self._file)
            self._unsynced = False

    def close(self) -> None:
        """Let the files go. What was not settled does not count."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _oldest(self) -> int:
        return min((group.base for group in self._groups.values() if group.base), default=0)

    def _overgrown(self) -> bool:
        """Whether the files are more than twice what lives, but for those that only wait to be removed."""
        left = self.total_bytes - sum(self.sizes[number] for number in self._doomed)
        return self._oldest() < self._segment and left > 2 * self.live_bytes + self._slack_bytes

    def _affordable(self, group: ChangelogGroup) -> bool:
        """Of bases no more is written in an epoch than of rows, or one: everybody waits for it."""
        return not self._based or self._based + group.live()[1] <= self._written

    def _clear(self, group: ChangelogGroup) -> None:
        """Remove files that no position needs which may still be resumed at."""
        for number, (by, since) in list(self._doomed.items()):
            if by is group and group.epochs - since >= EPOCHS_KEPT:
                del self._doomed[number], self.sizes[number]
                _path(self._directory, number).unlink()

    def _write(self, data: bytes) -> int:
        """Append to the newest segment, or to a new one; the end of what was written."""
        if self._file < 0 or self.sizes[self._segment] >= self._segment_bytes:
            self._roll()
        self._unsynced = True
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        self.sizes[self._segment] += len(data)
        return self.sizes[self._segment]

    def _roll(self) -> None:
        if self._file >= 0:
            self._sync(self._file)
            os.close(self._file)
        self._segment += 1
        self._file = os.open(
            _path(self._directory, self._segment), os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600
        )
        self.sizes[self._segment] = 0
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            self._sync(directory)
        finally:
            os.close(directory)

    def _blocks(self, position: GroupPosition) -> list[_Block]:
        """The blocks that a position stands for: from the newest base on, without what is void."""
        found = [block for block in self._found.pop(position.group, []) if block.place <= position.place]
        chain = _chain(found)
        last = GroupPosition(position.group, *((*chain[-1].place, chain[-1].check) if chain else ()))
        if last != position or (chain and not chain[0].flags & _BASE):
            raise StateDamaged(
                f"the state of group {position.group} at {position.end} in segment {position.segment} is not in"
                f" {self._directory}: put the directory back, or remove the whole recovery directory and let the"
                " flow read the log again"
            )
        return chain


def latest(directory: Path, kind: str) -> Iterator[tuple[str, SnapshotAndTail]]:
    """Keys and chains of a kind as they were last written, committed or not: for looking on while a flow runs.

    Raises :class:`StateDamaged`, also where the flow cleared up meanwhile: look again.
    """
    found: dict[str, list[_Block]] = {}
    for path in sorted(directory.glob("*.log")):
        for name, block in _scan(path, int(path.stem)):
            if name.startswith(kind):
                found.setdefault(name, []).append(block)
    chains = sorted((_chain(blocks) for blocks in found.values()), key=lambda chain: chain[-1].place, reverse=True)
    # A group that a crashed start left behind holds keys that a later group holds too: the latest counts.
    seen: set[str] = set()
    for chain in chains:
        if not chain[0].flags & _BASE:
            continue
        rows = _applied(directory, chain)
        yield from ((key, found) for key, found in rows.items() if key not in seen)
        seen |= rows.keys()


def _chain(found: Sequence[_Block]) -> list[_Block]:
    """Of a group's blocks in their order those that count: from the newest base on, without what is void."""
    chain: list[_Block] = []
    for block in found:
        if block.flags & _BEGIN:
            while chain and chain[-1].place > block.resumed:
                chain.pop()
        chain.append(block)
    bases = [index for index, block in enumerate(chain) if block.flags & _BASE]
    return chain[bases[-1] :] if bases else chain


def _applied(directory: Path, blocks: Sequence[_Block]) -> dict[str, SnapshotAndTail]:
    return assembled(row for block in blocks for row in _rows(directory, block))


def _rows(directory: Path, block: _Block) -> list[ChangelogRow]:
    path = _path(directory, block.segment)
    try:
        with path.open("rb") as file:
            file.seek(block.end - block.size)
            data = file.read(block.size)
    except FileNotFoundError:
        raise StateDamaged(f"{path} is not there any more") from None
    if len(data) != block.size or zlib.crc32(data) != block.check:
        raise StateDamaged(f"{path}: the block at {block.start} is damaged")
    try:
        return _read_rows(data)
    except BadRecord as error:
        raise StateDamaged(f"{path}: the block at {block.start} does not decode: {error.detail}") from None


def _path(directory: Path, number: int) -> Path:
    return directory / f"{number:010d}.log"


def _scan(path: Path, number: int) -> Iterator[tuple[str, _Block]]:
    """The heads of a segment's blocks, up to its end or to what was torn. Raises :class:`StateDamaged` where newer."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = 0
        while True:
            head = file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                return
            magic, schema, flags, name_bytes, data_bytes, check, segment, end = _HEAD.unpack(head)
            name, total = file.read(name_bytes), file.read(_SUM.size)
            if magic != _MAGIC or total != _SUM.pack(zlib.crc32(head + name)):
                return
            if schema > SCHEMA:
                raise StateDamaged(f"{path} was written by a newer release (schema {schema}, not {SCHEMA})")
            stop = start + _HEAD.size + name_bytes + _SUM.size + data_bytes
            if stop > size:
                return
            yield name.decode(), _Block(number, start, stop, data_bytes, check, flags, (segment, end))
            file.seek(stop)
            start = stop


PEOPLE: Final = "people-"
"""How the changelog's groups of subscribers are called."""
