"""One process that detects: ``follow`` as it is deployed, from a file of records to a file of rows.

``./segma bench detector EVENTS OUT …`` runs the real source, the real logic and the real sink of ``flows/`` inside
Bytewax with a recovery store. Only the log is another: its ``events`` is a file that was written before (what a broker
would hold), its other topics are appended to a file and synced at the end of each epoch. Prints one JSON line.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final

import bytewax.operators as op
import click
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from bench.load import listeners
from contracts.codec import json_reader
from contracts.events import Event
from contracts.log import Bookmark, Log, Outgoing, PublishOutcome, Record, Stored
from contracts.topics import EVENTS
from flows.__main__ import COLLECT_EVERY
from flows.operators.log_sink import LogSink
from flows.operators.logic import FollowLogic, InOne, Shared
from flows.operators.source import EventsSource, ProcessContext
from flows.state.changelog import Changelog
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.pinned_terms import Terms

READ_BYTES: Final = 4 << 20
_STORED: Final = Stored(0, 0, 0)


class Clock:
    """When work began, on both clocks."""

    def __init__(self) -> None:
        self.wall_s = 0.0
        self.cpu_s = 0.0

    def start(self) -> None:
        """Begin now, the first time it is called."""
        if not self.wall_s:
            self.wall_s, self.cpu_s = time.perf_counter(), cpu_s()

    def taken(self) -> tuple[float, float]:
        """Seconds since then: on the wall, and of this process's own time on its cores."""
        return time.perf_counter() - self.wall_s, cpu_s() - self.cpu_s


def cpu_s() -> float:
    """User and system time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class FileConsumer:
    """The records of a file, in order."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._file: BinaryIO = path.open("rb")
        self._clock = clock
        self._ready: list[Record] = []
        self.read = 0
        self.ended = False

    def drained(self) -> bool:
        """Whether every record was handed out."""
        return self.ended and not self._ready

    def poll(self, max_records: int, timeout_s: float = 0.0) -> list[Record]:
        """The next records."""
        self._clock.start()
        while len(self._ready) < max_records and not self.ended:
            lines = self._file.readlines(READ_BYTES)
            self.ended = not lines
            for line in lines:
                key, _, value = line.partition(b"\t")
                self._ready.append(Record(EVENTS, 0, 0, 0, key, value))
        found, self._ready = self._ready[:max_records], self._ready[max_records:]
        self.read += len(found)
        return found

    def commit(self, positions: Mapping[int, int]) -> None:
        """Positions live in the recovery store."""

    def positions(self) -> dict[int, int]:
        """The next record."""
        return {0: self.read}

    def bookmark(self, partition: int) -> Bookmark:
        """The next record."""
        return Bookmark(self.read)

    def seek(self, partition: int, offset: int, epoch: int = -1) -> None:
        """A run is never resumed."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class FilePublisher:
    """Appends every record to a file; counts the rows by kind."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.records = 0
        self.kinds: dict[bytes, int] = {}

    def publish(self, records: Sequence[Outgoing]) -> list[PublishOutcome]:
        """Store the records."""
        self._file.write(b"\n".join([record.value or b"" for record in records]) + b"\n")
        self.records += len(records)
        return [_STORED] * len(records)

    def sync(self) -> None:
        """On the disk, not only with the system."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Sync."""
        self.sync()


class FileLog:
    """The two seams over files."""

    def __init__(self, consumer: FileConsumer, publisher: FilePublisher) -> None:
        self._consumer, self._publisher = consumer, publisher

    def topic_id(self, topic: str) -> str:
        """The same in every run."""
        return topic

    def consumer(self, *_: object, **__: object) -> FileConsumer:
        """The one there is."""
        return self._consumer

    def publisher(self) -> FilePublisher:
        """The one there is."""
        return self._publisher


def flow_of(log: Log, shared: Shared, changelog: Changelog, groups: int, context: ProcessContext) -> Dataflow:
    """The half of :func:`flows.dataflow.build` that detects."""
    flow = Dataflow("detector")
    events = op.input("events", flow, EventsSource(log, 1, groups, context))
    emitted = op.stateful_batch("follow", events, lambda resumed: InOne(FollowLogic(shared, changelog, resumed)))
    op.output("followed", emitted, LogSink(log, context.pause))
    return flow


def decode_only(path: Path) -> tuple[int, float, float]:
    """Read the same file, decode each event and do nothing else: events, seconds, seconds of CPU."""
    clock, read, seen = Clock(), json_reader(Event), 0
    clock.start()
    with path.open("rb") as file:
        while lines := file.readlines(READ_BYTES):
            for line in lines:
                key, _, value = line.partition(b"\t")
                if key:
                    read(value)
                    seen += 1
    return (seen, *clock.taken())


@click.command()
@click.argument("events", type=click.Path(path_type=Path, exists=True))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--load", type=click.Choice(["dense", "selective", "none"]), default="dense", show_default=True)
@click.option("--listeners", "count", default=10, show_default=True)
@click.option("--lateness-ms", default=600_000, show_default=True)
@click.option("--groups", default=16, show_default=True, help="Key groups.")
@click.option("--epoch-ms", default=10_000, show_default=True)
@click.option("--rows/--matches-only", default=False, show_default=True, help="Publish a row for each event too.")
def main(
    events: Path,
    out: Path,
    load: str,
    count: int,
    lateness_ms: int,
    groups: int,
    epoch_ms: int,
    rows: bool,
) -> None:
    """Detect, or (``--load none``) decode only."""
    if load == "none":
        seen, wall_s, own_s = decode_only(events)
        click.echo(json.dumps({"events": seen, "wall_s": wall_s, "cpu_s": own_s}))
        return
    gc.set_threshold(*COLLECT_EVERY)
    clock = Clock()
    engine = WorkspaceEngine(
        "shop", listeners(load, count), terms=Terms(lateness_ms, 1_800_000, 86_400_000, 2_000), event_rows=rows,
    )  # fmt: skip
    consumer = FileConsumer(events, clock)
    with out.open("wb") as file, tempfile.TemporaryDirectory() as store:
        log: Any = FileLog(consumer, FilePublisher(file))
        context = ProcessContext(consumer.drained, lambda: datetime.now(UTC), time.sleep)
        init_db_dir(Path(store), 1)  # type: ignore[no-untyped-call]
        changelog = Changelog(Path(store) / "states")
        flow = flow_of(log, Shared({}, {"shop": engine}, 1), changelog, groups, context)
        cli_main(  # type: ignore[no-untyped-call]
            flow,
            epoch_interval=timedelta(milliseconds=epoch_ms),
            recovery_config=RecoveryConfig(store),  # type: ignore[no-untyped-call]
        )
        log.publisher().sync()
        changelog.close()
    wall_s, own_s = clock.taken()
    counted = kinds(out)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
    click.echo(json.dumps({"read": consumer.read, "wall_s": wall_s, "cpu_s": own_s, "peak_mb": peak_mb, **counted}))


def kinds(path: Path) -> dict[str, int]:
    """Matches, amendments and retractions that were published."""
    found = {"match": 0, "amendment": 0, "retraction": 0}
    with path.open("rb") as file:
        for line in file:
            if line.startswith(b'{"row":"match"'):
                kind = json.loads(line)["kind"]
                found[kind] += 1
    return found


if __name__ == "__main__":
    main()
