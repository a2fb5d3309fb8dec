"""The traps of each platform, one test a trap; ``python -m tests.sinks.guards`` takes each guard out in turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.commands import Result
from contracts.reasons import Reason
from sinks.base import Answer as SinkAnswer
from sinks.base import Change, Done, Fate, Standing, Trouble
from sinks.toolkit.consent import Seen
from sinks.toolkit.platform import One
from tests.sinks.beds import ServedBed, imitated, served_bed
from tests.sinks.courier import Courier, command
from tests.sinks.served import IMITATED
from tests.sinks.simulator.server import KEY, Answer, Fault

pytestmark = pytest.mark.slow

ANNA, BEN = "anna@example.org", "ben@example.org"


@pytest.fixture
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServedBed]:
    made = served_bed(request.param, tmp_path / "bed")
    yield made
    made.close()


def on(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("bed", names, indirect=True)


def asked(bed: ServedBed, *, address: str = ANNA, **more: Any) -> SinkAnswer:
    (answer,) = bed.sink().apply([Change("c1", "s_1", address, **more)])
    return answer


def fate(answer: SinkAnswer) -> Fate | None:
    return answer.fate if isinstance(answer, Trouble) else None


# Mailchimp


@on("mailchimp")
def test_mailchimp_403_without_json_is_too_many_at_once_and_with_json_a_wrong_key(bed: ServedBed) -> None:
    bed.server.faults = [Fault("", answer=Answer(403, b"<html>slow down</html>", media="text/html"))]
    assert fate(asked(bed, add=("new",))) is Fate.AWAY
    bed.server.faults = [Fault("", answer=Answer(403, {"title": "Forbidden", "status": 403}))]
    assert fate(asked(bed, add=("new",))) is Fate.FATAL


@on("mailchimp")
def test_mailchimp_bringing_people_in_writes_no_status_of_who_is_there(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.leave(ANNA, "old")
    sink: Any = bed.sink()
    (found,) = sink._platform.enrol([Change("c", "s", ANNA, ("new",))])
    assert fate(found) is Fate.PASSING
    assert bed.world.wrongs == []


@on("mailchimp")
def test_mailchimp_compliance_state_and_a_forgotten_address_each_have_a_reason_of_their_own(bed: ServedBed) -> None:
    bed.dialect.compliance.add(ANNA)
    bed.dialect.forgotten.add(BEN)
    left, forgotten = asked(bed, add=("new",)), asked(bed, add=("new",), address=BEN)
    assert isinstance(left, Trouble)
    assert isinstance(forgotten, Trouble)
    assert (left.reason, left.fate) == (Reason.COMPLIANCE, Fate.LASTING)
    assert (forgotten.reason, forgotten.fate) == (Reason.FORGOTTEN, Fate.LASTING)


@on("mailchimp")
def test_mailchimp_has_at_most_ten_connections(bed: ServedBed) -> None:
    bed.server.latency_s = 0.1
    sink = bed.sink(connections=50)
    sink.apply([Change(f"c{n}", f"s_{n}", f"p{n}@example.org", ("new",)) for n in range(40)])
    assert bed.server.most_at_once <= 10


@on("mailchimp")
def test_mailchimp_a_200_that_ignored_a_stranger_is_no_success(bed: ServedBed) -> None:
    error = {"email_addresses": [ANNA], "error": "not in the audience"}
    bed.put(ANNA, "old")
    told = {"members_added": [], "members_removed": [], "errors": [error]}
    bed.server.faults = [Fault("", path="POST /3.0/lists/aud1/segments/", answer=Answer(200, told))]
    bed.put(BEN, "new")
    assert fate(asked(bed, add=("new",))) is Fate.PASSING


@on("mailchimp")
def test_mailchimp_taking_out_neither_archives_nor_deletes(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    assert isinstance(asked(bed, remove=("old",)), Done)
    assert bed.world.person(ANNA) is not None
    assert {call.method for call in bed.writes()} == {"POST"}


@on("mailchimp")
def test_mailchimp_who_was_archived_is_not_put_back(bed: ServedBed) -> None:
    bed.world.enrol(ANNA).standing = "archived"
    answer = asked(bed, add=("new",))
    assert isinstance(answer, Trouble)
    assert answer.reason is Reason.ARCHIVED


# Klaviyo


@on("klaviyo")
def test_klaviyo_only_the_neutral_calls_change_lists(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    assert isinstance(asked(bed, add=("new",), remove=("old",)), Done)
    changing = {
        (call.method, call.path.rpartition("/api/lists/")[2].partition("/")[2]) for call in bed.writes("/lists/")
    }
    assert changing == {("POST", "relationships/profiles"), ("DELETE", "relationships/profiles")}
    assert bed.world.person(ANNA).standing == "active"


@on("klaviyo")
@pytest.mark.parametrize("status", [410, 415])
def test_klaviyo_a_retired_revision_stops_the_account(bed: ServedBed, status: int) -> None:
    bed.server.faults = [Fault("", answer=Answer(status, {"errors": []}))]
    assert fate(asked(bed, add=("new",))) is Fate.FATAL


@on("klaviyo")
def test_klaviyo_a_duplicate_profile_names_the_id_to_use(bed: ServedBed) -> None:
    person = bed.world.enrol(ANNA)
    error = {"status": 409, "code": "duplicate_profile", "meta": {"duplicate_profile_id": person.id}}
    bed.server.faults = [Fault("", path="POST /api/profile-import", answer=Answer(409, {"errors": [error]}))]
    sink: Any = bed.sink()
    assert sink._platform.enrol([Change("c", "s", ANNA)]) == [person.id]


@on("klaviyo")
def test_klaviyo_the_link_to_the_next_page_is_not_followed_but_its_cursor_is(bed: ServedBed) -> None:
    for number in range(120):
        bed.put(f"p{number}@example.org", "old")
    assert len(list(bed.sink().members("old"))) == 120


@on("klaviyo")
@pytest.mark.parametrize(
    ("reason", "wanted"), [("USER_SUPPRESSED", Reason.BLOCKED), ("SPAM_COMPLAINT", Reason.COMPLAINED)]
)
def test_klaviyo_a_suppression_by_the_person_is_a_leaving(bed: ServedBed, reason: str, wanted: Reason) -> None:
    email = {"marketing": {"consent": "SUBSCRIBED", "suppression": [{"reason": reason}]}}
    attributes = {"email": ANNA, "properties": {}, "subscriptions": {"email": email}}
    found = Answer(200, {"data": [{"type": "profile", "id": "p1", "attributes": attributes}], "links": {}})
    bed.server.faults = [Fault("", path="GET /api/profiles", answer=found)]
    answer = asked(bed, add=("new",))
    assert isinstance(answer, Trouble)
    assert answer.reason is wanted


@on("klaviyo")
def test_klaviyo_adding_to_a_list_clears_no_unsubscription(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.leave(ANNA, "old")
    asked(bed, add=("new",))
    assert bed.writes("profile-subscription", "profile-suppression", "relationships") == []


# ActiveCampaign


@on("activecampaign")
def test_activecampaign_a_login_page_is_a_wrong_key(bed: ServedBed) -> None:
    bed.server.fail("bad_key")
    answer = asked(bed, add=("new",))
    assert isinstance(answer, Trouble)
    assert (answer.reason, answer.fate) == (Reason.BAD_CREDENTIALS, Fate.FATAL)


@on("activecampaign")
def test_activecampaign_a_400_that_means_slow_down_is_waited_for(bed: ServedBed) -> None:
    bed.server.faults = [Fault("", writes=True, answer=Answer(400, {"message": "Rate limit exceeded"}))]
    assert fate(asked(bed, add=("new",))) is Fate.AWAY


@on("activecampaign")
def test_activecampaign_lists_are_tags_unless_the_account_says_otherwise(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    assert isinstance(asked(bed, add=("new",), remove=("old",)), Done)
    assert bed.writes("contactLists") == []
    assert bed.members("new") == {ANNA}


@on("activecampaign-lists")
def test_activecampaign_status_1_is_never_written_for_who_unsubscribed(bed: ServedBed) -> None:
    bed.put(ANNA, "news")
    bed.leave(ANNA, "news")
    asked(bed, add=("news",))
    assert bed.writes("contactLists") == []


@on("activecampaign-lists")
def test_activecampaign_whom_segma_took_out_may_come_back(bed: ServedBed) -> None:
    bed.put(ANNA, "news")
    assert isinstance(asked(bed, remove=("news",)), Done)
    assert fate(asked(bed, add=("news",))) is Fate.LASTING
    assert isinstance(asked(bed, add=("news",), taken_out=("news",)), Done)
    assert bed.members("news") == {ANNA}


@on("activecampaign")
def test_activecampaign_a_tag_is_taken_away_by_the_id_of_its_setting(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    assert asked(bed, remove=("old",))[:2] == (("-old",), "changed")
    assert bed.members("old") == set()


# HubSpot


@on("hubspot")
def test_hubspot_a_200_with_the_record_missing_did_nothing(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.put(BEN, "new")
    told = {"recordsIdsAdded": [], "recordIdsRemoved": [], "recordIdsMissing": [bed.world.person(ANNA).id]}
    bed.server.faults = [Fault("", path="/memberships/add", answer=Answer(200, told))]
    assert fate(asked(bed, add=("new",))) is Fate.PASSING


@on("hubspot")
def test_hubspot_a_lock_is_waited_for(bed: ServedBed) -> None:
    bed.put(BEN, "new")
    bed.server.faults = [Fault("", path="/memberships/add", answer=Answer(423, {"category": "LOCKED"}))]
    assert fate(asked(bed, add=("new",))) is Fate.AWAY


@on("hubspot")
def test_hubspot_an_invalid_address_refuses_its_whole_hundred_and_is_found(bed: ServedBed) -> None:
    bed.world.bad.add("bad@example.org")
    people = [*(f"p{n}@example.org" for n in range(40)), "bad@example.org", *(f"q{n}@example.org" for n in range(30))]
    answers = bed.sink().apply([Change(each, f"s_{each}", each, ("new",)) for each in people])
    assert [people[n] for n, each in enumerate(answers) if isinstance(each, Trouble)] == ["bad@example.org"]


@on("hubspot")
def test_hubspot_who_opted_out_is_added_nowhere(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.leave(ANNA, "old")
    answer = asked(bed, add=("new",))
    assert isinstance(answer, Trouble)
    assert answer.reason is Reason.UNSUBSCRIBED


# listmonk


@on("listmonk")
def test_listmonk_taking_out_is_remove_and_never_unsubscribe(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    asked(bed, remove=("old",))
    assert [call.body["action"] for call in bed.writes("/subscribers/lists")] == ["remove"]


@on("listmonk")
def test_listmonk_add_would_confirm_who_unsubscribed_so_they_are_left_alone(bed: ServedBed) -> None:
    bed.put(ANNA, "news")
    bed.leave(ANNA, "news")
    answer = asked(bed, add=("news",))
    assert isinstance(answer, Trouble)
    assert answer.reason is Reason.UNSUBSCRIBED


@on("listmonk")
def test_listmonk_who_is_on_the_blocklist_is_added_nowhere(bed: ServedBed) -> None:
    bed.world.enrol(ANNA).standing = "left"
    answer = asked(bed, add=("new",))
    assert isinstance(answer, Trouble)
    assert answer.reason is Reason.BLOCKED


@on("listmonk")
def test_listmonk_writing_a_token_keeps_lists_and_attributes(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.world.person(ANNA).fields["city"] = "Bern"
    assert isinstance(asked(bed, fields=(("segma_token", "t1"),)), Done)
    assert bed.members("old") == {ANNA}
    assert bed.world.person(ANNA).fields == {"city": "Bern", "segma_token": "t1"}


@on("listmonk")
def test_listmonk_an_address_with_a_quote_is_a_text_and_no_query(bed: ServedBed) -> None:
    bed.put("o'hara@example.org", "old")
    assert isinstance(asked(bed, address="o'hara@example.org", add=("new",), remove=("old",)), Done)
    sly = "x') OR ('1'='1@example.org"
    assert isinstance(asked(bed, address=sly, add=("new",), remove=("old",)), Done)
    assert bed.members("new") == {"o'hara@example.org", sly.lower()}


# GNU Mailman


@on("mailman")
def test_mailman_already_there_and_already_gone_are_success(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.put(BEN, "new")
    stranger = Answer(200, {"total_size": 0, "start": 0})
    bed.server.faults = [Fault("", path="POST /3.1/members/find", answer=stranger)]
    assert isinstance(asked(bed, add=("old",)), Done), "Mailman itself says 409"
    sink: Any = bed.sink()
    for _ in range(2):
        assert sink._platform.remove("old", [One(Change("c", "s", ANNA), ANNA, Seen(ANNA))]) == [None]


@on("mailman")
def test_mailman_sends_no_welcome_and_asks_for_no_confirmation(bed: ServedBed) -> None:
    asked(bed, add=("new",))
    (call,) = [each for each in bed.writes("/members") if not each.path.endswith("/find")]
    sent = call.form
    assert sent["send_welcome_message"] == "false"
    assert {sent["pre_verified"], sent["pre_confirmed"], sent["pre_approved"]} == {"true"}


@on("mailman")
def test_mailman_who_was_put_in_and_is_gone_has_left(bed: ServedBed, tmp_path: Path) -> None:
    courier = Courier(bed, tmp_path / "data")
    courier.send(command("news"))
    courier.deliver()
    bed.leave(ANNA, "news")
    courier.send(command("news"))
    courier.deliver()
    assert [each.result for each in courier.outcomes()] == [Result.APPLIED, Result.SKIPPED]
    assert bed.members("news") == set()
    courier.close()


# All of them


@on(*IMITATED)
def test_a_redirect_takes_no_key_along(bed: ServedBed, tmp_path: Path) -> None:
    other = served_bed("listmonk", tmp_path / "other")
    there = Answer(307, b"", {"Location": f"{other.server.url}/steal"})
    bed.server.faults = [Fault("", answer=there)]
    assert fate(asked(bed, add=("new",))) is Fate.AWAY
    assert other.server.calls == []
    other.close()


@on("listmonk", "hubspot")
def test_a_password_file_of_the_user_replaces_no_key(
    bed: ServedBed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert isinstance(asked(bed, add=("new",)), Done)


@on(*IMITATED, "mailman")
def test_nobody_is_in_no_list_on_the_way(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.put(BEN, "new")
    bed.server.fail("error", writes=True, path="", times=1)
    sink = bed.sink()
    first, second = (sink.apply([Change("c", "s", ANNA, ("new",), ("old",))])[0] for _ in range(2))
    assert fate(first) is Fate.AWAY
    assert isinstance(second, Done)
    bed.server.faults = [Fault("", writes=True, answer=Answer(400, {"title": "no"}))]
    (refused,) = sink.apply([Change("d", "t", BEN, ("newer",), ("new",))])
    assert fate(refused) is Fate.LASTING
    assert BEN in bed.members("new"), "the adding was refused, so nothing is taken away"


@on(*IMITATED)
def test_a_429_waits_as_long_as_it_says(bed: ServedBed, tmp_path: Path) -> None:
    courier = Courier(bed, tmp_path / "data")
    slow = Answer(429, {}, {"Retry-After": "7"})
    bed.server.faults = [Fault("", answer=slow)]
    courier.send(command("new"))
    courier.deliver()
    assert sum(courier.pauses) >= 7
    assert bed.members("new") == {ANNA}
    courier.close()


@on(*imitated(lambda each: each.members_show_leaving))
def test_members_tell_who_left(bed: ServedBed) -> None:
    bed.put(ANNA, "news")
    bed.put(BEN, "news")
    bed.leave(ANNA, "news")
    standings = {each.address: each.standing for each in bed.sink().members("news")}
    assert standings == {ANNA: Standing.LEFT, BEN: Standing.ACTIVE}


@on(*IMITATED)
def test_a_token_is_written_and_changes_nobodys_lists_or_consent(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    field = bed.token_field
    assert asked(bed, fields=((field, "t1"),))[:2] == ((f"={field}",), "changed")
    assert bed.world.person(ANNA).fields[field] == "t1"
    assert bed.members("old") == {ANNA}
    assert KEY not in repr(bed.world.people)


@on(*imitated(lambda each: each.dialect().sends_tags))
def test_a_tag_is_set_and_taken_away(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    assert asked(bed, tag=("warm",))[:2] == (("t+warm",), "changed")
    assert asked(bed, tag=("warm",))[:2] == ((), "already so")
    assert asked(bed, untag=("warm",))[:2] == (("t-warm",), "changed")
    assert bed.members("old") == {ANNA}


@on("hubspot")
def test_members_of_hubspot_come_with_the_ids_by_which_its_webhooks_name_them(bed: ServedBed) -> None:
    bed.put(ANNA, "news")
    (member,) = bed.sink().members("news")
    assert (member.address, member.person) == (ANNA, bed.world.person(ANNA).id)
