"""The traps of Ghost, one test a trap; ``python -m tests.sinks.guards`` takes each guard out in turn."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.reasons import Reason
from sinks.base import Change, Done, Fate, Standing
from sinks.platforms.ghost import GhostOptions, make
from sinks.toolkit.consent import Seen
from sinks.toolkit.options import Around
from sinks.toolkit.platform import One
from tests.sinks.beds import ServedBed, brief, now_ms
from tests.sinks.simulator.server import Answer, Fault
from tests.sinks.simulator.world import LEFT, UNDELIVERABLE
from tests.sinks.trapped import ANNA, BEN, asked, bed_fixture, missing_rights, trouble

pytestmark = pytest.mark.slow

OBRIEN = "o'brien@example.org"

bed = bed_fixture("ghost")


def one(bed: ServedBed, address: str = ANNA) -> One:
    return One(Change("c1", "s_1", address), bed.world.person(address).id, Seen())


@pytest.mark.parametrize(
    ("standing", "wanted"),
    [(LEFT, Reason.UNSUBSCRIBED), ("complained", Reason.COMPLAINED), (UNDELIVERABLE, Reason.UNDELIVERABLE)],
)
@pytest.mark.parametrize("address", [ANNA, OBRIEN])
def test_ghost_who_gets_no_mail_is_added_nowhere(bed: ServedBed, address: str, standing: str, wanted: Reason) -> None:
    """Beside an address with an apostrophe a page does not say why somebody is suppressed."""
    bed.put(address, "old")
    bed.world.person(address).standing = standing
    assert trouble(asked(bed, address=address, add=("new",))) == (wanted, Fate.LASTING)
    assert bed.writes() == []


def test_ghost_who_complained_with_an_apostrophe_is_read_alone(bed: ServedBed) -> None:
    bed.put(OBRIEN, "old")
    bed.world.person(OBRIEN).standing = "complained"
    bed.dialect.drifted = {OBRIEN}
    assert trouble(asked(bed, address=OBRIEN, add=("new",))) == (Reason.COMPLAINED, Fate.LASTING)


def test_ghost_members_tell_who_complained_on_a_page_with_an_apostrophe(bed: ServedBed) -> None:
    for address in (ANNA, OBRIEN):
        bed.put(address, "news")
    bed.world.person(ANNA).standing = "complained"
    found = {each.address: each.standing for each in bed.sink().members("news")}
    assert found == {ANNA: Standing.LEFT, OBRIEN: Standing.ACTIVE}


@pytest.mark.parametrize("address", [OBRIEN, '"a b"@example.org', '"\'],id:x"@example.org', "a\\'b@example.org"])
def test_ghost_an_address_is_a_value_of_a_filter_and_nothing_else(bed: ServedBed, address: str) -> None:
    """None of them is found by another's, and who is asked for beside them is told of all the same."""
    bed.put(address, "old")
    bed.put(ANNA, "old")
    changes = [Change("c1", "s_1", address, ("new",), ("old",)), Change("c2", "s_2", ANNA, ("new",), ("old",))]
    assert all(isinstance(each, Done) for each in bed.sink().apply(changes))
    assert (bed.members("old"), bed.members("new")) == (set(), {address.lower(), ANNA})


def test_ghost_only_the_very_address_counts(bed: ServedBed) -> None:
    """The database takes an accent for no difference."""
    bed.put("ána@example.org", "old")
    bed.world.person("ána@example.org").standing = LEFT
    bed.put("ana@example.com", "old")
    assert isinstance(asked(bed, address="ana@example.com", add=("new",)), Done)
    assert trouble(asked(bed, address="ana@example.org", remove=("old",))) is None
    assert bed.members("old") == {"ána@example.org", "ana@example.com"}


def test_ghost_who_has_a_label_already_is_not_given_it_twice(bed: ServedBed) -> None:
    """The bulk call makes a row for whomever it finds; the imitation tells of a second one as a wrong."""
    bed.put(ANNA, "new")
    bed.put(BEN, "old")
    sink: Any = bed.sink()
    assert sink._platform.put("new", [one(bed), one(bed, BEN)]) == [None, None]
    assert bed.members("new") == {ANNA, BEN}
    assert bed.world.wrongs == []


@pytest.mark.parametrize("stats", [{"successful": 0, "unsuccessful": 0}, {"successful": 0, "unsuccessful": 1}])
def test_ghost_counts_that_do_not_account_for_somebody_are_no_success(bed: ServedBed, stats: dict[str, int]) -> None:
    bed.put(ANNA, "old")
    bed.put(BEN, "new")
    told = {"bulk": {"meta": {"stats": stats, "errors": [], "unsuccessfulData": []}}}
    bed.server.faults = [Fault("", path="PUT /ghost/api/admin/members/bulk/", answer=Answer(200, told))]
    assert trouble(asked(bed, add=("new",), remove=("old",))) == (Reason.REFUSED_BY_PLATFORM, Fate.PASSING)
    assert bed.members("old") == {ANNA}, "nobody is in no list on the way"


def test_ghost_a_label_that_was_deleted_and_made_anew_is_found_by_its_new_id(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.put(BEN, "new")
    sink = bed.sink()
    sink.apply([Change("c1", "s_1", ANNA, ("new",))])
    bed.world.vanish_list("new")
    bed.put(BEN, "new")
    (answer,) = sink.apply([Change("c2", "s_1", ANNA, ("new",), ("old",))])
    assert isinstance(answer, Done)
    assert bed.members("new") == {ANNA, BEN}


def test_ghost_no_label_is_written_with_a_member(bed: ServedBed) -> None:
    """That would take all others away, and tell every webhook of the site."""
    bed.put(ANNA, "old")
    bed.put(ANNA, "vip")
    asked(bed, add=("new",), remove=("old",), tag=("warm",))
    assert {(call.method, call.path.rpartition("/admin")[2]) for call in bed.writes()} == {
        ("POST", "/labels/"),
        ("PUT", "/members/bulk/"),
    }
    assert {name for name in ("new", "old", "vip", "warm") if ANNA in bed.members(name)} == {"new", "vip", "warm"}


def test_ghost_a_stranger_comes_in_as_whoever_signs_up_does(bed: ServedBed) -> None:
    bed.put(BEN, "old")
    assert isinstance(asked(bed, add=("old",)), Done)
    (made,) = [call.body for call in bed.writes("/members/") if call.method == "POST"]
    assert made == {"members": [{"email": ANNA}]}


def test_ghost_where_no_newsletter_takes_new_members_nobody_is_made(bed: ServedBed) -> None:
    """They would be in none, which is what whoever left is."""
    bed.put(BEN, "old")
    bed.dialect.takes_new = False
    assert trouble(asked(bed, add=("old",))) == (Reason.LIST_REFUSED, Fate.LASTING)
    assert bed.world.person(ANNA) is None


def test_ghost_who_was_made_meanwhile_is_looked_at_again(bed: ServedBed) -> None:
    bed.world.enrol(ANNA).standing = LEFT
    sink: Any = bed.sink()
    (found,) = sink._platform.enrol([Change("c", "s", ANNA, ("new",))])
    assert trouble(found) == (Reason.REFUSED_BY_PLATFORM, Fate.PASSING)


def test_ghost_a_label_that_differs_in_case_alone_is_refused(bed: ServedBed) -> None:
    bed.put(ANNA, "News")
    assert trouble(asked(bed, add=("news",))) == (Reason.LIST_REFUSED, Fate.LASTING)
    assert [each.name for each in bed.world.lists.values()] == ["News"]


@pytest.mark.parametrize("said", ["jwt expired", "maxAge exceeded"])
def test_ghost_a_clock_that_is_wrong_is_told_as_one(bed: ServedBed, said: str) -> None:
    refusal = {"errors": [{"message": f"Invalid token: {said}", "type": "UnauthorizedError"}]}
    bed.server.faults = [Fault("", answer=Answer(401, refusal))]
    answer: Any = asked(bed, add=("new",))
    assert trouble(answer) == (Reason.BAD_CREDENTIALS, Fate.FATAL)
    assert "clocks" in answer.answer


@pytest.mark.parametrize("key", ["", "simple", "5e9aaccede5e9aaccede5e9a", "5e9aaccede5e9aaccede5e9a:xyz"])
def test_ghost_a_content_key_or_half_a_key_is_refused_before_any_call(tmp_path: Any, key: str) -> None:
    options = GhostOptions.model_validate({"url": "https://shop.example", "key": {"env": "KEY"}})
    with pytest.raises(ValueError, match="Admin API key"):
        make(options, Around("w/mail", tmp_path, brief, now_ms, lambda at, field: key))


def test_ghost_members_and_labels_are_read_to_the_last_page(bed: ServedBed) -> None:
    for number in range(201):
        bed.put(f"p{number}@example.org", "news")
        bed.world.made_list(f"l{number:03}")
    bed.leave("p200@example.org", "news")
    sink = bed.sink()
    found = {each.address: each.standing for each in sink.members("news")}
    assert (len(found), found["p200@example.org"]) == (201, Standing.LEFT)
    (answer,) = sink.apply([Change("c1", "s_1", "p1@example.org", ("l200",))])
    assert isinstance(answer, Done)
    assert len(bed.world.lists) == 202


@pytest.mark.parametrize(
    ("denied", "missing"),
    [
        ("GET /members/", "reading members"),
        ("GET /labels/", "reading labels"),
        ("GET /newsletters/", "reading newsletters"),
        ("POST /members/", "changing members"),
        ("POST /labels/", "making labels"),
    ],
)
def test_ghost_a_check_tries_each_right_and_changes_nothing(bed: ServedBed, denied: str, missing: str) -> None:
    assert missing_rights(bed, denied) == {missing}
