from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cli.demo import LISTENERS, PEOPLE, import_once, write_demo
from cli.drive import EXPECTED, TripLog
from cli.up import LocalAddresses
from contracts.commands import Command, EventRef, Outcome, Result, Verb
from contracts.events import Event
from contracts.log import Log
from contracts.rows import CommandRow, EventRow
from contracts.topics import ROWS, SUBSCRIBERS
from flows.language.files import load_listeners
from transport import open_log
from transport.config import Settings, load_installation, load_keyring

ADDRESSES = LocalAddresses.at(18_400, shop=True)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEGMA_ROOT", str(Path(__file__).resolve().parents[2]))
    write_demo(tmp_path, ADDRESSES)
    return tmp_path


def test_the_demo_writes_an_installation_that_every_room_can_read(home: Path) -> None:
    installation = load_installation(home / "segma.yaml")
    load_keyring(installation, beside=home / "segma.yaml")
    listeners = load_listeners(home / "listeners", home / "actions.yaml")
    assert {listener.name for listener in listeners} == set(LISTENERS)
    site = installation.workspaces["demo"].sites["shop"]
    assert site.origins == (ADDRESSES.shop,)


def test_secrets_are_the_owners_alone_and_survive_another_start(home: Path) -> None:
    files = sorted((home / "secrets").iterdir())
    before = [path.read_text() for path in files]
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600, 0o600]
    write_demo(home, LocalAddresses.at(19_400, shop=True))
    assert [path.read_text() for path in files] == before
    assert load_installation(home / "segma.yaml").workspaces["demo"].sites["shop"].origins == (
        "http://127.0.0.1:19402",
    )


def test_the_people_are_imported_once(home: Path) -> None:
    import_once(home)
    import_once(home)
    log = open_log(Settings(config=home / "segma.yaml", data=home / "data"))
    assert (_count(log, SUBSCRIBERS), _count(log, ROWS)) == (len(PEOPLE), len(PEOPLE))
    log.close()


def _count(log: Log, topic: str) -> int:
    return sum(log.end(topic).values())


def test_the_trip_log_says_what_is_missing_and_how_long_each_move_took() -> None:
    trips = TripLog({"s1": "Ada"})
    ref = EventRef("e1", "page_viewed", 1_000)
    command = Command(
        "c1", "demo", "mailbox", "s1", Verb.ADD, "viewed-category", 1, "m", 0, 1_000,
        to_list="viewed-shoes", evidence={"looked": (ref,)}, log_time_ms=1_070, received_at_ms=1_050,
    )  # fmt: skip
    trips.add(EventRow(Event("demo", "s1", "e1", "page_viewed", 1_000, received_at_ms=1_050, log_time_ms=1_060)), 0)
    trips.add(CommandRow(command), 1_080)
    assert trips.missing() == list(EXPECTED)
    trips.add(Outcome("c1", "demo", "mailbox", "s1", Result.APPLIED, 1_150, to_list="viewed-shoes"), 0)
    assert trips.missing() == [each for each in EXPECTED if each != ("Ada", "viewed-shoes")]
    (move,) = trips.moves()
    assert (move["received_after_ms"], move["log_after_ms"], move["total_ms"]) == (50, 10, 100)
    assert (move["match_after_ms"], move["outcome_after_ms"]) == (20, 70)
    assert move["completed_by"] == "event"
