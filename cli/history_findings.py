"""The part of ``segma doctor`` on the history: is it there, of this release, and does it hold what the log holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from analytics.clickhouse import ClickHouse, HistoryError, HistoryUnavailable
from analytics.config import AnalyticsSettings, analytics_settings_at, connect
from analytics.migrate import not_applied, read_migrations
from analytics.recorded import erased
from cli.doors import NEWEST, newest
from contracts.codec import json_reader, msgpack_reader
from contracts.errors import BadRecord, ConfigError
from contracts.log import Log, Record
from contracts.plurals import counted
from contracts.reading import unread
from contracts.reasons import Reason
from contracts.rows import DeadLetter, EventRow
from contracts.topics import DAY_MS, DEAD_LETTERS, ROWS

PATIENCE_S: Final = 5
"""Seconds of silence after which ClickHouse counts as away."""
MAX_BEHIND_S: Final = 60.0
"""Above what a big insert, or a restart of ClickHouse, makes."""
SAMPLES: Final = 20
"""Rows of each partition that are asked for, evenly apart."""
ASKED_AT_ONCE: Final = 200
"""Ids of events: they stand in the address of what is asked."""

Finding = tuple[str, bool | None, str, str]
"""Subject, whether it is well (None: for information), what was found, what to do."""
_read_event_row: Final = json_reader(EventRow)
_read_letter: Final = msgpack_reader(DeadLetter)


class _Sample(NamedTuple):
    """A row of the log that the history should hold, and when the log took it."""

    workspace: str
    subscriber: str
    event_id: str
    log_time_ms: int


def history_findings(home: Path, *, running: bool) -> list[Finding]:
    """The findings but for what the log alone can tell. Nothing is written."""
    try:
        settings = analytics_settings_at(home)
        where = urlsplit(settings.url).hostname if settings.clickhouse_url else "embedded"
        if not settings.clickhouse_url and not settings.embedded.is_dir():
            return [("history", None, "embedded, nothing in it yet", "")]
        with closing(connect(settings, PATIENCE_S)) as clickhouse:
            return [_level(clickhouse, settings, where or "")]
    except ConfigError as error:
        return [("history", False, counted(len(error.problems), "problem"), str(error))]
    except HistoryUnavailable as error:
        # The embedded server runs only while the home does; every other one is there at any time.
        stands_still = not running and not settings.clickhouse_url
        return [("history", None if stands_still else False, f"{where}, not reachable", str(error))]
    except HistoryError as error:
        return [("history", False, f"{where}, refuses the question", str(error))]


def _level(clickhouse: ClickHouse, settings: AnalyticsSettings, where: str) -> Finding:
    """Whether every migration of this release is applied, and none of a newer one."""
    migrations = read_migrations(settings.migrations)
    waiting = not_applied(clickhouse, settings.clickhouse_database, migrations)
    if not waiting:
        return "history", True, f"{where}, {counted(len(migrations), 'migration')}", ""
    found = f"{where}, {len(migrations) - len(waiting)} of {counted(len(migrations), 'migration')}"
    return "history", False, found, "`segma migrate` applies the others, and so does the loader when it starts"


def loading_findings(home: Path, log: Log, now_ms: int) -> Iterator[Finding]:
    """Yield which rows the history refused, and how far it is behind the log; not that where it cannot be asked."""
    letters = [each for each in newest(log, DEAD_LETTERS, _read_letter) if each.reason == Reason.REFUSED_BY_HISTORY]
    late = sum(each.at_ms > now_ms - DAY_MS for each in letters)
    if late:
        remedy = "`segma deadletters list --reason refused_by_history` shows each with ClickHouse's words"
        yield "rows refused", False, f"{counted(late, 'row')} in a day that the history does not hold", remedy
    samples = list(_samples(log, {(each.partition, each.offset) for each in letters if each.topic == ROWS}))
    try:
        settings = analytics_settings_at(home)
        if not samples or not (settings.clickhouse_url or settings.embedded.is_dir()):
            return
        with closing(connect(settings, PATIENCE_S)) as clickhouse:
            since_ms = _lacks_since_ms(clickhouse, samples)
    except (ConfigError, HistoryError):
        return
    behind_s = 0.0 if since_ms is None else max(now_ms - since_ms, 0) / 1_000
    found = f"{behind_s:.0f} s behind" if since_ms is not None else "holds the newest rows"
    yield "history's rows", behind_s < MAX_BEHIND_S, found, "is the loader at work? Its log says what it waits for"


def _lacks_since_ms(clickhouse: ClickHouse, samples: list[_Sample]) -> int | None:
    """When the log took the oldest of the samples that the history lacks; None: it lacks none."""
    lacking: list[int] = []
    sql = "SELECT DISTINCT subscriber, event_id FROM event_rows WHERE workspace = {workspace:String}"
    for workspace in sorted({each.workspace for each in samples}):
        own = [each for each in samples if each.workspace == workspace]
        gone, held = erased(clickhouse, workspace), set[tuple[str, str]]()
        for first in range(0, len(own), ASKED_AT_ONCE):
            ids = [each.event_id for each in own[first : first + ASKED_AT_ONCE]]
            given = {"workspace": workspace, "ids": ids}
            held |= {
                (who, each) for who, each in clickhouse.rows(f"{sql} AND event_id IN {{ids:Array(String)}}", given)
            }
        kept = [each for each in own if each.subscriber not in gone]
        lacking += [each.log_time_ms for each in kept if (each.subscriber, each.event_id) not in held]
    return min(lacking, default=None)


def _samples(log: Log, refused: set[tuple[int, int]]) -> Iterator[_Sample]:
    """Yield some of each partition's newest rows of events, the newest among them."""
    reader, oldest = log.reader(ROWS, from_end=True), log.start(ROWS)
    found: dict[int, list[_Sample]] = {}
    try:
        for partition, end in reader.positions().items():
            reader.seek(partition, max(end - NEWEST, oldest[partition]))
        for record in unread(reader):
            sample = _sample(record)
            if sample is not None and (record.partition, record.offset) not in refused:
                found.setdefault(record.partition, []).append(sample)
    finally:
        reader.close()
    for own in found.values():
        yield from own[:: -(len(own) // SAMPLES + 1)]


def _sample(record: Record) -> _Sample | None:
    try:
        event = _read_event_row(record.value or b"").event
    except BadRecord:
        return None
    return _Sample(event.workspace, event.subscriber, event.event_id, record.log_time_ms)
