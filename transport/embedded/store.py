"""One topic as one SQLite file: its schema, and the statements that touch it.

Offsets count from 0 in each partition; ``log_time_ms`` is stamped under the write lock and never goes back.
"""

from __future__ import annotations

import functools
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from contracts.errors import LogUnavailable, StaleConsumer, UnknownTopic
from contracts.log import Stored
from contracts.plurals import counted
from contracts.topics import Topic
from transport.private import PRIVATE_FILE

SCHEMA_VERSION: Final = 1
CHECKPOINT_PAGES: Final = 8_000
"""PERF: Pages in the write-ahead log before SQLite copies them back (32 MB instead of 4): 2.5 times as many records/s
in large batches, a tenth more requests/s at the collector."""
BUSY_MS: Final = 2_000
"""How long a writer waits for another process's lock before it says that the log is unavailable."""
RETAIN_ROWS: Final = 2_000
"""Rows that retention deletes in one transaction, so that it never holds the lock for long."""

_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS heads (partition INTEGER PRIMARY KEY, next_offset INTEGER NOT NULL, "
    "first_offset INTEGER NOT NULL, log_time_ms INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS records (partition INTEGER NOT NULL, offset INTEGER NOT NULL, "
    "log_time_ms INTEGER NOT NULL, key BLOB NOT NULL, value BLOB, PRIMARY KEY (partition, offset)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS positions (consumer TEXT NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER, "
    "generation INTEGER NOT NULL, PRIMARY KEY (consumer, partition)) WITHOUT ROWID",
)
_HEADS: Final = "SELECT json_group_array(json_array(partition, next_offset, log_time_ms)) FROM heads"
_RECORDS: Final = "INSERT INTO records VALUES "
_MOVED: Final = "INSERT INTO heads (partition, next_offset, log_time_ms, first_offset) VALUES "
_MOVED_ON: Final = " ON CONFLICT DO UPDATE SET next_offset = excluded.next_offset, log_time_ms = excluded.log_time_ms"
ROWS_AT_ONCE: Final = 128
"""PERF: Rows of one INSERT. ``sqlite3`` gives the interpreter lock up at every step and must get it back from a busy
event loop (5 ms each time): one statement for many rows made the collector 1.6 times as fast as ``executemany``."""
_DELETE: Final = "DELETE FROM records WHERE partition = ? AND offset < ?"
_COMPACTED: Final = ("CREATE INDEX IF NOT EXISTS newest ON records (partition, key)",)


@functools.cache
def _insert(head: str, fields: int, rows: int) -> str:
    row = f"({', '.join('?' * fields)}{', 0' if head is _MOVED else ''})"
    return head + ", ".join([row] * rows)


NewRow = tuple[bytes, bytes | None, int]
"""Key, value, partition."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection in WAL mode; commits are fsynced before they return."""
    try:
        connection = sqlite3.connect(
            path, timeout=BUSY_MS / 1_000, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    except sqlite3.Error as error:
        raise unavailable(path, error) from None
    return connection


def unavailable(path: Path, error: sqlite3.Error) -> LogUnavailable:
    """Return an error of SQLite (locked, disk full, read-only, I/O error) as an error of ours."""
    return LogUnavailable(f"{path.name}: {error}")


class Store:
    """One topic's file, through one connection. One thread at a time."""

    def __init__(self, path: Path, topic: Topic) -> None:
        self.path, self.topic = path, topic
        self.connection = connect(path)
        if topic.compacted:
            # What a newer record of its key replaced is written over, not only given up.
            self.connection.execute("PRAGMA secure_delete=ON")

    @classmethod
    def create(cls, path: Path, topic: Topic, topic_id: str) -> None:
        """Create a topic's file, or check that the one there has the same shape. Raises :class:`UnknownTopic`."""
        # NOTE: SQLite gives the files that it puts beside this one the same mode.
        path.touch(mode=PRIVATE_FILE, exist_ok=True)
        connection = connect(path)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_TABLES[0])
            _check_release(path, _pairs(connection))
            for statement in (*_TABLES, *(_COMPACTED if topic.compacted else ())):
                connection.execute(statement)
            connection.executemany(
                "INSERT OR IGNORE INTO meta VALUES (?, ?)",
                [
                    ("schema", str(SCHEMA_VERSION)),
                    ("topic_id", topic_id),
                    ("partitions", str(topic.partitions)),
                    ("compacted", str(int(topic.compacted))),
                    ("retention_ms", str(topic.retention_ms)),
                ],
            )
            # A file that is there already keeps its own number, whatever was asked for.
            (partitions,) = connection.execute("SELECT value FROM meta WHERE name = 'partitions'").fetchone()
            connection.executemany(
                "INSERT OR IGNORE INTO heads VALUES (?, 0, 0, 0)", [(number,) for number in range(int(partitions))]
            )
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise unavailable(path, error) from None
        finally:
            connection.close()
        found = cls.shape(path)
        if (found.partitions, found.compacted) != (topic.partitions, topic.compacted):
            there = counted(found.partitions, "partition")
            raise UnknownTopic(f"topic {topic.name} has {there}, not {topic.partitions}: they are frozen")

    @staticmethod
    def shape(path: Path) -> Topic:
        """The topic that a file holds. Raises :class:`UnknownTopic`."""
        meta = _meta(path)
        return Topic(path.stem, int(meta["partitions"]), int(meta["retention_ms"]), bool(int(meta["compacted"])))

    @staticmethod
    def identity(path: Path) -> str:
        """The id that a topic made anew under the same name does not share."""
        return _meta(path)["topic_id"]

    def append(self, rows: Sequence[NewRow], now: Callable[[], int]) -> list[Stored]:
        """Store records in one transaction, in order. Raises :class:`LogUnavailable`; then none is stored."""
        execute = self.connection.execute
        try:
            execute("BEGIN IMMEDIATE")
            (text,) = execute(_HEADS).fetchone()
            at_ms = now()
            heads = {partition: [offset, max(time_ms, at_ms)] for partition, offset, time_ms in json.loads(text)}
            stored: list[Stored] = []
            fields: list[Any] = []
            for key, value, partition in rows:
                head = heads[partition]
                offset, time_ms = head
                fields += (partition, offset, time_ms, key, value)
                stored.append(Stored(partition, offset, time_ms))
                head[0] = offset + 1
            for start in range(0, len(rows), ROWS_AT_ONCE):
                count = min(ROWS_AT_ONCE, len(rows) - start)
                execute(_insert(_RECORDS, 5, count), fields[5 * start : 5 * (start + count)])
            if self.topic.compacted:
                self._compact(rows, stored)
            touched = sorted({partition for _, _, partition in rows})
            moved = [field for partition in touched for field in (partition, *heads[partition])]
            execute(_insert(_MOVED, 3, len(touched)) + _MOVED_ON, moved)
            execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise unavailable(self.path, error) from None
        return stored

    def _compact(self, rows: Sequence[NewRow], stored: Sequence[Stored]) -> None:
        self.connection.executemany(
            "DELETE FROM records WHERE partition = ? AND key = ? AND offset < ?",
            [(partition, key, at.offset) for (key, _, partition), at in zip(rows, stored, strict=True)],
        )

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            try:
                self.connection.execute("ROLLBACK")
            except sqlite3.Error:
                # The connection itself is broken (the disk went away): the next use opens a new one.
                self.connection.close()
                self.connection = connect(self.path)

    def retain(self, now_ms: int) -> bool:
        """Delete some of what retention has passed; True if there may be more. Raises :class:`LogUnavailable`."""
        if not self.topic.retention_ms or self.topic.compacted:
            return False
        horizon_ms = now_ms - self.topic.retention_ms
        more = False
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            for partition in range(self.topic.partitions):
                offsets = self.connection.execute(
                    "SELECT offset, log_time_ms FROM records WHERE partition = ? ORDER BY offset LIMIT ?",
                    (partition, RETAIN_ROWS),
                ).fetchall()
                gone = [offset for offset, log_time_ms in offsets if log_time_ms < horizon_ms]
                if gone:
                    first = gone[-1] + 1
                    self.connection.execute(_DELETE, (partition, first))
                    self.connection.execute("UPDATE heads SET first_offset = ? WHERE partition = ?", (first, partition))
                more = more or len(gone) == RETAIN_ROWS
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise unavailable(self.path, error) from None
        return more

    def scrub(self) -> None:
        """Leave nothing in the file, and in those beside it, of what was deleted. Raises :class:`LogUnavailable`."""
        try:
            self.connection.execute("VACUUM")
            busy, _, _ = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            raise unavailable(self.path, error) from None
        if busy:
            raise LogUnavailable(f"{self.path.name}: another process reads it; ask again")

    def read(self, partition: int, offset: int, limit: int) -> list[tuple[int, int, bytes, bytes | None]]:
        """Records from an offset on: offset, log time, key, value."""
        try:
            return self.connection.execute(
                "SELECT offset, log_time_ms, key, value FROM records WHERE partition = ? AND offset >= ? "
                "ORDER BY offset LIMIT ?",
                (partition, offset, limit),
            ).fetchall()
        except sqlite3.Error as error:
            raise unavailable(self.path, error) from None

    def heads(self) -> dict[int, tuple[int, int, int]]:
        """Per partition: next offset, first offset kept, newest log time."""
        try:
            rows = self.connection.execute("SELECT partition, next_offset, first_offset, log_time_ms FROM heads")
            return {partition: (following, first, at_ms) for partition, following, first, at_ms in rows}
        except sqlite3.Error as error:
            raise unavailable(self.path, error) from None

    def take(self, consumer: str, partition: int) -> tuple[int, int | None]:
        """Take a lease over: its new generation, and the committed position if there is one."""
        try:
            row = self.connection.execute(
                "INSERT INTO positions VALUES (?, ?, NULL, 1) ON CONFLICT DO UPDATE SET generation = generation + 1 "
                "RETURNING generation, next_offset",
                (consumer, partition),
            ).fetchone()
        except sqlite3.Error as error:
            raise unavailable(self.path, error) from None
        return int(row[0]), row[1]

    def commit(self, consumer: str, positions: dict[int, int], generations: dict[int, int]) -> None:
        """Remember positions, all or none. Raises :class:`StaleConsumer`."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            for partition, offset in positions.items():
                changed = self.connection.execute(
                    "UPDATE positions SET next_offset = ? WHERE consumer = ? AND partition = ? AND generation = ?",
                    (offset, consumer, partition, generations[partition]),
                ).rowcount
                if not changed:
                    self.connection.execute("ROLLBACK")
                    raise StaleConsumer(f"{consumer} on {self.topic.name}/{partition}: somebody else holds the lease")
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise unavailable(self.path, error) from None

    def holds(self, consumer: str, generations: dict[int, int]) -> bool:
        """Return whether these leases are still held."""
        try:
            rows = self.connection.execute(
                "SELECT partition, generation FROM positions WHERE consumer = ?", (consumer,)
            )
            now = dict(rows.fetchall())
        except sqlite3.Error as error:
            raise unavailable(self.path, error) from None
        return all(now.get(partition) == generation for partition, generation in generations.items())

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def _meta(path: Path) -> dict[str, str]:
    if not path.exists():
        raise UnknownTopic(f"no topic {path.stem}")
    connection = connect(path)
    try:
        found = _pairs(connection)
    except sqlite3.Error as error:
        raise unavailable(path, error) from None
    finally:
        connection.close()
    _check_release(path, found)
    if "partitions" not in found:
        raise UnknownTopic(f"no topic {path.stem}")
    return found


def _pairs(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT name, value FROM meta").fetchall())


def _check_release(path: Path, meta: Mapping[str, str]) -> None:
    schema = meta.get("schema", "0")
    if not schema.isdecimal() or int(schema) > SCHEMA_VERSION:
        text = f"{path.name} was written by a newer release (schema {schema}, this one reads up to {SCHEMA_VERSION})"
        raise UnknownTopic(text)
