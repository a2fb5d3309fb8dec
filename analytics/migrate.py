"""Migrations: the numbered SQL of ``infra/clickhouse``, applied once each and in order, data kept.

A file is applied statement by statement, and noted when all of it has been. After a crash its statements are done
again: so each must bear that (``IF NOT EXISTS``, ``CREATE OR REPLACE VIEW``), which a test holds.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from analytics.clickhouse import ClickHouse, HistoryError, HistoryUnavailable
from analytics.config import AnalyticsSettings
from contracts.codec import to_json
from contracts.errors import ConfigError, Problem

log_line = structlog.get_logger("migrate")

_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")

NOTHING_THERE: Final = frozenset({60, 81})
"""ClickHouse's codes of a table and of a database that there is not."""
LEDGER: Final = """
CREATE TABLE IF NOT EXISTS migrations
(
    number UInt32 COMMENT 'Number of the file',
    name String COMMENT 'Its name',
    digest String COMMENT 'SHA-256 of its text',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When'
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY number
COMMENT 'Which of the numbered SQL files have been applied'
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    number: int
    name: str
    text: str

    @property
    def digest(self) -> str:
        """SHA-256 of its text: an applied file never changes."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        """Its statements, comments left out. A statement ends with ``;`` at the end of a line."""
        text = "\n".join(line for line in self.text.splitlines() if not line.startswith("--"))
        return [part.strip() for part in re.split(r";[ \t]*(?:\n|$)", text) if part.strip()]


def read_migrations(directory: Path) -> list[Migration]:
    """The files in order. Raises :class:`ConfigError` where there are none, or a number is missing or there twice."""
    found = []
    for path in sorted(directory.glob("*.sql")):
        named = _NAME.fullmatch(path.name)
        if not named:
            raise ConfigError([Problem(str(path), "", "is not named like a migration", "0001_words.sql")])
        found.append(Migration(int(named[1]), named[2], path.read_text("utf-8")))
    if not found or [each.number for each in found] != list(range(1, len(found) + 1)):
        raise ConfigError([Problem(str(directory), "", "the numbers are not 1, 2, 3, …", "SEGMA_MIGRATIONS")])
    return found


def migrate(
    clickhouse: ClickHouse, database: str, migrations: list[Migration], *, told: Callable[[str], None] = lambda _: None
) -> list[Migration]:
    """Apply what has not been applied; which that was. Raises :class:`ConfigError` where the database is not of these
    files: applied by a newer release, or from a text that has changed since.
    """
    clickhouse.command(f"CREATE DATABASE IF NOT EXISTS {database}", database=False)
    clickhouse.command(LEDGER)
    waiting = not_applied(clickhouse, database, migrations)
    for each in waiting:
        told(f"{each.number:04} {each.name}")
        for statement in each.statements:
            clickhouse.command(statement)
        note = {"number": each.number, "name": each.name, "digest": each.digest}
        clickhouse.insert("migrations", [to_json(note)])
    return waiting


def not_applied(clickhouse: ClickHouse, database: str, migrations: list[Migration]) -> list[Migration]:
    """Return which have not been applied; all of them where there is no database yet. Raises :class:`ConfigError` as
    :func:`migrate` does.
    """
    try:
        applied = dict(clickhouse.rows("SELECT number, digest FROM migrations FINAL"))
    except HistoryError as error:
        if error.code not in NOTHING_THERE:
            raise
        applied = {}
    _check(applied, migrations, database)
    return [each for each in migrations if each.number not in applied]


def migrate_patiently(
    clickhouse: ClickHouse,
    settings: AnalyticsSettings,
    *,
    pause: Callable[[float], None],
    stopping: Callable[[], bool],
) -> bool:
    """Call :func:`migrate`, waiting while ClickHouse is away. Return False where the process is stopped before."""
    migrations = read_migrations(settings.migrations)
    while not stopping():
        try:
            migrate(clickhouse, settings.clickhouse_database, migrations)
        except HistoryUnavailable as error:
            log_line.warning("clickhouse_unavailable", detail=str(error)[:300])
            pause(0.5)
            continue
        return True
    return False


def _check(applied: dict[int, str], migrations: list[Migration], database: str) -> None:
    known = {each.number: each.digest for each in migrations}
    problems = []
    for number, digest in sorted(applied.items()):
        if number not in known:
            problems.append(Problem(database, f"{number:04}", "was applied by a newer release", "install that release"))
        elif known[number] != digest:
            problems.append(
                Problem(database, f"{number:04}", "was applied from another text", "never change it; write the next")
            )
    if problems:
        raise ConfigError(problems)
