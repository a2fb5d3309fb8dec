"""A home whose history the flow has written, for what is asked of `segma backtest`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import cli.backtest
import cli.backtesting.ranges
from analytics.clickhouse import ClickHouse
from cli.__main__ import cli as segma_cli
from contracts.codec import replaced
from contracts.commands import Command
from contracts.events import Event, Trust
from contracts.log import Record
from contracts.rows import Row
from contracts.topics import fixed_topics
from contracts.versions import ListenerVersion
from flows.subscriber.generations import Deployed
from flows.subscriber.pinned_terms import Terms
from flows.versions.deployment import Versions, listener_of
from tests.analytics.embedded import Embedded
from tests.analytics.story import at
from tests.properties.past import Installation, live, put_into
from transport import open_log
from transport.config import load_installation, settings_at

CONFIG = """
token_keys: {file: keys}
workspaces:
  w:
    secret: {file: secret}
    accounts: {mailbox: {sink: file}}
    lateness: 30m
"""
FIRST = """
listener: keen
sequence:
  - {step: clicked, action: email_clicked, where: {campaign: spring}}
  - {step: looked, action: page_viewed}
  - {not: product_bought, for: 30m}
then: [{move: {from: news, to: hot, at: mailbox}}]
"""
SECOND = FIRST.replace("keen", "keen\nversion: 2").replace("campaign: spring", "campaign: [spring, autumn]")
PEOPLE = 30


@dataclass
class Past:
    """A home whose history the flow has written, and what it had emitted."""

    home: Path
    history: ClickHouse
    written: list[tuple[Record, Row | Command]]

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(segma_cli, ["backtest", *words, "--home", str(self.home), "--processes", "1"])

    def answer(self, *words: str) -> dict[str, Any]:
        said = self.run(*words, "--json")
        assert said.exit_code == 0, said.output
        found: dict[str, Any] = json.loads(said.stdout)
        return found


def version(text: str, number: int) -> ListenerVersion:
    return ListenerVersion("w", "keen", number, text, 0)


def arrivals() -> list[tuple[Event, int]]:
    """Each clicks; who is even looks, every fifth buys 31 minutes later and every seventh within them, but it is heard
    of late. One more is on their way still.
    """
    found = []
    for number in range(PEOPLE):
        who, start = f"s_{number:02}", number * 3_600_000
        told = [("email_clicked", 0, {"campaign": "autumn" if number % 10 == 3 else "spring"})]
        told += [("page_viewed", 60_000, {"path": "/shoes"})] if number % 2 == 0 else []
        told += [("product_bought", 31 * 60_000, {})] if number % 5 == 0 else []
        for place, (action, after, given) in enumerate(told):
            ms = at(0, start + after)
            found.append((event(f"{who}-{place}", who, action, ms, ms, given), ms))
        if number % 7 == 0:
            ms, heard = at(0, start + 20 * 60_000), at(0, start + 32 * 60_000)
            found.append((event(f"{who}-late", who, "product_bought", ms, heard, {}), heard))
    return sorted(found, key=lambda each: each[1])


def event(event_id: str, who: str, action: str, at_ms: int, log_ms: int, given: dict[str, Any]) -> Event:
    return Event(
        *("w", who, event_id, action, at_ms),
        properties=given,
        trust=Trust.TOKEN,
        log_time_ms=log_ms,
        received_at_ms=log_ms,
    )


def begun(embedded: Embedded, database: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Past:
    """A home with one listener, live from the beginning, and its history in a database of its own."""
    home = folder / "home"
    (home / "data").mkdir(parents=True, mode=0o700)
    (home / "segma.yaml").write_text(CONFIG)
    (home / "secret").write_text("s" * 40)
    monkeypatch.setenv("SEGMA_CLICKHOUSE_DATABASE", database)
    monkeypatch.setenv("SEGMA_CLICKHOUSE_URL", embedded.url)
    monkeypatch.setenv("SEGMA_CLICKHOUSE_PASSWORD_FILE", str(embedded.home / "data" / "clickhouse-segma.password"))
    monkeypatch.setattr(cli.backtest, "RANGE_ROWS", 20)
    apply(home, [replaced(version(FIRST, 1), live_from_ms=0)])
    terms = Terms(30 * 60_000, 1_800_000, 86_400_000, 2_000)
    deployed = [Deployed(listener_of(version(FIRST, 1), ()))]
    written = live(Installation(deployed, terms, arrivals(), at(0, PEOPLE * 3_600_000)), folder / "states")
    history = embedded.history(database)
    put_into(history, written)
    return Past(home, history, written)


def apply(home: Path, versions: list[ListenerVersion]) -> None:
    log = open_log(settings_at(home))
    try:
        log.ensure(fixed_topics(load_installation(home / "segma.yaml").partitions))
        table = Versions(log)
        table.write(versions)
        table.close()
    finally:
        log.close()
