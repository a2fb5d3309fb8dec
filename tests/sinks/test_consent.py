"""What a real listmonk and its kin were seen to do to consent: one test a row, through the delivery loop."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.codec import to_json
from contracts.commands import Result, Verb
from contracts.log import Outgoing
from contracts.reasons import Reason
from contracts.rows import DirectoryEntry
from contracts.topics import SUBSCRIBERS, subscriber_key
from sinks.base import Change, Done
from sinks.delivery.outcomes import VETOES
from tests.sinks.beds import SERVED, ServedBed, imitated
from tests.sinks.courier import Courier, command, log_beside
from tests.sinks.served import ANNA, BEN, CONFIRMING, IMITATED, asked, bed_fixture, courier_fixture, last, on
from tests.sinks.simulator.world import LEFT, PENDING, UNDELIVERABLE

pytestmark = pytest.mark.slow

bed = bed_fixture()
courier = courier_fixture("anna", "ben", "cleo")


SKIPPED = (Result.SKIPPED, "unsubscribed")


@on("listmonk", "activecampaign-lists")
def test_who_unsubscribed_after_segma_took_them_out_has_left(courier: Courier) -> None:
    """Row 1: out by Segma, in again, out by themselves: the record of the last is theirs, whatever Segma did before."""
    bed = courier.bed
    bed.put(ANNA, "newsletter")
    asked(courier, command("", "newsletter"))
    asked(courier, command("newsletter"))
    bed.leave(ANNA, "newsletter")
    asked(courier, command("newsletter"))
    assert last(courier) == SKIPPED
    assert bed.members("newsletter") == set()


@on("listmonk")
def test_who_rejoined_by_themselves_and_unsubscribed_has_left(courier: Courier) -> None:
    bed = courier.bed
    bed.put(ANNA, "newsletter")
    asked(courier, command("", "newsletter"))
    bed.put(ANNA, "newsletter")
    bed.leave(ANNA, "newsletter")
    asked(courier, command("newsletter"))
    assert last(courier) == SKIPPED


@on(*SERVED)
def test_who_unsubscribed_from_the_list_moved_from_is_moved_nowhere(courier: Courier) -> None:
    """Row 2: a move from a list that the person left is vetoed, and changes nothing."""
    bed = courier.bed
    bed.put(ANNA, "other")
    asked(courier, command("newsletter"))
    bed.leave(ANNA, "newsletter")
    asked(courier, command("hot", "newsletter"))
    assert last(courier) == SKIPPED
    assert bed.members("hot") == set()


@on(*SERVED)
def test_who_left_a_list_that_a_move_put_them_in_has_left_the_one_moved_from(courier: Courier) -> None:
    bed = courier.bed
    bed.put(ANNA, "news")
    bed.put(ANNA, "other")
    asked(courier, command("hot", "news"))
    bed.leave(ANNA, "hot")
    asked(courier, command("news"))
    assert last(courier) == SKIPPED
    assert bed.members("news") == set()


@on("listmonk", "activecampaign-lists")
def test_who_leaves_a_list_is_taken_out_of_those_that_moves_from_it_put_them_in(courier: Courier) -> None:
    bed = courier.bed
    bed.put(ANNA, "news")
    asked(courier, command("hot", "news"))
    bed.put(ANNA, "news")
    bed.leave(ANNA, "news")
    asked(courier, command("news"))
    courier.deliver()
    assert bed.members("hot") == set()
    assert courier.outcomes()[-1].listener == "consent"


@on("listmonk")
def test_an_administrators_subscription_lifts_no_veto(courier: Courier) -> None:
    bed = courier.bed
    bed.put(ANNA, "news")
    bed.leave(ANNA, "news")
    asked(courier, command("news"))
    bed.put(ANNA, "news")
    asked(courier, command("hot", "news"))
    assert last(courier) == SKIPPED


@on(*CONFIRMING)
def test_a_token_sends_no_mail_and_makes_nobody(courier: Courier) -> None:
    """Row 3 and 7: a push mails nobody, writes no membership back and brings nobody in."""
    bed = courier.bed
    bed.put(ANNA, "news")
    bed.world.made_list("news").optin = "double"
    bed.world.list_named("news").members[bed.world.person(ANNA).id] = PENDING
    tokens = [command(person=each, verb=Verb.TOKEN) for each in ("anna", "ben")]
    first, second = asked(courier, *tokens)
    assert (first.result, second.result, second.reason) == (Result.APPLIED, Result.SKIPPED, "unknown")
    assert bed.world.person(BEN) is None
    assert bed.world.mails == []
    assert not [call for call in bed.server.calls if call.method == "PUT" and "/api/subscribers/" in call.path]


@on(*IMITATED)
def test_who_erased_themselves_is_made_anew_by_nothing(courier: Courier) -> None:
    """Row 7."""
    bed = courier.bed
    bed.put(ANNA, "news")
    asked(courier, command("hot", "news"))
    bed.world.vanish_person(ANNA)
    token = [command(verb=Verb.TOKEN)] if bed.token_field else []
    outcomes = asked(courier, command("news", "hot"), command("hot"), *token)
    assert {(each.result, each.reason) for each in outcomes} == {(Result.SKIPPED, "gone")}
    assert bed.world.person(ANNA) is None


@on("listmonk")
def test_who_was_imported_from_the_platform_and_erased_themselves_is_gone(courier: Courier) -> None:
    bed = courier.bed
    bed.put(BEN, "news")
    entry = DirectoryEntry("w", "s_anna", ANNA, seen_in={"mail": {"news": 5}})
    courier.publish(Outgoing(SUBSCRIBERS, subscriber_key("w", "s_anna"), to_json(entry)))
    asked(courier, command("hot", "news"))
    assert last(courier) == (Result.SKIPPED, "gone")


@on(*SERVED)
@pytest.mark.parametrize("person", ["x%order%", "nul\x00", "*", "a'b\\c", "%", "_", "ünï"])
def test_one_persons_address_is_one_persons_answer(bed: ServedBed, tmp_path: Path, person: str) -> None:
    """Rows 8 and 12: whatever stands in an address, it stops nobody else, and means nobody else."""
    courier = Courier(bed, tmp_path / "data", "anna", person, log=log_beside(bed))
    bed.put("innocent@example.org", "old")
    bed.put(ANNA, "old")
    outcomes = asked(courier, command("hot", "old", person=person), command("hot", "old"))
    assert len(outcomes) == 2
    assert outcomes[-1].result is Result.APPLIED
    assert ANNA in bed.members("hot")
    assert "innocent@example.org" in bed.members("old")
    assert "innocent@example.org" not in bed.members("hot")
    courier.close()


@on("listmonk")
def test_an_address_at_which_the_database_fails_stops_nobody_else(courier: Courier) -> None:
    """Row 8: what cannot be foreseen in an address is found by halving, and given up for that person alone."""
    courier.bed.dialect.broken = {BEN}
    courier.bed.put(ANNA, "old")
    outcomes = asked(courier, command("hot", "old", person="ben"), command("hot", "old"), command("hot", person="cleo"))
    results = {each.subscriber: each.result for each in outcomes}
    assert results == {"s_anna": Result.APPLIED, "s_ben": Result.FAILED, "s_cleo": Result.APPLIED}


@on("listmonk")
def test_a_changed_address_is_not_subscribed_anew_under_the_old_one(courier: Courier) -> None:
    """Row 9."""
    bed = courier.bed
    bed.put(ANNA, "news")
    asked(courier, command("hot", "news"))
    person = bed.world.people.pop(ANNA)
    person.address = "anna.new@example.org"
    bed.world.people[person.address] = person
    asked(courier, command("news"))
    assert last(courier) == (Result.SKIPPED, "gone")
    assert bed.world.person(ANNA) is None


@on("listmonk")
def test_a_stranger_in_a_list_of_double_opt_in_is_asked_once(courier: Courier) -> None:
    """Row 9: and only where the account lets strangers be asked; whoever has not answered is asked by nothing more."""
    bed = courier.bed
    bed.strangers = None
    bed.world.made_list("double").optin = "double"
    (first,) = asked(courier, command("double"))
    assert (first.result, first.changed) == (Result.APPLIED, ("?double",))
    assert bed.members("double") == set()
    (second,) = asked(courier, command("double"))
    assert (second.result, second.reason) == (Result.SKIPPED, "asked")
    bed.expected_mails = [f"opt-in to {bed.world.person(ANNA).id}"]


@on("listmonk")
def test_a_known_person_comes_into_a_list_of_double_opt_in_without_a_mail(courier: Courier) -> None:
    bed = courier.bed
    bed.strangers = None
    bed.put(ANNA, "news")
    bed.world.made_list("double").optin = "double"
    (outcome,) = asked(courier, command("double", "news"))
    assert outcome.result is Result.APPLIED
    assert bed.members("double") == {ANNA}


@on(*IMITATED)
def test_strangers_are_left_alone_where_the_account_says_so(courier: Courier) -> None:
    courier.bed.strangers = "never"
    asked(courier, command("hot"))
    assert last(courier) == (Result.SKIPPED, "unknown")
    assert courier.bed.world.person(ANNA) is None


@on("mailchimp")
def test_a_stranger_to_an_audience_is_asked_by_default(courier: Courier) -> None:
    courier.bed.strangers = None
    (outcome,) = asked(courier, command("hot"))
    assert outcome.changed == ("?hot",)
    (again,) = asked(courier, command("hot"))
    assert (again.result, again.reason) == (Result.SKIPPED, "asked")
    courier.bed.expected_mails = [f"opt-in to {courier.bed.world.person(ANNA).id}"]


@on("listmonk")
def test_who_has_not_confirmed_is_neither_moved_nor_added(courier: Courier) -> None:
    bed = courier.bed
    bed.put(ANNA, "double")
    bed.put(ANNA, "other")
    found = bed.world.list_named("double")
    found.optin = "double"
    found.members[bed.world.person(ANNA).id] = PENDING
    for each in (command("hot", "double"), command("double")):
        asked(courier, each)
        assert last(courier) == (Result.SKIPPED, "pending")
    assert bed.members("hot") == set()


@on(*imitated(lambda each: each.bounces))
def test_who_bounced_is_undeliverable_and_has_not_left(courier: Courier) -> None:
    courier.bed.put(ANNA, "news")
    courier.bed.world.person(ANNA).standing = UNDELIVERABLE
    asked(courier, command("hot", "news"))
    assert last(courier) == (Result.SKIPPED, "undeliverable")
    courier.bed.world.person(ANNA).standing = "active"
    asked(courier, command("hot", "news"))
    assert last(courier)[0] is Result.APPLIED


@on(*IMITATED)
def test_a_veto_holds_up_no_taking_out_beside_it(courier: Courier) -> None:
    bed = courier.bed
    bed.put(ANNA, "news")
    bed.put(ANNA, "other")
    bed.leave(ANNA, "news")
    outcomes = asked(courier, command("hot", "news"), command("", "other"))
    assert [(each.result, each.reason) for each in outcomes] == [SKIPPED, (Result.APPLIED, "")]
    assert bed.members("other") == set()


@on("listmonk")
def test_a_name_that_two_lists_bear_is_refused(courier: Courier) -> None:
    bed = courier.bed
    bed.world.made_list("hot")
    twin = type(bed.world.list_named("hot"))(bed.world.fresh_id(), "hot")
    bed.world.lists[twin.id] = twin
    asked(courier, command("hot"))
    assert last(courier) == (Result.FAILED, "list_refused")


@on("listmonk")
def test_a_move_from_a_list_to_itself_is_already_so(courier: Courier) -> None:
    courier.bed.put(ANNA, "news")
    asked(courier, command("news", "news"))
    assert last(courier)[0] is Result.ALREADY
    assert courier.bed.members("news") == {ANNA}


def test_every_veto_ends_a_command_without_a_dead_letter() -> None:
    assert {Reason.GONE, Reason.UNSUBSCRIBED, Reason.PENDING, Reason.ASKED, Reason.UNKNOWN} <= VETOES


@on("listmonk")
def test_already_so_counts_for_nothing_and_one_person_stops_no_account(courier: Courier) -> None:
    courier.bed.put(ANNA, "hot")
    courier.send(*(command("hot") for _ in range(15)))
    courier.deliver(max_moves=12)
    assert courier.state() is None
    courier.send(*(command(f"l{number}") for number in range(15)))
    courier.deliver(max_moves=12)
    assert courier.state() is None
    courier.send(*(command(f"l{number}", person="ben") for number in range(4)))
    courier.deliver(max_moves=12)
    state = courier.state()
    assert state is not None
    assert state.reason == "too_many_moves"


@on("listmonk")
def test_who_is_on_the_blocklist_is_blocked(courier: Courier) -> None:
    courier.bed.put(ANNA, "news")
    courier.bed.world.person(ANNA).standing = LEFT
    asked(courier, command("hot", "news"))
    assert last(courier) == (Result.SKIPPED, "blocked")
    assert isinstance(courier.bed.sink().apply([Change("c", "s", ANNA, (), ("news",))])[0], Done)
