"""A large installation's home for :mod:`bench.console`: its people, its listeners, and what a month left behind.

ClickHouse makes the rows of the history itself (``console_history.sql``), an insert a slice of the month, as the loader
would have written them. The same sizes give the same rows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from analytics.clickhouse import ClickHouse
from bench.match import documents
from contracts.codec import to_json
from contracts.errors import SegmaError
from contracts.log import Log, Outgoing
from contracts.rows import DirectoryEntry
from contracts.topics import SUBSCRIBERS, subscriber_key
from contracts.versions import ListenerVersion
from flows.versions.deployment import Versions

WORKSPACE: Final = "main"
DAY_MS: Final = 86_400_000
AT_ONCE: Final = 200_000
"""Rows of an insert."""
BATCH: Final = 10_000
SEED: Final = 23
VERSIONS: Final = 5
"""Of each listener."""
WORDS: Final = """
WITH '{workspace}' AS workspace,
    (salt, count) -> intDiv(bitAnd(cityHash64(number, salt), 4294967295) * count, 4294967296) AS chance,
    salt -> toUInt64(pow(chance(salt, 1000000) / 1000000, 2) * {{people:UInt64}}) AS often,
    (kind, number) -> substring(lower(hex(SHA256(concat(kind, toString(number))))), 1, 32) AS id,
    number -> concat('s_', id('', number)) AS person,
    fromUnixTimestamp64Milli({{start:Int64}}, 'UTC') AS begun,
    toInt64(intDiv(number * {{span:UInt64}}, {{total:UInt64}})) AS passed_ms,
    fromUnixTimestamp64Milli({{start:Int64}} + passed_ms, 'UTC') AS moment,
    at -> toUInt64(toUnixTimestamp64Milli(at)) * 4194304 + number % 4194304 AS version_at,
    concat('l-', toString(chance(2, {{listeners:UInt64}}))) AS of_listener,
    concat('list-', toString(chance(2, {{listeners:UInt64}}) % {{lists:UInt64}})) AS list_name,
    ['clicked', 'looked'] AS steps, ['email_clicked', 'page_viewed'] AS acts,
    rows AS (SELECT number FROM numbers({{first:UInt64}}, {{count:UInt64}}))
"""
"""What the selects are written in. Some people come far more often than others, as at any shop."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much there is. ``matches``: completed runs, most of them with a command and its outcome."""

    people: int
    listeners: int
    days: int
    events: int
    matches: int

    def rows(self) -> dict[str, int]:
        """How many rows each table gets."""
        return {
            "event_rows": self.events,
            "session_rows": self.events // 4,
            "match_rows": self.matches,
            "command_rows": self.matches,
            "outcome_rows": self.matches,
            "membership_rows": self.people,
            "run_rows": self.listeners * 2 * 4 * 16 * self.days,
            "dead_letter_rows": self.events // 200,
            "audit_rows": self.events // 1_000,
        }

    def parameters(self, now_ms: int) -> dict[str, int]:
        """What the selects ask for beside their own numbers."""
        span = self.days * DAY_MS
        lists = max(self.listeners // 10, 1)
        own = {"people": self.people, "listeners": self.listeners, "lists": lists}
        return {**own, "start": now_ms - span, "span": span}


def person(number: int) -> str:
    """The opaque id of somebody, as the selects make it."""
    return f"s_{hashlib.sha256(str(number).encode()).hexdigest()[:32]}"


def selects() -> dict[str, str]:
    """The select of each table's rows, without the numbers it is made of."""
    text = Path(__file__).with_name("console_history.sql").read_text("utf-8")
    parts = re.split(r"^-- (\w+_rows)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def fill(clickhouse: ClickHouse, sizes: Sizes, now_ms: int, done: dict[str, int]) -> Iterator[str]:
    """Make the month's rows, up to an instant, and yield each table's name after each insert. ``done``: of each, how
    many rows there are already.
    """
    known, words = selects(), WORDS.format(workspace=WORKSPACE)
    for table, total in sizes.rows().items():
        given = {**sizes.parameters(now_ms), "total": total, "first": 0, "count": 1}
        made = {name for name, *_ in clickhouse.rows(f"DESCRIBE ({words}{known[table]})", given)}
        listed = ", ".join(name for name in clickhouse.columns(table) if name in made)
        for first in range(done.get(table, 0), total, AT_ONCE):
            given |= {"first": first, "count": min(AT_ONCE, total - first)}
            clickhouse.command(f"INSERT INTO {table} ({listed}) SELECT {listed} FROM ({words}{known[table]})", given)
            done[table] = first + given["count"]
            yield table


def enrol(log: Log, people: int) -> None:
    """Write the directory."""
    publisher = log.publisher()
    try:
        for first in range(0, people, BATCH):
            own = [(person(each), each) for each in range(first, min(first + BATCH, people))]
            entries = [DirectoryEntry(WORKSPACE, who, f"person{each}@example.com", f"P {each}") for who, each in own]
            records = [Outgoing(SUBSCRIBERS, subscriber_key(WORKSPACE, e.subscriber), to_json(e)) for e in entries]
            if failed := [each for each in publisher.publish(records) if isinstance(each, SegmaError)]:
                raise failed[0]
    finally:
        publisher.close()


def apply(home: Path, log: Log, count: int, now_ms: int) -> None:
    """Write the listeners' files, as marketing's would be, and their versions: the newest is live, the others ended."""
    versions = Versions(log)
    found = []
    try:
        for name, sequence in documents(count, SEED):
            listener = name.removesuffix(".yaml")
            answer = f"then:\n  - add: {{to: list-{int(listener[2:]) % max(count // 10, 1)}, at: mailbox}}\n"
            for number in range(1, VERSIONS + 1):
                text = f"{sequence.decode()}{answer}version: {number}\n"
                from_ms = now_ms - (VERSIONS - number) * DAY_MS
                until_ms = from_ms + DAY_MS if number < VERSIONS else None
                found.append(ListenerVersion(WORKSPACE, listener, number, text, from_ms, from_ms, until_ms))
            (home / "listeners" / name).write_text(text)
        versions.write(found)
    finally:
        versions.close()
