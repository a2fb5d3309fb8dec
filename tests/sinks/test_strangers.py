"""Who is a stranger, who has left everything, and what an account without looks lets in (SEMANTICS 8, 8.1)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.accounts import Fact, Veto
from contracts.codec import to_json
from contracts.commands import Result
from contracts.log import Outgoing
from contracts.topics import VETOES, fact_key
from sinks.platforms.file import FileSink
from sinks.platforms.kafka import KafkaOptions, KafkaSink
from sinks.toolkit.consent import Strangers
from tests.sinks.beds import FileBed, ServedBed, brief, served_bed
from tests.sinks.courier import Courier, command

ANNA = "anna@example.org"


@pytest.fixture
def bed(tmp_path: Path) -> FileBed:
    return FileBed(tmp_path / "lists")


@pytest.fixture
def courier(bed: FileBed, tmp_path: Path) -> Iterator[Courier]:
    made = Courier(bed, tmp_path / "data")  # type: ignore[arg-type]
    yield made
    made.close()


def ends(courier: Courier, *given: Any, sink: Any = None) -> list[str]:
    before = len(courier.outcomes())
    courier.send(*given)
    courier.deliver(sink)
    return [each.reason or str(each.result) for each in courier.outcomes()[before:]]


def test_a_file_account_lets_in_no_stranger_where_it_is_set_so(courier: Courier, tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "lists", delay_ms=0, pause=brief, strangers=Strangers.NEVER)
    assert ends(courier, command("", "vip"), command("hot"), sink=sink) == ["already", "unknown"]
    courier.bed.put(ANNA, "news")
    assert ends(courier, command("hot", "news"), sink=sink) == ["applied"]
    assert ends(courier, command("", "hot"), command("vip"), sink=sink) == ["applied", "applied"], (
        "they have been there"
    )


def test_who_leaves_their_last_list_of_a_file_account_has_left_everything(courier: Courier) -> None:
    courier.bed.put(ANNA, "news")
    assert ends(courier, command("hot", "news")) == ["applied"]
    courier.bed.leave(ANNA, "hot")
    assert ends(courier, command("vip", "hot"), command("other")) == ["unsubscribed", "unsubscribed"]


def test_an_account_that_cannot_be_looked_at_lifts_nothing_by_a_joining_without_a_time(courier: Courier) -> None:
    sink = KafkaSink(courier.log, "w", KafkaOptions(topic="told"))
    for fact, at_ms, timed in ((Fact.LEFT, 10, True), (Fact.JOINED, 20, False)):
        veto = Veto("w", "mail", "s_anna", "hot", at_ms, "email_unsubscribed", fact=fact, timed=timed)
        courier.publish(Outgoing(VETOES, fact_key(veto), to_json(veto)))
    assert ends(courier, command("hot"), sink=sink) == ["unsubscribed"]


def test_what_was_taken_back_is_taken_back_once(courier: Courier) -> None:
    sink = KafkaSink(courier.log, "w", KafkaOptions(topic="told"))
    first = command("hot")
    undos = [command("hot", undoes=first.command_id) for _ in range(2)]
    assert ends(courier, first, *undos, sink=sink) == ["applied", "applied", "superseded"]


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[tuple[ServedBed, Courier]]:
    """A listmonk that strangers are asked at: ``news`` and ``hot`` ask, ``vip`` does not."""
    bed = served_bed("listmonk", tmp_path / "bed")
    bed.put("ben@example.org", "other")
    for name in ("news", "hot"):
        bed.world.made_list(name).optin = "double"
    bed.world.made_list("vip")
    bed.strangers = "opt_in"
    made = Courier(bed, tmp_path / "log")
    yield bed, made
    made.close()
    bed.close()


def test_who_has_only_an_unanswered_opt_in_is_a_stranger_to_every_list(asking: tuple[ServedBed, Courier]) -> None:
    bed, courier = asking
    assert ends(courier, command("news")) == ["applied"]
    bed.expected_mails = list(bed.world.mails)
    assert ends(courier, command("hot", "vip")) == ["asked"]
    assert ends(courier, command("vip")) == ["asked"]
    assert (len(bed.world.mails), bed.members("hot"), bed.members("vip")) == (1, set(), set())


@pytest.mark.parametrize(
    ("lists", "said", "mails"),
    [
        (("news", "hot"), ["applied", "asked"], 1),
        (("news", "vip"), ["applied", "asked"], 1),
        (("vip", "news"), ["applied", "applied"], 0),
    ],
)
def test_of_several_commands_the_first_decides_whether_a_stranger_is_asked(
    asking: tuple[ServedBed, Courier], lists: tuple[str, str], said: list[str], mails: int
) -> None:
    bed, courier = asking
    assert ends(courier, *map(command, lists)) == said
    bed.expected_mails = list(bed.world.mails)
    assert len(bed.world.mails) == mails
    if not mails:
        assert [bed.members(each) for each in lists] == [{ANNA}, {ANNA}]
    else:
        held = bed.world.list_named(lists[0]).members
        assert list(held.values()) == ["pending"], "asked for the list that the first command named"
    assert courier.outcomes()[0].result is Result.APPLIED


def test_a_later_command_decides_for_no_stranger_whom_the_first_one_asks(asking: tuple[ServedBed, Courier]) -> None:
    bed, courier = asking
    # One after another: asked for `news`, then not in it and not to be moved on; at once it must end the same.
    assert ends(courier, command("news"), command("vip", "news")) == ["applied", "asked"]
    bed.expected_mails = list(bed.world.mails)
    assert (len(bed.world.mails), bed.members("vip")) == (1, set())
    assert list(bed.world.list_named("news").members.values()) == ["pending"]
