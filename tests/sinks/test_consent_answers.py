"""What may be believed of a platform's answers: rights that were tried, pages to their end, fields that are there."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from contracts.codec import to_json
from contracts.commands import Result, Verb
from contracts.reasons import Reason
from sinks.base import Change, Done, Fate, PlatformError, Standing, Trouble
from sinks.platforms.listmonk import PAGE
from tests.sinks.beds import ServedBed, imitated
from tests.sinks.courier import Courier, command
from tests.sinks.served import ANNA, BEN, IMITATED, NUMBERED, asked, bed_fixture, courier_fixture, on
from tests.sinks.simulator.listmonk import RIGHTS
from tests.sinks.simulator.server import Answer, Fault

pytestmark = pytest.mark.slow

bed = bed_fixture()
courier = courier_fixture("anna", "ben", "cleo")


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


READINGS = ("members", "profiles", "contacts", "subscribers", "/active.")
"""Of what the calls that read a list page by page are."""


@on(*imitated(lambda each: each.paged))
def test_a_platform_that_gives_the_same_page_for_ever_ends_in_trouble(bed: ServedBed) -> None:
    """Row 6: no reading depends on the server's good will."""
    bed.put(ANNA, "news")
    sink: Any = bed.sink()
    http = sink._platform._http
    real, given = http.ask, dict[str, Any]()

    def ask(method: str, path: str, *more: Any, **named: Any) -> Any:
        if method != "GET" or not any(each in path for each in READINGS):
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
        for each in (
            "results",
            "Results",
            "members",
            "data",
            "contacts",
            "subscribers",
            "tags",
            "identifiers",
            "_items",
        )
        if isinstance(holder.get(each), list | dict)
    )
    found = holder[name]
    holder[name] = dict.fromkeys(map(str, range(page)), *found.values()) if isinstance(found, dict) else found * page
    body.setdefault("paging", {"next": {"after": "1"}})
    if isinstance(body.get("pagination"), dict):
        body["pagination"] |= {"has_next_page": True, "end_cursor": "1"}
    if isinstance(body.get("meta"), dict):
        body["meta"]["next_cursor"] = "1"
    if "_links" in body:
        body["_links"] = {"next": {"marker": "1", "link": "", "href": "/v3/contacts?cursor=1"}}
    if isinstance(body.get("next"), str):
        body["next"] = "1"
    if "NumberOfPages" in body:
        body["NumberOfPages"] = 1_000
    body["links"] = {"next": "https://x.invalid/?page%5Bcursor%5D=1"}
    return reply._replace(body=to_json(body))


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


@on(*NUMBERED, "mailchimp")
def test_members_tell_the_platforms_own_id(bed: ServedBed) -> None:
    bed.put(ANNA, "news")
    (member,) = bed.sink().members("news")
    assert member.person
    assert member.standing is Standing.ACTIVE


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
