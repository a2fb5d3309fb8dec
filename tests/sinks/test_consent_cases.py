"""Cases of docs/semantics.md 8.1 that take a platform to show: looked at again, lists by their ids, erased and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.accounts import Fact, Veto
from contracts.codec import to_json
from contracts.commands import Outcome, Result
from contracts.log import Outgoing
from contracts.topics import VETOES, fact_key
from sinks.delivery.loop import Delivery
from tests.sinks.beds import ServedBed, now_ms, served_bed
from tests.sinks.courier import Courier, command, log_beside
from tests.sinks.memory import Crash
from tests.sinks.served import IMITATED, NUMBERED
from tests.sinks.simulator.server import Answer

pytestmark = pytest.mark.slow

ANNA = "anna@example.org"
BY_LIST = ("listmonk", "activecampaign-lists")


@pytest.fixture
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServedBed]:
    made = served_bed(request.param, tmp_path / "bed")
    yield made
    made.close()


@pytest.fixture
def courier(bed: ServedBed, tmp_path: Path) -> Iterator[Courier]:
    made = Courier(bed, tmp_path / "data", "anna", "ben", log=log_beside(bed))
    yield made
    made.close()


def on(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("bed", names, indirect=True)


def asked(courier: Courier, *given: Any) -> Outcome:
    courier.send(*given)
    courier.deliver()
    return courier.outcomes()[-1]


def told(courier: Courier, fact: Fact, list_name: str, at_ms: int, *, timed: bool = True) -> None:
    veto = Veto("w", "mail", "s_anna", list_name, at_ms, "email_unsubscribed", fact=fact, timed=timed)
    courier.publish(Outgoing(VETOES, fact_key(veto), to_json(veto)))


@on(*BY_LIST)
def test_who_leaves_between_the_look_and_the_call_is_taken_out_again(courier: Courier) -> None:
    """10: what a call may write over is looked at again after it, and a leaving in between is restored."""
    bed = courier.bed
    bed.put(ANNA, "news")
    bed.put(ANNA, "other")
    real, left = bed.dialect.handle, list[str]()

    def handle(asked: Any, world: Any) -> Any:
        if asked.method in {"PUT", "POST"} and not left and asked.path.endswith(("subscribers/lists", "contactLists")):
            left.append(asked.path)
            bed.dialect.leave(world, ANNA, "news")
        return real(asked, world)

    bed.dialect.handle = handle
    outcome = asked(courier, command("hot", "news"))
    assert (outcome.result, outcome.reason, outcome.changed) == (Result.SKIPPED, "unsubscribed", ())
    assert bed.members("hot") == set()
    assert bed.world.list_named("news").members[bed.world.person(ANNA).id] == "left", "the record of it stays"


@on(*IMITATED)
def test_a_lists_puts_end_with_it(courier: Courier) -> None:
    """15: a list of the same name and another id is another list: nobody who is not in it has left it."""
    bed = courier.bed
    bed.put(ANNA, "news")
    asked(courier, command("hot", "news"))
    bed.world.vanish_list("hot")
    bed.world.made_list("hot")
    outcome = asked(courier, command("hot", "news"))
    assert (outcome.result, outcome.changed) == (Result.APPLIED, ("+hot",))


@on(*IMITATED)
def test_an_undo_touches_no_list_that_was_made_anew_since(courier: Courier) -> None:
    bed = courier.bed
    bed.put(ANNA, "news")
    first = command("hot", "news")
    asked(courier, first)
    bed.world.vanish_list("hot")
    bed.put(ANNA, "hot")
    asked(courier, command("hot", person="ben"))
    asked(courier, command("hot", "news", undoes=first.command_id))
    assert ANNA in bed.members("hot")


@on(*IMITATED)
def test_leavings_of_a_deleted_list_stay_with_its_name(courier: Courier) -> None:
    """15: what the person left, they have left, whichever list bears the name."""
    courier.bed.put(ANNA, "other")
    told(courier, Fact.LEFT, "hot", 10)
    courier.bed.world.made_list("hot")
    assert asked(courier, command("hot")).reason == "unsubscribed"


@on(*NUMBERED)
def test_the_same_address_under_another_id_was_erased(courier: Courier) -> None:
    """13: made anew by an administrator, they are gone; once they join by themselves, they are back."""
    bed = courier.bed
    bed.put(ANNA, "news")
    bed.put("ben@example.org", "news")
    asked(courier, command("hot", "news"))
    bed.world.vanish_person(ANNA)
    bed.put(ANNA, "news")
    assert asked(courier, command("hot", "news")).reason == "gone"
    told(courier, Fact.JOINED, "news", 2_000_000_000_000)
    assert asked(courier, command("vip", "news")).result is Result.APPLIED


@on(*NUMBERED)
def test_whom_segma_makes_anew_is_known_by_the_new_id(courier: Courier) -> None:
    """3 and 13: taken out of their last list they may be made anew, and that is no erasure; a later one is."""
    bed = courier.bed
    bed.put("ben@example.org", "news")
    bed.put(ANNA, "news")
    for each in (command("hot", "news"), command("", "hot")):
        assert asked(courier, each).result is Result.APPLIED
    bed.world.vanish_person(ANNA)
    for each in (command("hot"), command("vip", "hot")):
        assert asked(courier, each).result is Result.APPLIED
    bed.world.vanish_person(ANNA)
    bed.put(ANNA, "vip")
    assert asked(courier, command("news", "vip")).reason == "gone"


MADE_ANEW = on(*NUMBERED)


def taken_out_and_erased(courier: Courier) -> None:
    """Segma took them out of their last list, and then they are not at the platform any more."""
    courier.bed.put("ben@example.org", "news")
    courier.bed.put(ANNA, "news")
    for each in (command("hot", "news"), command("", "hot")):
        assert asked(courier, each).result is Result.APPLIED
    courier.bed.world.vanish_person(ANNA)


@MADE_ANEW
def test_whom_segma_made_anew_right_before_a_crash_was_not_erased(
    courier: Courier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10: that the call makes them anew is written before it, so the new id is nobody else's doing."""
    taken_out_and_erased(courier)

    def dying(*_: Any) -> None:
        raise Crash

    monkeypatch.setattr(Delivery, "_publish", dying)
    with pytest.raises(Crash):
        asked(courier, command("hot"))
    monkeypatch.undo()
    courier.deliver()
    assert courier.outcomes()[-1].result is Result.APPLIED
    assert courier.bed.members("hot") == {ANNA}
    courier.bed.world.vanish_person(ANNA)
    courier.bed.put(ANNA, "vip")
    assert asked(courier, command("news", "vip")).reason == "gone", "the id of the call in doubt is known by now"


@MADE_ANEW
def test_whom_segma_made_anew_right_before_an_outage_was_not_erased(courier: Courier) -> None:
    """10: neither for the process that asks again."""
    taken_out_and_erased(courier)
    real, away = courier.bed.dialect.handle, list[str]()

    def handle(request: Any, world: Any) -> Any:
        if away or world.person(ANNA) is None:
            return real(request, world)
        away.append(request.path)
        return Answer(503, b"busy", media="text/plain")

    courier.bed.dialect.handle = handle
    assert asked(courier, command("hot")).result is Result.APPLIED
    assert away
    assert courier.bed.members("hot") == {ANNA}


@on("listmonk")
def test_who_was_made_anew_by_an_opt_in_that_they_answered_was_not_erased(courier: Courier) -> None:
    """10: asked to confirm, they are there under an id that no answer has told."""
    bed = courier.bed
    taken_out_and_erased(courier)
    bed.world.made_list("hot").optin = "double"
    bed.strangers = "opt_in"
    assert asked(courier, command("hot")).changed == ("?hot",)
    bed.expected_mails = list(bed.world.mails)
    bed.world.list_named("hot").members[bed.world.person(ANNA).id] = "active"
    assert asked(courier, command("vip", "hot")).result is Result.APPLIED


@on(*IMITATED)
@pytest.mark.parametrize(("there", "reason"), [(True, ""), (False, "unsubscribed")])
def test_a_joining_without_a_time_lifts_only_once_a_look_shows_it(courier: Courier, there: bool, reason: str) -> None:
    """6."""
    bed = courier.bed
    bed.put(ANNA, "other")
    told(courier, Fact.LEFT, "news", 10)
    told(courier, Fact.JOINED, "news", 20, timed=False)
    if there:
        bed.put(ANNA, "news")
    assert asked(courier, command("hot", "news")).reason == reason
    if there:
        assert asked(courier, command("vip", "hot")).reason == "", "it is sure from then on"


@on("listmonk")
def test_a_report_that_comes_late_of_a_leaving_before_a_joining_vetoes_nothing(courier: Courier) -> None:
    """5 and 6, in the one order and the other."""
    courier.bed.put(ANNA, "news")
    told(courier, Fact.JOINED, "news", 20)
    told(courier, Fact.LEFT, "news", 10)
    assert asked(courier, command("hot", "news")).result is Result.APPLIED
    told(courier, Fact.LEFT, "hot", 30)
    assert asked(courier, command("hot")).reason == "unsubscribed"


@on("listmonk", "activecampaign-lists")
def test_a_leaving_that_an_undo_finds_reaches_the_list_moved_from(courier: Courier) -> None:
    """1: it is known before the move is taken back, and follows the link that the undo cuts."""
    bed = courier.bed
    bed.put(ANNA, "other")
    bed.put(ANNA, "news")
    first = command("hot", "news")
    assert asked(courier, first).changed == ("+hot", "-news")
    bed.leave(ANNA, "hot")
    assert asked(courier, command("hot", "news", undoes=first.command_id)).reason == "unsubscribed"
    assert asked(courier, command("vip", "news")).reason == "unsubscribed"
    assert (bed.members("vip"), bed.members("news")) == (set(), set())


@on("klaviyo")
def test_a_leaving_that_an_undo_without_an_adding_finds_reaches_the_list_moved_from(courier: Courier) -> None:
    """1: taking out is always allowed, and what its look shows counts as much."""
    bed = courier.bed
    first = command("hot", "news")
    assert asked(courier, first).changed == ("+hot",)
    bed.world.list_named("hot").members.pop(bed.world.person(ANNA).id)
    assert asked(courier, command("hot", "news", undoes=first.command_id)).result is Result.ALREADY
    assert asked(courier, command("vip", "news")).reason == "unsubscribed"
    assert bed.members("vip") == set()


@on(*IMITATED)
def test_a_leaving_told_while_an_undo_waits_for_the_platform_reaches_the_list_moved_from(courier: Courier) -> None:
    """1: whoever tells of it, what is known before an outcome is followed before it."""
    bed = courier.bed
    bed.put(ANNA, "other")
    bed.put(ANNA, "news")
    first = command("hot", "news")
    assert asked(courier, first).result is Result.APPLIED
    real, away = bed.dialect.handle, list[str]()

    def handle(request: Any, world: Any) -> Any:
        if away:
            return real(request, world)
        away.append(request.path)
        told(courier, Fact.LEFT, "hot", now_ms())
        return Answer(503, b"busy", media="text/plain")

    bed.dialect.handle = handle
    assert asked(courier, command("hot", "news", undoes=first.command_id)).reason == "unsubscribed"
    assert asked(courier, command("vip", "news")).reason == "unsubscribed"
    assert bed.members("vip") == set()
