"""Around the installation of :mod:`bench.month`: time, and a log and a history that go away."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pyarrow

from analytics.clickhouse import HistoryUnavailable
from contracts.errors import LogUnavailable, SegmaError
from contracts.log import Bookmark, Consumer, Log, OnPublished, Outgoing, Publisher, PublishOutcome, Record
from contracts.topics import Topic

TURN_S: Final = 120.0
"""Real seconds after which a process that does not give its turn back is taken for hanging."""
ACCEPTED, MATCHED, LATE, REPEATED, REFUSED = 1, 2, 4, 8, 16
"""What became of an event: bits of its byte in :attr:`Books.events`."""
EVENT_ID = re.compile(r"\be(\d+)\b")


class Clock:
    """The one clock of everybody."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms


class Killed(BaseException):
    """The process ends where it waits."""


class Process:
    """A process that waits in simulated time: a thread that runs only while it is given its turn.

    ``work`` gets the process, whose :meth:`pause` and :meth:`stopping` are its clock's.
    """

    def __init__(self, clock: Clock, work: Callable[[Process], None]) -> None:
        self._clock, self._work = clock, work
        self._wake_ms, self._stopping, self._killed = clock.now_ms, False, False
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self.error: BaseException | None = None
        self.ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stopping(self) -> bool:
        """Whether it was asked to end."""
        return self._stopping

    def pause(self, seconds: float) -> None:
        """Wait so long on the simulated clock; no longer where the process is to end."""
        self._wake_ms = self._clock.now_ms + int(seconds * 1_000)
        self._back.release()
        self._await_turn()

    def turn(self) -> None:
        """Let it run until it waits again, if it does not wait still. Raises what ended it, but for our own errors."""
        if self.ended or (self._clock.now_ms < self._wake_ms and not self._stopping):
            return
        self._go.release()
        if not self._back.acquire(timeout=TURN_S):
            raise TimeoutError("a process of the simulation does not come back")
        if self.error is not None and not isinstance(self.error, SegmaError | Killed):
            raise self.error

    def end(self, *, kill: bool) -> None:
        """Ask it to end, or end it where it waits."""
        self._stopping, self._killed = True, kill
        for _ in range(1_000):
            if self.ended:
                break
            self.turn()
        else:
            raise TimeoutError("a process of the simulation does not end")
        self._thread.join(TURN_S)

    def _run(self) -> None:
        try:
            self._await_turn()
            self._work(self)
        except BaseException as error:  # told to whoever gives the turn
            self.error = error
        self.ended = True
        self._back.release()

    def _await_turn(self) -> None:
        if not self._go.acquire(timeout=10 * TURN_S):
            raise TimeoutError("nobody gives this process of the simulation its turn")
        if self._killed:
            raise Killed


class OutageLog:
    """A log that can be away: then nothing is read or written, and everybody is told so."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.away = False
        self.left: int | None = None
        """After so many more publications it is away; None: it stays."""
        for name in ("ensure", "topics", "topic_id", "start", "end"):
            setattr(self, name, self._checked(getattr(log, name)))
        self.close = log.close

    def _checked(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def checked(*args: Any, **options: Any) -> Any:
            self.check()
            return call(*args, **options)

        return checked

    def check(self) -> None:
        """Raise :class:`LogUnavailable` while it is away."""
        if self.away:
            raise LogUnavailable("the broker is away")

    def counts(self) -> bool:
        """Whether one more publication is taken."""
        if self.left is not None:
            self.left -= 1
            self.away = self.away or self.left < 0
        return not self.away

    def publisher(self) -> Publisher:
        """See :meth:`contracts.log.Log.publisher`."""
        return _OutagePublisher(self, self._log.publisher())

    def consumer(self, *args: Any, **options: Any) -> Consumer:
        """See :meth:`contracts.log.Log.consumer`."""
        self.check()
        return _OutageConsumer(self, self._log.consumer(*args, **options))

    def reader(self, topic: str, *, from_end: bool = False, strict: bool = True) -> Consumer:
        """See :meth:`contracts.log.Log.reader`."""
        self.check()
        return _OutageConsumer(self, self._log.reader(topic, from_end=from_end, strict=strict))

    ensure: Callable[[Sequence[Topic]], None]
    topics: Callable[[], list[Topic]]
    topic_id: Callable[[str], str]
    start: Callable[[str], dict[int, int]]
    end: Callable[[str], dict[int, int]]
    close: Callable[[], None]


class _OutagePublisher:
    def __init__(self, outage: OutageLog, publisher: Publisher) -> None:
        self._outage, self._publisher = outage, publisher
        self.close = publisher.close

    def publish(self, records: Sequence[Outgoing]) -> list[PublishOutcome]:
        if self._outage.counts():
            return self._publisher.publish(records)
        return [LogUnavailable("the broker is away")] * len(records)

    def submit(self, records: Sequence[Outgoing], done: OnPublished) -> None:
        if self._outage.counts():
            self._publisher.submit(records, done)
        else:
            done([LogUnavailable("the broker is away")] * len(records))


class _OutageConsumer:
    def __init__(self, outage: OutageLog, consumer: Consumer) -> None:
        self._outage, self._consumer = outage, consumer
        self.positions, self.bookmark = consumer.positions, consumer.bookmark
        self.seek, self.close = consumer.seek, consumer.close

    positions: Callable[[], dict[int, int]]
    bookmark: Callable[[int], Bookmark]
    close: Callable[[], None]

    def poll(self, max_records: int, timeout_s: float = 0.0) -> list[Record]:
        self._outage.check()
        return self._consumer.poll(max_records)

    def commit(self, positions: Mapping[int, int]) -> None:
        self._outage.check()
        self._consumer.commit(positions)


_COLUMNS: Final = {
    "event_rows": {"event_id": "String", "reason": "String"},
    "dead_letter_rows": {"reason": "String", "sample": "String"},
    "outcome_rows": {"command_id": "String", "result": "String", "reason": "String"},
}
_OTHERS: Final = {"workspace": "String"}


class Books:
    """An imitated history that can be away, and the judge's books: what became of each event, by its number.

    It keeps the columns that are judged, of tables that have no others. What the loader writes twice counts once.
    """

    def __init__(self) -> None:
        self.away = False
        self.loses_answers = 0
        """Of how many more inserts the answer is lost on its way."""
        self.events = bytearray()
        self.rows_of: Counter[str] = Counter()
        self.results: Counter[str] = Counter()
        self.letters: Counter[str] = Counter()
        self.strangers = 0
        """Rows of events that nobody sent."""
        self._outcomes: set[int] = set()

    def accepted(self, number: int) -> None:
        """The collector has said that it has the event."""
        if number >= len(self.events):
            self.events.extend(bytes(max(number + 1 - len(self.events), 65_536)))
        self.events[number] |= ACCEPTED

    def command(self, *_: Any, **__: Any) -> None:
        """A statement."""
        self._check()

    def rows(self, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        """Nobody was erased."""
        self._check()
        return []

    def columns(self, table: str) -> dict[str, str]:
        """The columns of a table."""
        self._check()
        return _COLUMNS.get(table, _OTHERS)

    def insert_arrow(self, table: str, columns: Sequence[str], stream: bytes, token: str) -> None:
        """Take rows in. Raises :class:`HistoryUnavailable` while it is away."""
        self._check()
        with pyarrow.ipc.open_stream(stream) as reader:
            found = reader.read_all().to_pydict()
        self.rows_of[table] += len(next(iter(found.values())))
        taken = {"event_rows": self._take_events, "dead_letter_rows": self._take_letters}.get(table)
        if taken is not None:
            taken(found)
        elif table == "outcome_rows":
            self.results.update(
                f"{a.decode()} {b.decode()}" for a, b in zip(found["result"], found["reason"], strict=True)
            )
        if self.loses_answers:
            self.loses_answers -= 1
            raise HistoryUnavailable("the connection broke")

    def _take_events(self, found: Mapping[str, Sequence[bytes]]) -> None:
        for name, reason in zip(found["event_id"], found["reason"], strict=True):
            known = EVENT_ID.fullmatch(name.decode())
            if known is None:
                continue  # what the flow itself tells: joinings, session ends
            bit = {b"": MATCHED, b"late": LATE, b"duplicate": REPEATED}[reason]
            self._mark(int(known[1]), bit)

    def _take_letters(self, found: Mapping[str, Sequence[bytes]]) -> None:
        for sample, reason in zip(found["sample"], found["reason"], strict=True):
            self.letters[reason.decode()] += 1
            for number in set(EVENT_ID.findall(sample.decode("utf-8", "replace"))):
                self._mark(int(number), REFUSED)

    def _mark(self, number: int, bit: int) -> None:
        if number < len(self.events) and self.events[number] & ACCEPTED:
            self.events[number] |= bit
        else:
            self.strangers += 1

    def close(self) -> None:
        """Release nothing."""

    def _check(self) -> None:
        if self.away:
            raise HistoryUnavailable("ClickHouse is away")
