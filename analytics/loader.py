"""The loader: topics ``rows``, ``outcomes`` and ``dead_letters`` into ClickHouse, effectively once.

A position is committed after its rows are in ClickHouse, so after a crash some rows come again. They change nothing: a
table keeps one row a key, the keys are deterministic, and the insert's token lets ClickHouse drop the whole of it where
the same batch comes again. While ClickHouse is away the loader waits and reads nothing: the log keeps what comes, and
nobody else waits for it. A row that ClickHouse refuses is found by halving its batch, and set aside as a dead letter.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, get_args

import structlog
import tenacity
from prometheus_client import Gauge

from analytics.clickhouse import DATA_FAULTS, ClickHouse, HistoryError
from analytics.columns import Inserts, UnwritableRow
from analytics.erase import Erasures
from analytics.event_rows import LoadedEventRow
from analytics.tables import TABLES, TableRow, rows_of_all
from contracts.codec import json_reader, msgpack_reader
from contracts.commands import Outcome
from contracts.dead_letters import letter_of, set_aside
from contracts.errors import BadRecord, LogUnavailable
from contracts.log import Consumer, Log, Record
from contracts.publishing import publish_until_stored
from contracts.reasons import Reason
from contracts.rows import DeadLetter, EventRow, MembershipRow, Row
from contracts.topics import DEAD_LETTERS, OUTCOMES, ROWS

NAME: Final = "history"
MOST: Final = 20_000
"""Records of one insert: some megabytes, and under 200 parts a minute at full speed."""
MOST_BYTES: Final = 64 << 20
"""Of the records of one batch: past it no more are read, however few they are. One look reads :data:`CHUNK` at most."""
CHUNK: Final = 500
"""Records of one look: as many of the largest that a door lets in are half of :data:`MOST_BYTES`."""
FIRST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 15.0
HOUR_MS: Final = 3_600_000

_behind: Final = Gauge(
    "segma_history_lag_seconds", "How long the oldest row that the history lacks has waited; 0: it lacks none."
)
log_line = structlog.get_logger("loader")

_LOADED: Final[Any] = functools.reduce(
    operator.or_, (LoadedEventRow if kind is EventRow else kind for kind in get_args(Row))
)
"""A row as it is read here."""
_READERS: Final[dict[str, Callable[[bytes], Any]]] = {
    ROWS: json_reader(_LOADED),
    OUTCOMES: json_reader(Outcome),
    DEAD_LETTERS: msgpack_reader(DeadLetter),
}


def holds_nothing(clickhouse: ClickHouse) -> bool:
    """Whether no table of rows holds one: a new history, or one that was lost. Raises :class:`HistoryError`."""
    names = {table.name for table in TABLES.values()}
    return not any(clickhouse.rows(f"SELECT 1 FROM {name} LIMIT 1") for name in names)  # noqa: S608 - our own names


def watch_history(behind_s: Callable[[], float]) -> None:
    """Serve how far the history is behind the log."""
    _behind.set_function(behind_s)


class Loader:
    """The loop. ``now_ms`` stamps dead letters; ``pause`` waits; ``stopping`` is asked between batches and attempts."""

    def __init__(
        self,
        log: Log,
        clickhouse: ClickHouse,
        *,
        now_ms: Callable[[], int],
        pause: Callable[[float], None],
        stopping: Callable[[], bool],
        most: int = MOST,
        most_bytes: int = MOST_BYTES,
        from_start: bool = False,
    ) -> None:
        """``from_start``: read from the oldest records kept, wherever it was: the history holds nothing of them."""
        self._clickhouse, self._now_ms, self._pause, self._stopping = clickhouse, now_ms, pause, stopping
        self._most, self._most_bytes = most, most_bytes
        self._publisher = log.publisher()
        self._consumers: list[Consumer] = [
            log.consumer(NAME, topic, start=log.start(topic) if from_start else None) for topic in _READERS
        ]
        self._topic_ids = {topic: log.topic_id(topic) for topic in _READERS}
        self._kept_ms = {topic.name: topic.retention_ms for topic in log.topics()}
        self._erasures = Erasures(clickhouse)
        self._inserts = Inserts(clickhouse)
        self._whole_ms = now_ms()
        """All that the log took before it is in the history."""

    def behind_s(self) -> float:
        """How long the oldest row that the history lacks has waited, in seconds; it grows while nothing can be read."""
        return max(self._now_ms() - self._whole_ms, 0) / 1_000

    def run(self) -> None:
        """Load rows until ``stopping``. A batch gathers for a quarter of a second, so that inserts are few and big.

        While the log cannot be read or written it waits, and then takes the same batch again.
        """
        while not self._stopping():
            try:
                few = self.round() < self._most // 2
            except LogUnavailable as error:
                log_line.warning("log_unavailable", detail=str(error))
                few = True
            if few:
                self._pause(0.25)

    def round(self, timeout_s: float = 0.0) -> int:
        """Read, insert and commit one batch. Return the number of its records.

        Raises :class:`LogUnavailable`: the next one begins where this one began. What it has inserted changes nothing
        when it comes again.
        """
        began = [(each, [(part, each.bookmark(part)) for part in each.positions()]) for each in self._consumers]
        try:
            return self._round(timeout_s)
        except LogUnavailable:
            for consumer, bookmarks in began:
                for partition, bookmark in bookmarks:
                    consumer.seek(partition, *bookmark)
            raise

    def _round(self, timeout_s: float) -> int:
        batches = [(consumer, self._read(consumer, timeout_s)) for consumer in self._consumers]
        records = [record for _, batch in batches for record in batch]
        self._whole_ms = min((record.log_time_ms for record in records), default=self._now_ms())
        if not records:
            return 0
        letters: list[DeadLetter] = []
        with _no_collection():
            entries = self._entries(records, letters)
        if not self._stored(entries, records, letters):
            return 0
        self._publish(letters)
        for consumer, batch in batches:
            if batch:
                consumer.commit({record.partition: record.offset + 1 for record in batch})
        return len(records)

    def _read(self, consumer: Consumer, timeout_s: float) -> list[Record]:
        """The next records of a topic, within the bounds of number and bytes."""
        found: list[Record] = []
        size = 0
        while len(found) < self._most and size < self._most_bytes:
            more = consumer.poll(min(CHUNK, self._most - len(found)), 0.0 if found else timeout_s)
            if not more:
                break
            found += more
            size += sum(len(record.value or b"") for record in more)
        return found

    def close(self) -> None:
        """Release everything."""
        for consumer in self._consumers:
            consumer.close()
        self._publisher.close()
        self._clickhouse.close()

    def _entries(self, records: Iterable[Record], letters: list[DeadLetter]) -> list[list[TableRow]]:
        """Return the rows of each table."""
        kinds: defaultdict[type, tuple[list[Any], list[Record]]] = defaultdict(lambda: ([], []))
        for record in records:
            if record.value is None:
                continue
            try:
                row = _READERS[record.topic](record.value)
            except BadRecord as error:
                letters.append(self._letter(record, error.reason, error.detail))
                continue
            rows, sources = kinds[type(row)]
            rows.append(row)
            sources.append(record)
        for row in kinds[MembershipRow][0]:
            if row.member:
                self._erasures.imported(row.workspace, row.subscriber, row.at_ms)
        return [rows_of_all(kind, *found) for kind, found in kinds.items()]

    def _stored(self, entries: Sequence[list[TableRow]], records: Sequence[Record], letters: list[DeadLetter]) -> bool:
        """Insert for as long as it takes. Return False where the process is stopped before."""
        ranges = self._ranges(records)

        def attempt() -> bool:
            self._erasures.follow()
            for kept in filter(None, map(self._erasures.kept, entries)):
                table = kept[0].table
                with _no_collection():
                    self._insert(table, kept, f"{ranges}:{table}:{len(kept)}", letters)
            # Whoever was erased between the look and the insert is erased again.
            self._erasures.repeat()
            return True

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(HistoryError),
            stop=lambda _: self._stopping(),
            wait=tenacity.wait_exponential_jitter(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S),
            sleep=self._pause,
            before_sleep=lambda state: self._say(state, records),
            retry_error_callback=lambda _: False,
        )
        return bool(retrying(attempt))

    def _say(self, state: tenacity.RetryCallState, records: Sequence[Record]) -> None:
        """Say that ClickHouse is away, and in time that the log will not keep for ever what waits for it."""
        error = state.outcome.exception() if state.outcome else None
        log_line.warning("clickhouse_unavailable", attempt=state.attempt_number, detail=str(error)[:300])
        for record in records:
            waited_ms, kept_ms = self._now_ms() - record.log_time_ms, self._kept_ms.get(record.topic, 0)
            if 0 < kept_ms < 2 * waited_ms:
                hours = {"waited_h": round(waited_ms / HOUR_MS, 1), "kept_h": round(kept_ms / HOUR_MS, 1)}
                log_line.error("history_will_be_lost", topic=record.topic, **hours)
                return

    def _insert(self, table: str, entries: Sequence[TableRow], token: str, letters: list[DeadLetter]) -> None:
        """Insert; where a row is at fault, find it by halving and set it aside."""
        try:
            self._inserts.insert(entries, _token(token))
        except (HistoryError, UnwritableRow, BadRecord) as error:
            if isinstance(error, HistoryError) and error.code not in DATA_FAULTS:
                raise
            if len(entries) == 1:
                self._set_aside(entries[0].record, error, letters)
                return
            half = len(entries) // 2
            self._insert(table, entries[:half], f"{token}<", letters)
            self._insert(table, entries[half:], f"{token}>", letters)

    def _set_aside(self, record: Record, error: Exception, letters: list[DeadLetter]) -> None:
        log_line.warning("row_refused", topic=record.topic, offset=record.offset, code=getattr(error, "code", 0))
        # NOTE: a letter about a letter could go round for ever.
        if record.topic != DEAD_LETTERS:
            told = (error.reason, error.detail) if isinstance(error, BadRecord) else _refused(error)
            letters.append(self._letter(record, *told))

    def _ranges(self, records: Sequence[Record]) -> str:
        """Return the ranges of a batch: topic, partition, first and last offset of each."""
        last = {(record.topic, record.partition): record.offset for record in records}
        first = {(record.topic, record.partition): record.offset for record in reversed(records)}
        return ",".join(
            f"{self._topic_ids[topic]}/{part}/{first[topic, part]}-{end}" for (topic, part), end in sorted(last.items())
        )

    def _letter(self, record: Record, reason: Reason, detail: str) -> DeadLetter:
        return letter_of(record, reason, detail, at_ms=self._now_ms())

    def _publish(self, letters: Sequence[DeadLetter]) -> None:
        """Publish, for as long as it takes."""

        def wait(count: int, fault: LogUnavailable) -> None:
            log_line.warning("log_unavailable", waiting=count, detail=str(fault))
            self._pause(FIRST_WAIT_S)

        publish_until_stored(self._publisher, [set_aside(letter) for letter in letters], wait)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python from looking for cycles: there are none among a batch's many objects, and the look costs half as much
    as all that is done with them. Never around a wait: what failed attempts leave behind does hold cycles.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _refused(error: Exception) -> tuple[Reason, str]:
    return Reason.REFUSED_BY_HISTORY, str(error)[:500]


def _token(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
