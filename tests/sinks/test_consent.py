"""What a real listmonk and its kin were seen to do to consent: one test a row, through the delivery loop."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.codec import to_json
from contracts.commands import Outcome, Result, Verb
from contracts.log import Outgoing
from contracts.reasons import Reason
from contracts.rows import DirectoryEntry
from contracts.topics import SUBSCRIBERS, subscriber_key
from sinks.base import Change, Done, Fate, PlatformError, Standing, Trouble
from sinks.delivery.outcomes import VETOES
from sinks.platforms.listmonk import PAGE
from tests.sinks.beds import SERVED, ServedBed, served_bed
from tests.sinks.courier import Courier, command
from tests.sinks.simulator.listmonk import RIGHTS
from tests.sinks.simulator.server import Answer, Fault
from tests.sinks.simulator.world import LEFT, PENDING, UNDELIVERABLE

pytestmark = pytest.mark.slow

ANNA, BEN = "anna@example.org", "ben@example.org"
IMITATED = tuple(name for name in SERVED if name != "mailman")


@pytest.fixture
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServedBed]:
    made = served_bed(request.param, tmp_path / "bed")
    yield made
    made.close()


@pytest.fixture
def courier(bed: ServedBed, tmp_path: Path) -> Iterator[Courier]:
    made = Courier(bed, tmp_path / "data", "anna", "ben", "cleo")
    yield made
    made.close()


def on(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("bed", names, indirect=True)


def last(courier: Courier) -> tuple[Result, str]:
    outcome = courier.outcomes()[-1]
    return outcome.result, outcome.reason


def asked(courier: Courier, *given: Any) -> list[Outcome]:
    before = len(courier.outcomes())
    courier.send(*given)
    courier.deliver()
    return courier.outcomes()[before:]


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


@on("listmonk", "mailchimp", "klaviyo", "hubspot", "activecampaign", "brevo", "mailerlite", "kit", "mautic")
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


@on("listmonk")
@pytest.mark.parametrize("right", sorted(RIGHTS))
def test_a_check_tries_each_right_and_names_the_one_that_is_missing(bed: ServedBed, right: str) -> None:
    """Row 4."""
    bed.put(ANNA, "news")
    bed.dialect.rights = RIGHTS - {right}
    try:
        tried = {each.name: each.works for each in bed.sink().rights()}
    except PlatformError as error:
        tried = {error.trouble.answer: False}
    missing = {name for name, works in tried.items() if works is False}
    assert right in missing or right == "subscribers:get"
    assert missing


@on("listmonk")
def test_whoever_cannot_be_seen_is_not_said_to_be_out_already(courier: Courier) -> None:
    """Row 4: without the right to see everybody nothing is "already so": the account stops and names the right."""
    courier.bed.put(ANNA, "news")
    courier.bed.dialect.rights = RIGHTS - {"subscribers:get_all"}
    asked(courier, command("", "news"))
    state = courier.state()
    assert courier.outcomes() == []
    assert state is not None
    assert (state.stopped, state.reason, state.detail) == (True, "missing_right", "subscribers:get_all")


@on("listmonk")
def test_a_list_whose_name_is_masked_ends_as_no_success(courier: Courier) -> None:
    """Row 9: roles by list."""
    courier.bed.put(ANNA, "old")
    courier.bed.dialect.rights = RIGHTS - {"lists:get_all"}
    courier.bed.dialect.visible = {"new"}
    asked(courier, command("new", "old"))
    state = courier.state()
    assert courier.outcomes() == []
    assert state is not None
    assert (state.reason, state.detail) == ("missing_right", "lists:get_all")


@on("listmonk")
@pytest.mark.parametrize("count", [0, PAGE, 2 * PAGE])
def test_a_list_of_whole_pages_is_read_to_its_end(bed: ServedBed, count: int) -> None:
    """Row 5: a page past the end is null."""
    bed.world.made_list("news")
    for number in range(count):
        bed.put(f"p{number}@example.org", "news")
    assert len(list(bed.sink().members("news"))) == count


@on("listmonk")
def test_five_hundred_lists_are_read_once(courier: Courier) -> None:
    """Row 6: the minimal form has no pages, however they are asked for."""
    for number in range(PAGE):
        courier.bed.world.made_list(f"list {number}")
    (outcome,) = asked(courier, command("hot"))
    assert outcome.result is Result.APPLIED


@on(*IMITATED)
def test_a_platform_that_gives_the_same_page_for_ever_ends_in_trouble(bed: ServedBed) -> None:
    """Row 6: no reading depends on the server's good will."""
    bed.put(ANNA, "news")
    sink: Any = bed.sink()
    http = sink._platform._http
    real, given = http.ask, dict[str, Any]()

    def ask(method: str, path: str, *more: Any, **named: Any) -> Any:
        if method != "GET" or not any(each in path for each in ("members", "profiles", "contacts", "subscribers")):
            return real(method, path, *more, **named)
        if path not in given:
            reply = real(method, path, *more, **named)
            # A page of memberships names records, and nobody's address.
            if ANNA.encode() not in reply.body and "memberships" not in path:
                return reply
            given[path] = full(reply, 100 if "memberships" in path else 1_000)
        return given[path]

    http.ask = ask
    with pytest.raises(PlatformError):
        list(itertools.islice(sink.members("news"), 10_000))


def full(reply: Any, page: int) -> Any:
    """The same answer, its list as long as a page, and one more to come."""
    body = reply.object()
    holder = body.get("data") if isinstance(body.get("data"), dict) else body
    name = next(
        each
        for each in ("results", "members", "data", "contacts", "subscribers", "tags")
        if isinstance(holder.get(each), list | dict)
    )
    found = holder[name]
    holder[name] = dict.fromkeys(map(str, range(page)), *found.values()) if isinstance(found, dict) else found * page
    body.setdefault("paging", {"next": {"after": "1"}})
    if isinstance(body.get("pagination"), dict):
        body["pagination"] |= {"has_next_page": True, "end_cursor": "1"}
    if isinstance(body.get("meta"), dict):
        body["meta"]["next_cursor"] = "1"
    body["links"] = {"next": "https://x.invalid/?page%5Bcursor%5D=1"}
    return reply._replace(body=to_json(body))


@on(*IMITATED)
def test_who_erased_themselves_is_made_anew_by_nothing(courier: Courier) -> None:
    """Row 7."""
    bed = courier.bed
    bed.put(ANNA, "news")
    asked(courier, command("hot", "news"))
    bed.world.vanish_person(ANNA)
    outcomes = asked(courier, command("news", "hot"), command("hot"), command(verb=Verb.TOKEN))
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
    courier = Courier(bed, tmp_path / "data", "anna", person)
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


@on("listmonk", "klaviyo", "hubspot", "mailchimp", "activecampaign", "brevo", "mailerlite", "kit", "mautic")
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


@on("listmonk", "klaviyo", "mailchimp", "brevo", "mailerlite", "kit", "mautic")
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


@on("mailchimp")
def test_a_field_that_the_audience_requires_keeps_nobody_out(courier: Courier) -> None:
    """Row 14."""
    courier.bed.dialect.required = True
    courier.bed.put(BEN, "news")
    outcomes = asked(courier, command("hot"), command(person="ben", verb=Verb.TOKEN))
    assert [each.result for each in outcomes] == [Result.APPLIED, Result.APPLIED]


@on("mailchimp")
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("Your merge fields were invalid.", Reason.REQUIRED_FIELD),
        ("x is in a compliance state", Reason.COMPLIANCE),
        ("x was permanently deleted", Reason.FORGOTTEN),
        ("Forgotten Email Not Subscribed", Reason.FORGOTTEN),
        ("x is archived", Reason.ARCHIVED),
    ],
)
def test_a_refusal_that_rests_on_the_audience_has_its_own_reason(bed: ServedBed, error: str, reason: Reason) -> None:
    told = {"new_members": [], "updated_members": [], "errors": [{"email_address": ANNA, "error": error}]}
    bed.server.faults = [Fault("", path="POST /3.0/lists/aud1", writes=True, answer=Answer(200, told))]
    (answer,) = bed.sink().apply([Change("c", "s", ANNA, ("hot",))])
    assert isinstance(answer, Trouble)
    assert (answer.reason, answer.fate) == (reason, Fate.LASTING)


def test_every_veto_ends_a_command_without_a_dead_letter() -> None:
    assert {Reason.GONE, Reason.UNSUBSCRIBED, Reason.PENDING, Reason.ASKED, Reason.UNKNOWN} <= VETOES


@on("listmonk", "klaviyo", "hubspot", "mailchimp", "activecampaign-lists", "brevo", "mailerlite", "kit")
def test_members_tell_the_platforms_own_id(bed: ServedBed) -> None:
    bed.put(ANNA, "news")
    (member,) = bed.sink().members("news")
    assert member.person
    assert member.standing is Standing.ACTIVE


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


WRONG: tuple[Any, ...] = (None, 7, "\x00", [[]], {"x": {}})


def damaged(value: Any) -> Iterator[Any]:
    """The same answer with one thing amiss: a field gone, or null, or of another type."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield {key: each for key, each in value.items() if key != name}
            yield from ({**value, name: wrong} for wrong in WRONG)
            yield from ({**value, name: each} for each in damaged(inner))
    elif isinstance(value, list) and value:
        yield from ([each, *value[1:]] for each in damaged(value[0]))


@on(*IMITATED)
def test_an_answer_that_lacks_something_is_no_success(bed: ServedBed) -> None:
    """Row 14: whatever a platform answers ends no process: a trouble of the closed reasons, or nothing was amiss."""
    bed.put(ANNA, "old")
    bed.put(BEN, "old")
    bed.server.validate = False  # what is made of a damaged answer need be no documented request
    sink: Any = bed.sink()
    change = Change("c", "s", ANNA, (), ("old",))
    http = sink._platform._http
    real, heard = http._read, dict[tuple[str, str], Any]()

    def recording(method: str, url: str, sent: dict[str, Any]) -> Any:
        heard[method, url] = real(method, url, sent)
        return heard[method, url]

    http._read = recording
    sink._platform.look([change], frozenset({"old"}))
    tried = 0
    for at, reply in list(heard.items()):
        for wrong in itertools.islice(damaged(reply.json_or_none()), 40):
            tried += 1
            given = reply._replace(body=to_json(wrong))
            http._read = lambda method, url, sent, at=at, given=given: (
                given if (method, url) == at else real(method, url, sent)
            )
            (answer,) = sink.apply([change])
            assert isinstance(answer, Done) or answer.reason in {
                Reason.WRONG_ANSWER,
                Reason.LIST_REFUSED,
                Reason.MISSING_RIGHT,
            }
            bed.put(ANNA, "old")
    assert tried > 10
