"""A collector's own disk, where beacons wait while the log is away: append, fsync, drain in order.

A frame is a length, a CRC-32 and a MessagePack list ``[topic, key, value, partition]``. A torn last frame (a crash
while writing) was never acknowledged and is cut off when the spool is opened.
"""

from __future__ import annotations

import os
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from contracts.codec import msgpack_reader, to_msgpack
from contracts.errors import LogError, SpoolFull
from contracts.log import Outgoing, Publisher

_HEAD: Final = struct.Struct("<II")
_read = msgpack_reader(tuple[str, bytes, bytes | None, int | None])


class Spool:
    """Records that wait, in one file, with how far it was drained in a second. Safe to share between threads."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._max_bytes = path, max_bytes
        self._drained_path = path.with_name(path.name + ".drained")
        self._lock = threading.Lock()
        self._draining = threading.Lock()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._drained = self._read_drained()
        self._end = self._sound_end()
        os.ftruncate(self._fd, self._end)
        self._drained = min(self._drained, self._end)
        self._write_drained()

    @property
    def pending_bytes(self) -> int:
        """Bytes that wait to be drained."""
        return self._end - self._drained

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return self._end == self._drained

    def append(self, records: Sequence[Outgoing]) -> None:
        """Store records; they are on the disk when this returns. Raises :class:`SpoolFull`; then none is stored."""
        data = b"".join(map(_frame, records))
        with self._lock:
            if self._end + len(data) > self._max_bytes:
                raise SpoolFull(f"{self._path.name} holds {self._end} of {self._max_bytes} bytes")
            try:
                written = os.write(self._fd, data)
                if written < len(data):
                    raise OSError("short write")
                os.fsync(self._fd)
            except OSError as error:
                os.ftruncate(self._fd, self._end)
                raise SpoolFull(f"{self._path.name}: {error.strerror or error}") from None
            self._end += len(data)

    def drain(self, publisher: Publisher, batch: int = 500) -> int:
        """Publish what waits, oldest first, until it is empty or the log does not take it; how many were published."""
        count = 0
        with self._draining:
            while frames := self._next(batch):
                outcomes = publisher.publish([record for record, _ in frames])
                stored = next((n for n, each in enumerate(outcomes) if isinstance(each, LogError)), len(outcomes))
                if stored:
                    self._move(frames[stored - 1][1])
                count += stored
                if stored < len(outcomes):
                    break
        return count

    def close(self) -> None:
        """Close the file; what waits stays for the next time."""
        os.close(self._fd)

    def _next(self, batch: int) -> list[tuple[Outgoing, int]]:
        """The next records, each with the position behind it."""
        frames = []
        for record, end in self._frames(self._drained):
            frames.append((record, end))
            if len(frames) >= batch:
                break
        return frames

    def _move(self, position: int) -> None:
        with self._lock:
            self._drained = position
            if position == self._end:
                # Everything is published: start again at the beginning. A crash between the two truncations leaves
                # a position beyond the end, which reads as drained.
                os.ftruncate(self._fd, 0)
                self._drained = self._end = 0
            self._write_drained()

    def _write_drained(self) -> None:
        temporary = self._drained_path.with_suffix(".new")
        temporary.write_bytes(str(self._drained).encode())
        temporary.replace(self._drained_path)

    def _read_drained(self) -> int:
        try:
            return int(self._drained_path.read_bytes())
        except (FileNotFoundError, ValueError):
            return 0

    def _sound_end(self) -> int:
        end = 0
        for _, end in self._frames(0):  # noqa: B007
            pass
        return end

    def _frames(self, position: int) -> Iterator[tuple[Outgoing, int]]:
        size = os.fstat(self._fd).st_size
        while position + _HEAD.size <= size:
            length, checksum = _HEAD.unpack(os.pread(self._fd, _HEAD.size, position))
            data = os.pread(self._fd, length, position + _HEAD.size)
            if len(data) < length or zlib.crc32(data) != checksum:
                return
            position += _HEAD.size + length
            yield Outgoing(*_read(data)), position


def _frame(record: Outgoing) -> bytes:
    data = to_msgpack(record)
    return _HEAD.pack(len(data), zlib.crc32(data)) + data
