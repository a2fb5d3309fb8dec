"""Who changes their address is the same person to an import, a veto and ``segma forget`` (SEMANTICS 8.1, 13)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from analytics.tables import PersonKey
from cli.__main__ import cli
from cli.history import Asking
from cli.home import open_home
from cli.importing.records import ListAt, erasures
from contracts.accounts import Fact, Veto
from contracts.beacons import BeaconRecord
from contracts.codec import json_reader, msgpack_reader, to_json
from contracts.commands import Outcome
from contracts.log import Log, Outgoing
from contracts.reading import all_of
from contracts.rows import DirectoryEntry
from contracts.tokens import subscriber_id
from contracts.topics import BEACONS, OUTCOMES, ROWS, SUBSCRIBERS, VETOES, fact_key, moves_topic, subscriber_key
from sinks.base import Member
from sinks.delivery.directory import Directory
from sinks.delivery.leavings import Leavings
from sinks.delivery.loop import Delivery
from sinks.registry import sink_of
from tests.broker import Broker
from tests.sinks.courier import command
from transport.config import load_installation

pytestmark = pytest.mark.slow

SECRET = b"s" * 40
CONFIG = """
token_keys: {file: keys}
workspaces:
  w: {secret: {file: secret}, accounts: {mail: {sink: file}}}
"""
OLD, BETWEEN, NEW = (f"anna@{each}.example" for each in ("old", "between", "new"))
ANNA, ANNA_BETWEEN, ANNA_NEW = (subscriber_id(SECRET, each) for each in (OLD, BETWEEN, NEW))
_outcome, _veto = json_reader(Outcome), json_reader(Veto)
read_beacon = msgpack_reader(BeaconRecord)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that knows Anna, who has changed her address twice, and left ``hot``."""
    (tmp_path / "segma.yaml").write_text(CONFIG)
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "keys").write_text(f"k1 {'ab' * 64}\n")
    (tmp_path / "lists").mkdir()
    with log_of(tmp_path) as log:
        entry = DirectoryEntry("w", ANNA, NEW, former=(ANNA_BETWEEN,))
        left = Veto("w", "mail", ANNA, "hot", 10, "email_unsubscribed")
        log.publisher().publish(
            [
                Outgoing(SUBSCRIBERS, subscriber_key("w", ANNA), to_json(entry)),
                Outgoing(VETOES, fact_key(left), to_json(left)),
            ]
        )
    return tmp_path


@contextmanager
def log_of(home: Path) -> Iterator[Log]:
    with closing(open_home(home)[2]) as log:
        yield log


def segma(home: Path, *words: str) -> Result:
    done = CliRunner().invoke(cli, [*words, "--home", str(home)])
    assert done.exit_code == 0, done.output
    return done


def imported(home: Path, address: str, list_name: str = "news") -> int:
    """How many people were new."""
    lists = home / "data" / "lists" / "w" / "mail"
    lists.mkdir(parents=True, exist_ok=True)
    (lists / f"{list_name}.txt").write_text(f"{address}\n")
    new: int = json.loads(segma(home, "import", "w/mail", list_name, "--json").stdout.splitlines()[-1])["new"]
    return new


def ended(home: Path, subscriber: str) -> str:
    """How adding a person to ``hot`` ends."""
    with log_of(home) as log:
        given = command("hot", subscriber=subscriber)
        log.publisher().publish([Outgoing(moves_topic("w", "mail"), b"k", to_json(given))])
        installation = load_installation(home / "segma.yaml")
        sink = sink_of(
            installation, "w/mail", data=home / "data", pause=lambda seconds: None, config=home / "segma.yaml"
        )
        loop = Delivery(
            log,
            sink,
            workspace="w",
            account="mail",
            now_ms=lambda: 1_000,
            pause=lambda seconds: None,
            stopping=lambda: False,
        )
        with closing(loop):
            while loop.round():
                pass
        own = [_outcome(each.value or b"") for each in all_of(log, OUTCOMES)]
    return next(each.reason or str(each.result) for each in own if each.command_id == given.command_id)


def known(home: Path) -> list[str]:
    with log_of(home) as log, closing(Directory(log)) as directory:
        return [each.subscriber for each in directory.people("w")]


@pytest.mark.parametrize("address", [NEW, BETWEEN, OLD, NEW.upper()])
def test_an_import_knows_a_person_by_every_address(home: Path, address: str) -> None:
    assert imported(home, address) == 0
    assert known(home) == [ANNA]
    assert ended(home, ANNA) == "unsubscribed"


def test_a_leaving_in_a_file_is_theirs_under_the_address_of_now(home: Path) -> None:
    (home / "gone.csv").write_text(f"email,status\nben@example.org,active\n{NEW},unsubscribed\n")
    segma(home, "import", "w/mail", "vip", "--csv", str(home / "gone.csv"))
    with log_of(home) as log:
        told = [_veto(each.value or b"") for each in all_of(log, VETOES)]
    assert [each.subscriber for each in told if each.source == "import"] == [ANNA]


@pytest.mark.parametrize("person", [NEW, ANNA, BETWEEN])
def test_what_they_left_outlives_forget_under_every_address(
    home: Path, person: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.forget.erase_at_once", lambda *_: (dict[str, int](), 0))
    proof = json.loads(segma(home, "forget", person, "--yes", "--json").stdout)
    assert (proof["subscriber"], proof["directory_entry"]) == (ANNA, True)
    assert known(home) == []
    for number, (address, subscriber) in enumerate(((NEW, ANNA_NEW), (BETWEEN, ANNA_BETWEEN), (OLD, ANNA))):
        assert imported(home, address, f"again-{number}") == 1
        assert ended(home, subscriber) == "unsubscribed"
    with log_of(home) as log:
        assert b"@" not in b"".join(each.key + (each.value or b"") for each in all_of(log, VETOES))


@pytest.mark.parametrize("person", ["ute@müller.example", "s_one", "s_two"])
def test_who_stands_in_the_directory_by_both_spellings_is_forgotten_under_both(
    home: Path, person: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    erased: list[PersonKey] = []

    def erase(history: object, people: Sequence[PersonKey], *_: object) -> tuple[dict[str, int], int]:
        erased.extend(people)
        return {}, 0

    monkeypatch.setattr("cli.forget.erase_at_once", erase)
    left = Veto("w", "mail", "s_two", "hot", 10, "email_unsubscribed")
    twice = ("s_one", "ute@müller.example"), ("s_two", "ute@xn--mller-kva.example")
    with log_of(home) as log:
        entries = [DirectoryEntry("w", *each) for each in twice]
        stands = [Outgoing(SUBSCRIBERS, subscriber_key("w", each.subscriber), to_json(each)) for each in entries]
        log.publisher().publish([*stands, Outgoing(VETOES, fact_key(left), to_json(left))])
    proof = json.loads(segma(home, "forget", person, "--yes", "--json").stdout)
    assert sorted([proof["subscriber"], *proof["other_ids"]]) == ["s_one", "s_two"]
    assert sorted(erased) == [("w", "s_one"), ("w", "s_two")]
    assert known(home) == [ANNA]
    assert held(home, {b"mller"}) == held(home, {"müller".encode()}) == []
    assert imported(home, "ute@müller.example") == 1
    assert ended(home, subscriber_id(SECRET, "ute@müller.example")) == "unsubscribed"


def twice_known(home: Path, *addresses: str) -> None:
    """Somebody who stands in the directory under an id of before, and under the one that is made of addresses now."""
    made = subscriber_id(SECRET, addresses[1])
    left = Veto("w", "mail", made, "hot", 10, "email_unsubscribed")
    with log_of(home) as log:
        entries = [DirectoryEntry("w", *each) for each in zip(("s_before", made), addresses, strict=True)]
        stands = [Outgoing(SUBSCRIBERS, subscriber_key("w", each.subscriber), to_json(each)) for each in entries]
        log.publisher().publish([*stands, Outgoing(VETOES, fact_key(left), to_json(left))])


@pytest.mark.parametrize(
    "addresses",
    [
        ("ute@bücher.example", "ute@xn--bcher-kva.example"),
        ("ute@shop.example.", "ute@shop.example"),
        ("ute@\uff53hop.example", "ute@shop.example"),
        ("ute@почта.example", "ute@xn--80a1acny.example"),
    ],
)
def test_who_stands_there_twice_is_one_person_to_every_command(home: Path, addresses: tuple[str, str]) -> None:
    twice_known(home, *addresses)
    made = subscriber_id(SECRET, addresses[1])
    for person in (addresses[0].upper(), addresses[1], made):
        link = segma(home, "link", "w", person, "--url", "https://shop.example/", "--json").stdout
        assert json.loads(link)["subscriber"] == "s_before"
        assert "left" in segma(home, "why", person, "--consent").stdout
    for number, address in enumerate(addresses):
        (home / "in.csv").write_text(f"email,plan\n{address},gold\n")
        words = ("import", "w/mail", f"l{number}", "--csv", str(home / "in.csv"), "--profile", "plan=plan", "--json")
        assert json.loads(segma(home, *words).stdout.splitlines()[-1])["new"] == 0
    with log_of(home) as log:
        beacons = [read_beacon(each.value or b"") for each in all_of(log, BEACONS)]
        listed = {each.key for each in all_of(log, ROWS)}
    assert {each.subscriber for each in beacons} == {"s_before"}
    assert listed == {b"w/s_before"}
    assert sorted(known(home)) == sorted({ANNA, "s_before", made})
    assert ended(home, "s_before") == ended(home, made) == "unsubscribed"


def test_who_was_there_twice_and_has_another_address_by_now_is_forgotten_whole(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.forget.erase_at_once", lambda *_: (dict[str, int](), 0))
    twice_known(home, "ute@müller.example", "ute@xn--mller-kva.example")
    made = subscriber_id(SECRET, "ute@müller.example")
    with log_of(home) as log:
        moved = DirectoryEntry("w", "s_before", "ute@elsewhere.example", former=(made,))
        log.publisher().publish([Outgoing(SUBSCRIBERS, subscriber_key("w", "s_before"), to_json(moved))])
    assert ended(home, "s_before") == "unsubscribed"
    proof = json.loads(segma(home, "forget", made, "--yes", "--json").stdout)
    assert [proof["subscriber"], *proof["other_ids"]] == ["s_before", made]
    assert known(home) == [ANNA]


def test_a_joining_of_their_own_outlives_forget_too(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.forget.erase_at_once", lambda *_: (dict[str, int](), 0))
    joined = Veto("w", "mail", ANNA, "hot", 20, fact=Fact.JOINED)
    with log_of(home) as log:
        log.publisher().publish([Outgoing(VETOES, fact_key(joined), to_json(joined))])
    segma(home, "forget", NEW, "--yes")
    imported(home, NEW)
    assert ended(home, ANNA_NEW) == "applied"


def test_no_byte_of_who_is_forgotten_stands_in_any_file_of_the_home(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Directory, logs, ledger, journals, lists that are files: all of it is searched."""
    monkeypatch.setattr("cli.forget.erase_at_once", lambda *_: (dict[str, int](), 0))
    for list_name in ("news", "vip"):
        imported(home, NEW.upper(), list_name)
    assert ended(home, ANNA) == "unsubscribed"
    needles = {each.split("@")[0].lower().encode() for each in (OLD, BETWEEN, NEW)}
    assert held(home, needles)
    segma(home, "forget", NEW, "--yes")
    assert held(home, needles) == []


def held(home: Path, needles: set[bytes]) -> list[Path]:
    """The files of a home in which one of these stands, in any case."""
    files = [each for each in sorted(home.rglob("*")) if each.is_file()]
    return [each for each in files if any(needle in each.read_bytes().lower() for needle in needles)]


@pytest.fixture
def on_kafka(broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An installation on Kafka, whose broker compacts at once; the prefix of its topics."""
    settings = broker.settings(tmp_path)
    monkeypatch.setenv("SEGMA_LOG", "kafka")
    monkeypatch.setenv("SEGMA_KAFKA_SERVERS", broker.servers)
    monkeypatch.setenv("SEGMA_KAFKA_PREFIX", settings.kafka_prefix)
    set_config(broker, ResourceType.BROKER, "1", {"log.cleaner.backoff.ms": "100"})
    yield settings.kafka_prefix
    set_config(broker, ResourceType.BROKER, "1", {"log.cleaner.backoff.ms": "15000"})


def set_config(broker: Broker, kind: ResourceType, name: str, settings: dict[str, str]) -> None:
    wanted = [ConfigEntry(each, value, incremental_operation=AlterConfigOpType.SET) for each, value in settings.items()]
    admin = AdminClient({"bootstrap.servers": broker.servers})
    for done in admin.incremental_alter_configs([ConfigResource(kind, name, incremental_configs=wanted)]).values():
        done.result(30)


@pytest.mark.broker
def test_no_byte_of_who_is_forgotten_stands_in_any_topic_once_the_broker_has_compacted(
    on_kafka: str, home: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody writes to the directory after it, and whatever a topic's segments held is searched, byte by byte."""
    monkeypatch.setattr("cli.forget.erase_at_once", lambda *_: (dict[str, int](), 0))
    imported(home, NEW)
    imported(home, "ben@example.org", "vip")
    needles = {b"anna"}
    assert topics_with(broker, on_kafka, needles) == [SUBSCRIBERS]
    at_once = {"min.cleanable.dirty.ratio": "0", "file.delete.delay.ms": "0"}
    set_config(broker, ResourceType.TOPIC, on_kafka + SUBSCRIBERS, at_once)
    segma(home, "forget", NEW, "--yes")
    await_compaction(broker, on_kafka, needles)
    assert topics_with(broker, on_kafka, needles) == []
    assert topics_with(broker, on_kafka, {b"ben@"}) == [SUBSCRIBERS]


def await_compaction(broker: Broker, prefix: str, needles: set[bytes]) -> None:
    """Return when no file of the broker's holds the bytes any more."""
    for _ in range(300):
        if not any(held(folder, needles) for folder in broker.home.glob(f"data/{prefix}*")):
            return
        threading.Event().wait(0.2)
    raise AssertionError("the broker's files hold it still")


def topics_with(broker: Broker, prefix: str, needles: set[bytes]) -> list[str]:
    """The topics in which one of these stands, in any record that the broker still gives."""
    tool = Consumer({"bootstrap.servers": broker.servers, "group.id": "search", "enable.partition.eof": True})
    found = set()
    with closing(tool):
        topics = {name: topic for name, topic in tool.list_topics(timeout=30).topics.items() if name.startswith(prefix)}
        unread = {(name, number) for name, topic in topics.items() for number in topic.partitions}
        tool.assign([TopicPartition(name, number, 0) for name, number in unread])
        while unread:
            for each in tool.consume(100, timeout=1.0):
                name, number = each.topic() or "", each.partition() or 0
                if (error := each.error()) is not None:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    unread.discard((name, number))
                    continue
                said = ((each.key() or b"") + (each.value() or b"") + repr(each.headers()).encode()).lower()
                found |= {name.removeprefix(prefix)} if any(needle in said for needle in needles) else set()
    return sorted(found)


@pytest.mark.parametrize(("person", "is_erased"), [("5", False), ("77", False), ("9", True)])
def test_whom_the_platform_shows_under_the_id_of_their_other_entry_was_not_erased(person: str, is_erased: bool) -> None:
    known = DirectoryEntry("w", "s_before", "ute@müller.example", platform_ids={"mail": "5"}, imported_at_s=1)
    twin = DirectoryEntry("w", "s_other", "ute@xn--mller-kva.example", platform_ids={"mail": "77"}, imported_at_s=1)
    at, member = ListAt("w", "mail", "news", seen_at_ms=9_000), Member(twin.address, person=person)
    found = [_veto(each.value or b"").reason for each in erasures(member, known, at, Leavings(), 9_000, twins=[twin])]
    assert found == (["gone"] if is_erased else [])


@pytest.mark.parametrize("address", [NEW, BETWEEN, OLD.upper()])
def test_the_history_is_asked_by_the_id_of_whoever_has_or_had_the_address(home: Path, address: str) -> None:
    asking = Asking(home, "w")
    assert asking.person(address) == ANNA
    assert asking.person("s_other") == "s_other"


def test_a_list_is_compared_by_whichever_id_was_moved_there(home: Path) -> None:
    twice = ("s_before", "ute@müller.example"), ("s_zz", "ute@xn--mller-kva.example")
    with log_of(home) as log:
        entries = [DirectoryEntry("w", *each) for each in twice]
        stands = [Outgoing(SUBSCRIBERS, subscriber_key("w", each.subscriber), to_json(each)) for each in entries]
        log.publisher().publish(stands)
    (home / "data" / "lists" / "w" / "mail").mkdir(parents=True, exist_ok=True)
    (home / "data" / "lists" / "w" / "mail" / "hot.txt").write_text("")
    assert ended(home, "s_before") == "applied"
    told = json.loads(segma(home, "reconcile", "w/mail", "hot", "--json").stdout)
    assert (told["agreeing"], told["missing"], told["unmanaged"]) == (1, [], 0)
