"""Erasure: who is to be forgotten, how their rows are removed, and how a replay is kept from bringing them back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from analytics.clickhouse import ClickHouse
from analytics.old_parts import OldParts
from analytics.tables import DEAD_LETTERS, OF_A_PERSON, PersonKey, TableRow, instant
from contracts.codec import to_json
from contracts.topics import DAY_MS

KEPT_FOR_MS: Final = 90 * DAY_MS
"""The longest retention of a topic that the loader reads: until then a replay could bring rows back."""


class Erasure(NamedTuple):
    """The erasure of one person, a row of ``erasures``."""

    workspace: str
    subscriber: str
    erased_at_ms: int
    until_ms: int


class Erasures:
    """The people whose rows the loader skips. The table is small, and read whole."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse
        self._known: dict[PersonKey, Erasure] = {}
        self._back: dict[PersonKey, int] = {}

    def follow(self) -> None:
        """Take in who has been erased; lift it for those who have been imported since."""
        self._known = _read(self._clickhouse)
        for person, at_ms in list(self._back.items()):
            known = self._known.get(person)
            if known is not None and known.erased_at_ms < at_ms and known.until_ms > known.erased_at_ms:
                lifted = known._replace(until_ms=known.erased_at_ms)
                _note(self._clickhouse, lifted, {}, version=at_ms)
                self._known[person] = lifted
        self._back.clear()

    def imported(self, workspace: str, subscriber: str, at_ms: int) -> None:
        """Note that a person is on a list (again): from then on their rows are kept."""
        self._back[workspace, subscriber] = at_ms

    def kept(self, rows: Sequence[TableRow]) -> Sequence[TableRow]:
        """Return the rows without those that are kept out of the history: by whom, and when the log took them."""
        return [row for row in rows if not self._skips(row)] if self._known else rows

    def _skips(self, row: TableRow) -> bool:
        known = self._known.get(row.person)
        return known is not None and row.record.log_time_ms <= known.until_ms

    def repeat(self) -> None:
        """Remove the rows of who was erased since :meth:`follow`."""
        for person, erasure in _read(self._clickhouse).items():
            if person not in self._known or self._known[person].erased_at_ms < erasure.erased_at_ms:
                remove_rows(self._clickhouse, [person])


def erase(clickhouse: ClickHouse, person: PersonKey, now_ms: int) -> dict[str, int]:
    """Forget a person: skip them from now on, then remove their rows, and those of devices that were theirs before they
    were known. The rows of each table that went; noted in ``erasures``, which is the proof.
    """
    people = [person, *_anonymous_of(clickhouse, person)]
    for each in people:
        _note(clickhouse, Erasure(*each, now_ms, now_ms + KEPT_FOR_MS), {}, version=now_ms)
    removed = remove_rows(clickhouse, people)
    _note(clickhouse, Erasure(*person, now_ms, now_ms + KEPT_FOR_MS), removed, version=now_ms + 1)
    return removed


def erase_at_once(
    clickhouse: ClickHouse, people: Sequence[PersonKey], now_ms: int, pause: Callable[[float], None]
) -> tuple[dict[str, int], int]:
    """Forget each as :func:`erase` does, and wait until their rows are off the disk, a minute and a half at most.

    The rows of each table that went, and of how many tables former parts are left; ``pause`` waits for so many seconds.
    """
    removed = Counter[str]()
    with OldParts(clickhouse, (*OF_A_PERSON, DEAD_LETTERS), pause) as old:
        for person in people:
            removed.update(erase(clickhouse, person, now_ms))
    return dict(removed), old.left


def remove_rows(clickhouse: ClickHouse, people: Iterable[PersonKey]) -> dict[str, int]:
    """Remove all rows of these people, and wait until that is done; how many of each table."""
    removed = {}
    params: dict[str, Any] = {"people": [f"{workspace}/{subscriber}" for workspace, subscriber in people]}
    theirs = dict.fromkeys(OF_A_PERSON, "concat(workspace, '/', subscriber) IN {people:Array(String)}")
    theirs[DEAD_LETTERS] = (
        "key IN {people:Array(String)} OR arrayExists(p -> position(sample, splitByChar('/', p)[2]) > 0 "
        "AND workspace = splitByChar('/', p)[1], {people:Array(String)})"
    )
    for table, where in theirs.items():
        removed[table] = int(clickhouse.rows(f"SELECT count() FROM {table} WHERE {where}", params)[0][0])  # noqa: S608
        if removed[table]:
            clickhouse.command(f"ALTER TABLE {table} DELETE WHERE {where} SETTINGS mutations_sync = 2", params)
    return removed


def _anonymous_of(clickhouse: ClickHouse, person: PersonKey) -> list[PersonKey]:
    """The ids under which this person's devices went before they were known: ``device`` holds them."""
    sql = (
        "SELECT DISTINCT device FROM event_rows WHERE workspace = {workspace:String} "
        "AND subscriber = {subscriber:String} AND device != ''"
    )
    rows = clickhouse.rows(sql, {"workspace": person[0], "subscriber": person[1]})
    return [(person[0], str(device)) for (device,) in rows]


def _read(clickhouse: ClickHouse) -> dict[PersonKey, Erasure]:
    sql = (
        "SELECT workspace, subscriber, toUnixTimestamp64Milli(erased_at), toUnixTimestamp64Milli(until) "
        "FROM erasures FINAL"
    )
    return {(str(row[0]), str(row[1])): Erasure(*row) for row in clickhouse.rows(sql)}


def _note(clickhouse: ClickHouse, erasure: Erasure, removed: dict[str, int], *, version: int) -> None:
    fields = {
        "workspace": erasure.workspace,
        "subscriber": erasure.subscriber,
        "erased_at": instant(erasure.erased_at_ms),
        "until": instant(erasure.until_ms),
        "removed": removed,
        "version": version,
    }
    clickhouse.insert("erasures", [to_json(fields)])
