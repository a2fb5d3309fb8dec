"""``segma import --profile``: columns of an export that become what is known of people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.importing.export_file import read_export
from cli.importing.profiles import FieldColumn, FieldKind, field_column, profiles_of
from contracts.actions import PROFILE_CHANGED, VOCABULARY
from contracts.beacons import BeaconRecord
from contracts.codec import msgpack_reader
from contracts.errors import ConfigError
from contracts.events import Event
from contracts.log import Record
from contracts.reading import all_of
from contracts.topics import BEACONS, ROWS, SUBSCRIBERS, fixed_topics
from flows.recognise import Device, Rules, recognise
from tests.cli.importing_home import home, id_of, segma_import, told
from tests.flows.test_profile import Anna, engine_of, view
from transport import open_log
from transport.config import Settings

__all__ = ["home"]
read_record = msgpack_reader(BeaconRecord)
PEOPLE = (
    "Email,Country,Loyalty Points,VIP,Notes\n"
    'ada@example.org,DE,1204,yes,"ask ben@example.org"\n'
    "ben@example.org,NO,12.50,no,\n"
    "cleo@example.org,,0,,NULL\n"
)
ALL = ["country=Country", "points:number=loyalty points", "vip:yes_no=VIP", "notes=Notes"]


def records_of(home: Path) -> list[Record]:
    log = open_log(Settings(data=home / "data"))
    log.ensure(fixed_topics())
    found = list(all_of(log, BEACONS))
    log.close()
    return found


def events_of(home: Path) -> list[Event]:
    """The profiles that the flow makes of what was written."""
    found = []
    for record in records_of(home):
        _, events, refused = recognise(Device(), read_record(record.value or b""), record, Rules(VOCABULARY, 60_000))
        assert not refused
        found += [each for each in events if each.action == PROFILE_CHANGED]
    return found


def facts(home: Path) -> dict[str, Event]:
    """The newest profile of each subscriber."""
    return {each.subscriber: each for each in events_of(home)}


def options(*columns: str) -> list[str]:
    return [word for column in columns for word in ("--profile", column)]


def test_columns_become_facts_of_a_server_and_no_address_is_in_them(home: Path) -> None:
    done = segma_import(home, PEOPLE, *options(*ALL))
    assert done.exit_code == 0, done.output
    assert told(done)["profiles"] == 3
    found = facts(home)
    assert {name: each.properties for name, each in found.items()} == {
        id_of("ada@example.org"): {"country": "DE", "points": 1_204, "vip": True, "notes": "ask ***************"},
        id_of("ben@example.org"): {"country": "NO", "points": 12.5, "vip": False, "notes": ""},
        id_of("cleo@example.org"): {"country": "", "points": 0, "vip": "", "notes": ""},
    }
    assert {(each.action, str(each.trust)) for each in found.values()} == {("profile_changed", "server")}
    assert b"@" not in b"".join(record.value or b"" for record in records_of(home))


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("١٢٫٥", 12.5),
        ("۱۲٬۳۴۵", 12_345),
        ("１２．５０", 12.5),
        ("−७", -7),
        ("\u200e٠", 0),
    ],
)
def test_a_number_is_read_in_the_digits_of_any_script(home: Path, cell: str, number: float) -> None:
    segma_import(home, f"Email;Points\nada@example.org;{cell}\n", *options("points:number=Points"))
    assert facts(home)[id_of("ada@example.org")].properties == {"points": number}


def test_a_listener_that_asks_for_it_hears_it(home: Path) -> None:
    segma_import(home, PEOPLE, *options("country=Country"))
    fact = facts(home)[id_of("ada@example.org")]
    anna = Anna(engine_of())
    at_ms = fact.occurred_at_ms
    assert anna.moves(view("e1", at_ms - 1_000)) == []
    anna.moves(fact)
    assert anna.moves(view("e2", at_ms + 1_000)) == ["+de"]


def test_a_column_that_is_not_named_is_not_kept_and_who_left_has_no_profile(home: Path) -> None:
    text = "email,country,status\nada@example.org,DE,unsubscribed\nben@example.org,FR,active\n"
    segma_import(home, text)
    assert facts(home) == {}
    segma_import(home, text, *options("country=country"))
    assert set(facts(home)) == {id_of("ben@example.org")}


def test_importing_again_tells_it_again_and_a_dry_run_tells_nothing(home: Path) -> None:
    assert told(segma_import(home, PEOPLE, *options("country=Country"), "--dry-run"))["profiles"] == 3
    assert records_of(home) == []
    for _ in range(2):
        segma_import(home, PEOPLE, *options("country=Country"))
    assert len(events_of(home)) == 6


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("points:number=Country", "people.csv:2: Country: no number"),
        ("vip:yes_no=Country", "people.csv:2: Country: neither yes nor no"),
        ("plan=Plan", "no column `Plan`"),
    ],
)
def test_what_cannot_be_read_is_named_and_nothing_is_imported(home: Path, column: str, said: str) -> None:
    refused = segma_import(home, PEOPLE, *options(column))
    assert refused.exit_code == 2
    assert said in " ".join(refused.output.split())
    assert "ada@" not in refused.output
    log = open_log(Settings(data=home / "data"))
    log.ensure(fixed_topics())
    assert [sum(log.end(topic).values()) for topic in (SUBSCRIBERS, ROWS, BEACONS)] == [0, 0, 0]
    log.close()


@pytest.mark.parametrize("text", ["country", "country=", "=Country", "a b=C", "n:date=C", ":text=C"])
def test_an_option_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write FIELD=HEADER"):
        field_column(text)


def test_of_several_rows_and_files_the_first_that_says_so_counts(tmp_path: Path) -> None:
    def file(name: str, text: str) -> Any:
        (tmp_path / name).write_text(text)
        return read_export(tmp_path / name)

    files = [
        file("a.csv", "email,country\nADA@example.org,\nada@example.org,DE\nada@example.org,FR\n"),
        file("b.csv", "email,plan\nada@example.org,gold\n"),
    ]
    columns = [FieldColumn("country", FieldKind.TEXT, "Country"), FieldColumn("plan", FieldKind.TEXT, "plan")]
    assert list(profiles_of(files, columns).values()) == [{"country": "DE", "plan": "gold"}]
    with pytest.raises(ConfigError):
        profiles_of(files[:1], columns)
