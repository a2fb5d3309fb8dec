"""One writer thread a process: everything submitted meanwhile goes into one transaction a topic (group commit)."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.errors import LogError, LogUnavailable, UnknownTopic
from contracts.log import OnPublished, Outgoing, PublishOutcome
from contracts.topics import partition_of
from transport.embedded.bell import ring
from transport.embedded.store import NewRow, Store

MAX_GROUP: Final = 20_000
"""Records of one transaction: above it latency grows and throughput does not."""
RETAIN_EVERY_MS: Final = 60_000


@dataclass(slots=True)
class _Submission:
    records: Sequence[Outgoing]
    done: OnPublished


class Writer:
    """The thread. It lives on whatever happens: what cannot be stored becomes an outcome."""

    def __init__(self, directory: Path, now: Callable[[], int]) -> None:
        self._directory, self._now = directory, now
        self._stores: dict[str, Store] = {}
        self._retained_ms: dict[str, int] = {}
        self._queue: queue.SimpleQueue[_Submission | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="segma-log-writer", daemon=True)
        self._thread.start()

    def submit(self, records: Sequence[Outgoing], done: OnPublished) -> None:
        """Queue records; ``done`` is called on this writer's thread."""
        self._queue.put(_Submission(records, done))

    def close(self) -> None:
        """Write what was submitted, then end."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        open_ = True
        while open_:
            requests: list[_Submission] = []
            request = self._queue.get()
            size = 0
            while request is not None:
                requests.append(request)
                size += len(request.records)
                if size >= MAX_GROUP or self._queue.empty():
                    break
                request = self._queue.get()
            open_ = request is not None
            if requests:
                self._write(requests)
        for store in self._stores.values():
            store.close()

    def _write(self, requests: list[_Submission]) -> None:
        """Store a group, then answer each request: its outcomes lie behind one another in their topics' outcomes."""
        topics = {record.topic for request in requests for record in request.records}
        if len(topics) == 1:
            # PERF: a collector writes one topic and nothing else.
            (topic,) = topics
            stored = self._append(topic, [record for request in requests for record in request.records])
            start = 0
            for request in requests:
                end = start + len(request.records)
                request.done(list(stored[start:end]))
                start = end
            return
        groups: dict[str, list[Outgoing]] = {}
        for request in requests:
            for record in request.records:
                groups.setdefault(record.topic, []).append(record)
        outcomes = {topic: iter(self._append(topic, records)) for topic, records in groups.items()}
        for request in requests:
            request.done([next(outcomes[record.topic]) for record in request.records])

    def _append(self, topic: str, records: list[Outgoing]) -> Sequence[PublishOutcome]:
        try:
            store = self._store(topic)
            stored = store.append([_row(record, store.topic.partitions) for record in records], self._now)
        except LogError as error:
            return [error] * len(records)
        ring(self._directory / "bells" / topic)
        self._retain(store)
        return stored

    def _store(self, topic: str) -> Store:
        store = self._stores.get(topic)
        if store is None:
            path = self._directory / f"{topic}.db"
            store = self._stores[topic] = Store(path, Store.shape(path))
        return store

    def _retain(self, store: Store) -> None:
        now_ms = self._now()
        if now_ms - self._retained_ms.get(store.topic.name, 0) < RETAIN_EVERY_MS:
            return
        try:
            more = store.retain(now_ms)
        except LogUnavailable:
            more = True  # what was asked is stored; old records wait for the next time
        if not more:
            self._retained_ms[store.topic.name] = now_ms


def _row(record: Outgoing, partitions: int) -> NewRow:
    partition = partition_of(record.key, partitions) if record.partition is None else record.partition
    if not 0 <= partition < partitions:
        raise UnknownTopic(f"topic {record.topic} has no partition {partition}")
    return record.key, record.value, partition
