"""The embedded log: SQLite in WAL mode, one file a topic, durable, several processes (DESIGN 9, ADR 0002)."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from contracts.log import Outgoing, PublishOutcome
from contracts.topics import Topic
from transport.config import Surroundings
from transport.embedded.reader import EmbeddedConsumer
from transport.embedded.store import Store
from transport.embedded.writer import Writer
from transport.private import PRIVATE_DIRECTORY


class EmbeddedPublisher:
    """The :class:`~contracts.log.Publisher` of the embedded log; all publishers of a log share its writer."""

    def __init__(self, writer: Writer) -> None:
        self.submit = writer.submit
        """See :meth:`contracts.log.Publisher.submit`."""

    def publish(self, records: Sequence[Outgoing]) -> list[PublishOutcome]:
        """See :meth:`contracts.log.Publisher.publish`."""
        outcomes: list[PublishOutcome] = []
        stored = threading.Event()

        def done(result: list[PublishOutcome]) -> None:
            outcomes.extend(result)
            stored.set()

        self.submit(records, done)
        stored.wait()
        return outcomes

    def close(self) -> None:
        """See :meth:`contracts.log.Publisher.close`. The writer keeps the order: what comes last is done last."""
        self.publish(())


class EmbeddedLog:
    """The :class:`~contracts.log.Log` in a directory."""

    def __init__(self, directory: Path, around: Surroundings) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=PRIVATE_DIRECTORY)
        self._directory, self._around = directory, around
        self._writer: Writer | None = None
        self._lock = threading.Lock()

    def ensure(self, topics: Sequence[Topic]) -> None:
        """See :meth:`contracts.log.Log.ensure`."""
        for topic in topics:
            Store.create(self._path(topic.name), topic, self._around.unique())

    def topics(self) -> list[Topic]:
        """See :meth:`contracts.log.Log.topics`."""
        return [Store.shape(path) for path in sorted(self._directory.glob("*.db"))]

    def topic_id(self, topic: str) -> str:
        """See :meth:`contracts.log.Log.topic_id`."""
        return Store.identity(self._path(topic))

    def publisher(self) -> EmbeddedPublisher:
        """See :meth:`contracts.log.Log.publisher`."""
        with self._lock:
            if self._writer is None:
                self._writer = Writer(self._directory, self._around.now_ms)
        return EmbeddedPublisher(self._writer)

    def consumer(
        self,
        name: str,
        topic: str,
        partitions: Sequence[int] | None = None,
        *,
        start: Mapping[int, int] | None = None,
        ticks: bool = False,
    ) -> EmbeddedConsumer:
        """See :meth:`contracts.log.Log.consumer`."""
        store = self._store(topic)
        return EmbeddedConsumer(
            store,
            name,
            range(store.topic.partitions) if partitions is None else partitions,
            bells=self._directory / "bells" / topic,
            around=self._around,
            start=start or {},
            ticks=ticks,
        )

    def reader(self, topic: str, *, from_end: bool = False, strict: bool = True) -> EmbeddedConsumer:
        """See :meth:`contracts.log.Log.reader`."""
        store = self._store(topic)
        bells = self._directory / "bells" / topic
        partitions = range(store.topic.partitions)
        return EmbeddedConsumer(store, "", partitions, bells=bells, around=self._around, start={}, from_end=from_end)

    def start(self, topic: str) -> dict[int, int]:
        """See :meth:`contracts.log.Log.start`."""
        return {partition: first for partition, (_, first, _) in self._heads(topic).items()}

    def end(self, topic: str) -> dict[int, int]:
        """See :meth:`contracts.log.Log.end`."""
        return {partition: following for partition, (following, _, _) in self._heads(topic).items()}

    def _heads(self, topic: str) -> dict[int, tuple[int, int, int]]:
        store = self._store(topic)
        try:
            return store.heads()
        finally:
            store.close()

    def scrub(self, topic: str) -> None:
        """Leave no byte of a topic's deleted and replaced records on the disk: for who was erased.

        Raises :class:`LogUnavailable` where other processes hold the file; then it is asked again.
        """
        store = self._store(topic)
        try:
            store.scrub()
        finally:
            store.close()

    def close(self) -> None:
        """See :meth:`contracts.log.Log.close`."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _path(self, topic: str) -> Path:
        return self._directory / f"{topic}.db"

    def _store(self, topic: str) -> Store:
        path = self._path(topic)
        return Store(path, Store.shape(path))
