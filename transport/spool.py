"""A collector's own disk, where beacons wait while the log is away: append, fsync, drain in order.

A frame is a length, a CRC-32 and a MessagePack list ``[topic, key, value, partition]``. A torn last frame (a crash
while writing) was never acknowledged and is cut off when the spool is opened. What the log refuses for good goes into a
second file of the same form, ``….aside``, and is tried once more at the next start.

A release whose files have another form begins them with :data:`LATER_FORM`, or puts other things into sound frames.
Such a file is refused and stays as it is: cut off where it cannot be read, it would lose what was acknowledged.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from contracts.codec import msgpack_reader, to_msgpack
from contracts.errors import BadRecord, ConfigError, LogError, Problem, RecordRefused, SpoolFull, UnknownTopic
from contracts.log import Outgoing, Publisher, PublishOutcome

LOOKAHEAD_BYTES: Final = 8 * 1024 * 1024
"""How far beyond a record that the log does not take now others are looked for that it takes."""
ASIDE: Final = ".aside"
LATER_FORM: Final = b"SGSP"
"""What the files of a later form begin with: as a frame's length it would be more than a gigabyte."""
_HEAD: Final = struct.Struct("<II")
_read = msgpack_reader(tuple[str, bytes, bytes | None, int | None])
log_line = structlog.get_logger("transport")


def is_refused(outcome: PublishOutcome) -> bool:
    """Return whether the log will never take a record as it is, so that waiting does not help."""
    return isinstance(outcome, RecordRefused | UnknownTopic)


class _Frame(NamedTuple):
    """A record in a file, and the positions of its first byte and of the byte behind it."""

    record: Outgoing
    start: int
    end: int

    @property
    def lane(self) -> tuple[str, bytes | int]:
        """Return the name of the records that keep their order: those of one key, or of one named partition."""
        partition = self.record.partition
        return self.record.topic, self.record.key if partition is None else partition


class Frames:
    """A file of frames that grows to a limit. One thread at a time."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """Raises :class:`ConfigError` for a file of a newer release."""
        self._path, self._max_bytes = path, max_bytes
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._is_torn = False
        """Whether bytes of a frame that was never acknowledged may stand behind the end."""
        self.end = 0
        self.count = 0
        """Frames appended or found since the file was last empty."""
        try:
            for frame in self.read(0):
                self.end = frame.end
                self.count += 1
        except ConfigError:
            self.close()
            raise
        os.ftruncate(self._fd, self.end)

    def append(self, records: Sequence[Outgoing]) -> None:
        """Store records; they are on the disk when this returns. Raises :class:`SpoolFull`; then none is stored."""
        data = b"".join(map(_frame, records))
        if self.end + len(data) > self._max_bytes:
            raise SpoolFull(f"{self._path.name} holds {self.end} of {self._max_bytes} bytes")
        try:
            self._cut()
            self._is_torn = True
            written = os.write(self._fd, data)
            if written < len(data):
                raise OSError("short write")
            os.fsync(self._fd)
            self._is_torn = False
        except OSError as error:
            with contextlib.suppress(OSError):  # a disk that cannot be written at all: before the next frame then
                self._cut()
            raise SpoolFull(f"{self._path.name}: {error.strerror or error}") from None
        self.end += len(data)
        self.count += len(records)

    def _cut(self) -> None:
        """Cut off what was begun and not acknowledged: what is appended behind it could not be read."""
        if self._is_torn:
            os.ftruncate(self._fd, self.end)
            self._is_torn = False

    def read(self, position: int) -> Iterator[_Frame]:
        """The frames from a position on, as far as they are sound."""
        return _frames(self._fd, self._path, position)

    def clear(self) -> None:
        """Begin again with nothing."""
        os.ftruncate(self._fd, 0)
        self.end = self.count = 0

    def close(self) -> None:
        """Close the file; what it holds stays."""
        os.close(self._fd)


class Spool:
    """Records that wait, in one file, with how far it was drained in a second. Safe to share between threads."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """``max_bytes``: of what waits, and as much again of what was set aside.

        Raises :class:`ConfigError` where a file is of a newer release; nothing was changed then.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._drained_path = path.with_name(path.name + ".drained")
        self._lock = threading.Lock()
        self._draining = threading.Lock()
        self._aside = Frames(path.with_name(path.name + ASIDE), max_bytes)
        self._waiting = Frames(path, max_bytes)
        self._drained = self._sound(self._read_drained())
        self._settled: set[int] = set()
        """The ends of frames beyond the drained ones that need no more: forgotten with the process, then repeated."""
        self._write_drained()
        self._try_again()

    @property
    def pending_bytes(self) -> int:
        """Bytes that wait to be drained."""
        return self._waiting.end - self._drained

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return self._waiting.end == self._drained

    @property
    def set_aside_records(self) -> int:
        """How many records the log refused for good."""
        return self._aside.count

    def append(self, records: Sequence[Outgoing]) -> None:
        """Store records; they are on the disk when this returns. Raises :class:`SpoolFull`; then none is stored."""
        with self._lock:
            self._waiting.append(records)

    def set_aside(self, record: Outgoing, fault: str) -> None:
        """Keep a record that the log refuses, apart from those that wait. Raises :class:`SpoolFull`."""
        with self._lock:
            self._aside.append([record])
        log_line.error("record_set_aside", topic=record.topic, bytes=len(record.value or b""), detail=fault)

    def drain(self, publisher: Publisher, batch: int = 500) -> int:
        """Publish what waits, oldest first, until it is empty or the log does not take it all; how many it took.

        A record that is refused for good is set aside. One that is not taken now holds up those of its key or
        partition, and no others.
        """
        count = 0
        with self._draining:
            while frames := self._next(batch):
                settled = self._publish(frames, publisher)
                count += settled
                if settled < len(frames):
                    break
        return count

    def close(self) -> None:
        """Close the files; what waits stays for the next time."""
        self._waiting.close()
        self._aside.close()

    def _publish(self, frames: Sequence[_Frame], publisher: Publisher) -> int:
        """Publish frames; how many of them need no more."""
        outcomes = publisher.publish([frame.record for frame in frames])
        held_up: set[tuple[str, bytes | int]] = set()
        left = []
        for frame, outcome in zip(frames, outcomes, strict=True):
            if frame.lane in held_up or not self._is_settled(frame.record, outcome):
                held_up.add(frame.lane)
                left.append(frame)
            else:
                self._settled.add(frame.end)
        self._move(left[0].start if left else frames[-1].end)
        return len(frames) - len(left)

    def _is_settled(self, record: Outgoing, outcome: PublishOutcome) -> bool:
        if not isinstance(outcome, LogError):
            return True
        if not is_refused(outcome):
            return False
        try:
            self.set_aside(record, str(outcome))
        except SpoolFull:
            return False
        return True

    def _next(self, batch: int) -> list[_Frame]:
        """The next frames that need to be published."""
        frames: list[_Frame] = []
        clear = self._drained
        for frame in self._waiting.read(self._drained):
            if frame.end not in self._settled:
                frames.append(frame)
            elif not frames:
                clear = frame.end
            if len(frames) >= batch or frame.end - self._drained > LOOKAHEAD_BYTES:
                break
        self._move(clear)
        return frames

    def _move(self, position: int) -> None:
        """Everything before this position needs no more."""
        with self._lock:
            if position == self._drained:
                return
            self._drained = position
            if position == self._waiting.end:
                # Everything is published: start again at the beginning.
                self._waiting.clear()
                self._drained = 0
                self._settled.clear()
            self._settled = {end for end in self._settled if end > position}
            self._write_drained()

    def _try_again(self) -> None:
        """Let the records set aside wait once more: at a new start the cause may be mended."""
        frames = list(self._aside.read(0))
        if not frames:
            return
        try:
            self._waiting.append([frame.record for frame in frames])
        except SpoolFull:
            return  # no room: at the next start
        self._aside.clear()

    def _sound(self, position: int) -> int:
        """A position where a frame begins or the last one ends. Any other is of a file that was emptied since, and
        has grown again: what stands there now waits from the beginning.
        """
        is_sound = any(position in {frame.start, frame.end} for frame in self._waiting.read(0))
        return position if is_sound else 0

    def _write_drained(self) -> None:
        temporary = self._drained_path.with_suffix(".new")
        try:
            temporary.write_bytes(str(self._drained).encode())
            temporary.replace(self._drained_path)
        except OSError as error:
            # A disk that is full must not keep what waits from being published. Without a position all is repeated.
            log_line.error("spool_position_not_kept", path=str(self._drained_path), detail=error.strerror or str(error))
            with contextlib.suppress(OSError):
                self._drained_path.unlink(missing_ok=True)

    def _read_drained(self) -> int:
        try:
            return int(self._drained_path.read_bytes())
        except (FileNotFoundError, ValueError):
            return 0


def check_spools(folder: Path) -> None:
    """Raise :class:`ConfigError`, a line each, for the spools in a folder that a newer release has written."""
    problems: list[Problem] = []
    for path in sorted((*folder.glob("*.spool"), *folder.glob(f"*.spool{ASIDE}"))):
        with path.open("rb") as file:
            try:
                for _ in _frames(file.fileno(), path, 0):
                    pass
            except ConfigError as error:
                problems.extend(error.problems)
    if problems:
        raise ConfigError(problems)


def _frames(fd: int, path: Path, position: int) -> Iterator[_Frame]:
    """The frames of an open file, as far as they are sound. Raises :class:`ConfigError` for a newer release's."""
    if os.pread(fd, len(LATER_FORM), 0) == LATER_FORM:
        raise _newer(path)
    size = os.fstat(fd).st_size
    while position + _HEAD.size <= size:
        length, checksum = _HEAD.unpack(os.pread(fd, _HEAD.size, position))
        data = os.pread(fd, length, position + _HEAD.size)
        if not length or len(data) < length or zlib.crc32(data) != checksum:
            return
        try:
            record = Outgoing(*_read(data))
        except BadRecord:
            # The checksum holds, so it is as it was written: by a release that writes other things.
            raise _newer(path) from None
        end = position + _HEAD.size + length
        yield _Frame(record, position, end)
        position = end


def _newer(path: Path) -> ConfigError:
    wanted = "install that release: it publishes what waits there; nothing was changed"
    return ConfigError([Problem(str(path), "", "was written by a newer release", wanted)])


def _frame(record: Outgoing) -> bytes:
    data = to_msgpack(record)
    return _HEAD.pack(len(data), zlib.crc32(data)) + data
