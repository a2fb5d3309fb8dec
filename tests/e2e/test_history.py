"""A person's trip, asked of ClickHouse by an unchanged client and by the commands; then the person is forgotten."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
import requests

from cli.people import import_people
from contracts.tokens import Claims, Keyring, TokenKey, subscriber_id
from sinks.base import Member
from tests.cli.test_up import command, up
from tests.e2e.test_demo import free_base
from tests.live_files import files_below

pytestmark = pytest.mark.alone

ORIGIN = "http://shop.test"
KEY = TokenKey("k1", bytes.fromhex("ab" * 64))
SECRET = "s" * 40
ADDRESS = "Ann.Example@Example.org"
NAME = "Annabel Quist"
PATIENCE_S = 120.0
CONFIG = """
token_keys: {file: keys}
workspaces:
  demo:
    secret: {file: secret}
    sites: {shop: {key: shop-key, origins: ["http://shop.test"]}}
    accounts: {mailbox: {sink: file}}
"""
LISTENER = """
listener: keen
sequence:
  - {step: clicked, action: email_clicked, where: {campaign: "spring-*"}}
  - {step: looked, action: page_viewed, times: 2}
then:
  - move: {from: newsletter, to: keen, at: mailbox}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "segma.yaml").write_text(CONFIG)
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "keys").write_text(f"k1 {KEY.secret.hex()}\n")
    (tmp_path / "listeners").mkdir()
    (tmp_path / "listeners" / "keen.yaml").write_text(LISTENER)
    newsletter = tmp_path / "data" / "lists" / "demo" / "mailbox" / "newsletter.txt"
    newsletter.parent.mkdir(parents=True)
    newsletter.write_text(f"{ADDRESS.lower()}\n")
    import_people(tmp_path, "demo/mailbox", "newsletter", iter([Member(ADDRESS, NAME)]))
    return tmp_path


def walk(collector: str, subscriber: str) -> None:
    """One mail's link, two pages."""
    token = Keyring([KEY], max_age_s=10**9).seal(Claims("demo", subscriber, int(time.time())))
    steps: list[tuple[str, dict[str, Any]]] = [
        ("email_clicked", {"campaign": "spring-sale"}),
        ("page_viewed", {"path": "/shoes"}),
        ("page_viewed", {"path": "/coats", "sku": "coat-1"}),
    ]
    for number, (action, properties) in enumerate(steps):
        now_ms = time.time_ns() // 1_000_000
        event = {"event_id": f"e{number}", "action": action, "occurred_at_ms": now_ms, "order": number}
        beacon = {
            "site": "shop-key",
            "device": "ann-device",
            "sent_at_ms": now_ms,
            "token": token,
            "events": [{**event, "properties": properties}],
        }
        answer = requests.post(f"{collector}/v1/beacons", json=beacon, headers={"Origin": ORIGIN}, timeout=30)
        assert answer.status_code == 204, answer.text


def awaited(client: Any, sql: str, home: Path) -> list[tuple[Any, ...]]:
    """The rows of a question, once there are any."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            rows: list[tuple[Any, ...]] = client.query(sql).result_rows
        except clickhouse_connect.driver.exceptions.DatabaseError:
            rows = []  # the loader has not made the tables yet
        if rows:
            return rows
        assert time.monotonic() < until, (home / "logs" / "loader.log").read_text()[-2_000:]
        time.sleep(0.1)


def segma(home: Path, *words: str) -> str:
    """What a command prints."""
    argv, environment = command(home, *words)
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_trip_asked_of_clickhouse(home: Path) -> None:
    subscriber = subscriber_id(SECRET.encode(), ADDRESS)
    with up(home, free_base()) as (_, addresses):
        walk(addresses["collector"], subscriber)
        client = clickhouse_connect.get_client(
            host="127.0.0.1",
            port=int(addresses["clickhouse"].rpartition(":")[2]),
            username="analyst",
            password=(home / "data" / "clickhouse-analyst.password").read_text().strip(),
            database="segma",
        )
        # The move, with its evidence and the platform's answer.
        sql = (
            "SELECT subscriber, verb, from_list, to_list, listener, evidence_step, evidence_action, evidence_event_id, "
            "result, changed FROM moves WHERE result != 'waiting'"
        )
        (move,) = awaited(client, sql, home)
        assert move[:5] == (subscriber, "move", "newsletter", "keen", "keen")
        assert move[5:8] == (
            ["clicked", "looked", "looked"],
            ["email_clicked", "page_viewed", "page_viewed"],
            ["e0", "e1", "e2"],
        )
        assert (move[8], sorted(move[9])) == ("applied", ["+keen", "-newsletter"])
        # The events, in one session; the match.
        assert awaited(client, "SELECT trust FROM events WHERE action = 'list_joined'", home) == [("server",)]
        own = "FROM events WHERE trust = 'token' ORDER BY order_no"
        events = client.query(f"SELECT action, path, sku, session, trust {own}").result_rows
        assert [row[:3] for row in events] == [
            ("email_clicked", "", ""),
            ("page_viewed", "/shoes", ""),
            ("page_viewed", "/coats", "coat-1"),
        ]
        assert {row[4] for row in events} == {"token"}
        (session,) = {row[3] for row in events}
        assert session
        matches = client.query("SELECT listener, state, evidence_event_id FROM matches").result_rows
        assert matches == [("keen", "stands", ["e0", "e1", "e2"])]
        # The membership before and after.
        spans = client.query("SELECT list, valid_from, valid_to FROM memberships ORDER BY valid_from").result_rows
        (before, after) = spans
        assert (before[0], after[0], before[2], after[2]) == ("newsletter", "keen", after[1], None)
        client.close()

        said = segma(home, "why", ADDRESS, "keen")
        assert "In keen since" in said
        assert "keen version 1 matched at" in said
        assert "looked: page_viewed at" in said
        assert "applied" in said
        assert "Was in newsletter from" in segma(home, "why", ADDRESS, "newsletter")
        lines = segma(home, "timeline", ADDRESS).splitlines()
        assert any("move     move newsletter → keen" in line for line in lines)
        assert json.loads(segma(home, "query", "members", "list=keen", "--json"))["subscriber"] == subscriber
        assert segma(home, "query", "SELECT count() AS n FROM events", "--csv") == "n\n4\n", (
            "the import's `list_joined` besides"
        )

        known = json.loads(segma(home, "export", ADDRESS).replace("\n", " "))
        assert known["directory"]["address"] == ADDRESS.lower()
        assert len(known["event_rows"]) == 4
        proof = json.loads(segma(home, "forget", ADDRESS, "--yes", "--json"))
        assert (proof["subscriber"], proof["directory_entry"], proof["rows"]["event_rows"]) == (subscriber, True, 4)
        left = json.loads(segma(home, "export", ADDRESS))
        assert left["directory"] is None
        assert not any(rows for name, rows in left.items() if name != "directory")
        erasures = segma(home, "query", "SELECT * FROM erasures FINAL", "--json")
        assert subscriber in erasures
        assert "example" not in erasures.lower()
        # With everything still running: no byte of who was forgotten, in any file of the home.
        assert [path for path, data in files_below(home) if names_her(data)] == []
    assert [path for path, data in files_below(home) if names_her(data)] == []


def names_her(data: bytes) -> bool:
    """Whether an address or a name stands in these bytes, also as UTF-16 or percent-encoded."""
    data = data.lower()
    texts = (ADDRESS.lower(), ADDRESS.lower().replace("@", "%40"), NAME.lower())
    return any(text.encode(encoding) in data for text in texts for encoding in ("utf-8", "utf-16-le"))
