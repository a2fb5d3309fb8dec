"""The traps of Sympa, one test a trap; ``python -m tests.sinks.guards`` takes each guard out in turn."""

from __future__ import annotations

import sqlite3
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.reasons import Reason
from sinks.base import Answer, Change, Done, Fate, PlatformError, Sink
from sinks.platforms.sympa import Sympa, SympaOptions
from sinks.toolkit.list_sink import ListSink
from sinks.toolkit.programs import Ran, program
from tests.sinks.simulator.sympa import DOMAIN, OWNER, ImitatedSympa
from tests.sinks.trapped import ANNA, BEN, trouble

STATE = "SELECT {} FROM subscriber_table WHERE user_subscriber = ? AND list_subscriber = ?"


@pytest.fixture
def sympa(tmp_path: Path) -> Iterator[ImitatedSympa]:
    made = ImitatedSympa(tmp_path)
    yield made
    made.close()


def sink_of(sympa: ImitatedSympa, **options: Any) -> Sink:
    return ListSink(Sympa(sympa.run, sympa.options.model_copy(update=options)), strangers="add")


def asked(sympa: ImitatedSympa, *, address: str = ANNA, **more: Any) -> Answer:
    (answer,) = sink_of(sympa).apply([Change("c1", "s_1", address, **more)])
    return answer


def state(sympa: ImitatedSympa, name: str, column: str, address: str = ANNA) -> object:
    found = sympa.database.execute(STATE.format(f"{column}_subscriber"), (address, name)).fetchone()
    return found and found[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [("reception", "nomail"), ("visibility", "conceal"), ("suspend", "1"), ("bounce", "1 2 3"), ("date", "7")],
)
def test_sympa_a_move_keeps_how_a_person_gets_their_mail(sympa: ImitatedSympa, key: str, value: str) -> None:
    sympa.put(ANNA, "old", **{key: value})
    column = {"date": "date_epoch"}.get(key, key)
    assert isinstance(asked(sympa, add=("new",), remove=("old",)), Done)
    assert str(state(sympa, "new", column)) == value
    assert sympa.inside("old") == {}


@pytest.mark.parametrize(
    ("settings", "mode"), [({"digest": False}, "digest"), ({"reception": "mail,nomail"}, "notice")]
)
def test_sympa_a_list_that_mails_in_another_way_takes_nobody(
    sympa: ImitatedSympa, settings: dict[str, Any], mode: str
) -> None:
    """8.1, 17: restored, they would get their mail otherwise, or none."""
    sympa.configure("hot", **settings)
    sympa.put(ANNA, "old", reception=mode)
    assert trouble(asked(sympa, add=("hot",), remove=("old",))) == (Reason.PAUSED, Fate.LASTING)
    assert (sympa.inside("hot"), sympa.inside("old")) == ({}, {ANNA: mode})
    sympa.put(BEN, "old", reception="nomail")
    assert isinstance(asked(sympa, address=BEN, add=("hot",), remove=("old",)), Done)
    assert sympa.inside("hot") == {BEN: "nomail"}


def test_sympa_a_list_that_segma_makes_has_digests(sympa: ImitatedSympa) -> None:
    sympa.put(ANNA, "old", reception="digest")
    assert isinstance(asked(sympa, add=("new",), remove=("old",)), Done)
    assert (sympa.inside("new"), "\ndigest " in (sympa.lists / "new/config").read_text()) == ({ANNA: "digest"}, True)


def test_sympa_whom_a_data_source_brought_becomes_a_member_of_their_own(sympa: ImitatedSympa) -> None:
    """Else the other list's next synchronisation would drop them."""
    sympa.put(ANNA, "old", inclusion="5", subscribed="0")
    asked(sympa, add=("new",))
    assert (str(state(sympa, "new", "subscribed")), state(sympa, "new", "inclusion")) == ("1", None)


def test_sympa_whom_segma_took_from_a_data_source_has_not_left(sympa: ImitatedSympa) -> None:
    sympa.put(ANNA, "old", inclusion="5")
    assert isinstance(asked(sympa, remove=("old",)), Done)
    assert isinstance(asked(sympa, add=("old",), met=True, taken_out=("old",)), Done)


def test_sympa_whom_an_owner_excluded_is_added_no_more(sympa: ImitatedSympa) -> None:
    sympa.put(ANNA, "old", inclusion="5")
    sympa.take_out(ANNA, "old")
    assert trouble(asked(sympa, add=("old",))) == (Reason.UNSUBSCRIBED, Fate.LASTING)


def test_sympa_who_unsubscribed_stands_in_its_statistics_alone(sympa: ImitatedSympa) -> None:
    sympa.put(ANNA, "old")
    sympa.put(ANNA, "other")
    sympa.leave(ANNA, "old")
    assert trouble(asked(sympa, add=("new",), consent_in=("old",))) == (Reason.UNSUBSCRIBED, Fate.LASTING)
    assert isinstance(asked(sympa, add=("new",)), Done), "what they left is another list"


def test_sympa_who_came_back_by_themselves_has_not_left(sympa: ImitatedSympa) -> None:
    sympa.put(ANNA, "old")
    sympa.leave(ANNA, "old")
    sympa.put(ANNA, "old")
    assert isinstance(asked(sympa, add=("new",), remove=("old",)), Done)


def test_sympa_an_older_unsubscription_that_an_owner_followed_is_none(sympa: ImitatedSympa) -> None:
    """The last word counts: they came back, and it was an owner who took them out."""
    sympa.put(ANNA, "old")
    sympa.leave(ANNA, "old")
    sympa.put(ANNA, "old")
    sympa.take_out(ANNA, "old")
    assert isinstance(asked(sympa, add=("new",), consent_in=("old",), met=True), Done)


def test_sympa_restored_says_nothing_of_each(sympa: ImitatedSympa) -> None:
    changes = [Change("c1", "s_1", "no address@x", ("new",)), Change("c2", "s_2", "a<b@example.org", ("new",))]
    changes.append(Change("c3", "s_3", BEN, ("new",)))
    bad, refused, done = sink_of(sympa).apply(changes)
    assert trouble(bad) == (Reason.BAD_ADDRESS, Fate.LASTING)
    assert trouble(refused) == (Reason.REFUSED_BY_PLATFORM, Fate.PASSING)
    assert isinstance(done, Done)


@pytest.mark.parametrize("address", ["#anna@example.org", '"an na"@example.org'])
def test_sympa_a_line_is_one_address_and_no_remark(sympa: ImitatedSympa, address: str) -> None:
    sympa.put(ANNA, "old")
    assert trouble(asked(sympa, address=address, remove=("old",))) == (Reason.BAD_ADDRESS, Fate.LASTING)
    assert sympa.commands == []


def test_sympa_one_line_that_fails_ends_with_1_and_the_others_are_done(sympa: ImitatedSympa) -> None:
    for each in (ANNA, BEN):
        sympa.put(each, "old")
    platform = Sympa(_gone_before(sympa, ANNA), sympa.options)
    answers = ListSink(platform).apply([Change(f"c{n}", f"s_{n}", n, remove=("old",)) for n in (ANNA, BEN)])
    assert [type(each) for each in answers] == [Done, Done]
    assert sympa.inside("old") == {}


def _gone_before(sympa: ImitatedSympa, address: str) -> Any:
    def run(words: Any, given: str) -> Ran:
        sympa.take_out(address, "old")
        return sympa.run(words, given)

    return run


def test_sympa_a_closed_list_takes_nobody(sympa: ImitatedSympa) -> None:
    """Its command line would put them in without a word."""
    sympa.put(BEN, "old")
    sympa.configure("hot", status="closed")
    sympa.put(ANNA, "old")
    answer = asked(sympa, add=("hot",), remove=("old",))
    assert trouble(answer) == (Reason.LIST_REFUSED, Fate.LASTING)
    assert (sympa.inside("hot"), sorted(sympa.inside("old"))) == ({}, [ANNA, BEN])


@pytest.mark.parametrize("scenario", ["owner", "closed", "auth_owner"])
def test_sympa_a_stranger_enters_no_list_past_its_owner(sympa: ImitatedSympa, scenario: str) -> None:
    sympa.configure("club", subscribe=scenario)
    assert trouble(asked(sympa, add=("club",))) == (Reason.MODERATED, Fate.LASTING)
    sympa.put(ANNA, "old")
    assert isinstance(asked(sympa, add=("club",)), Done)


def test_sympa_a_name_that_can_be_no_list_is_told(sympa: ImitatedSympa) -> None:
    assert trouble(asked(sympa, add=("club-owner",))) == (Reason.LIST_REFUSED, Fate.LASTING)


def test_sympa_two_names_that_read_alike_are_two_lists(sympa: ImitatedSympa) -> None:
    asked(sympa, add=("Kunden/neu",))
    asked(sympa, add=("Kunden neu",))
    names = [each.name for each in sorted(sympa.lists.iterdir())]
    assert len(names) == 2
    assert all(each.startswith("kunden-neu-") for each in names)


def test_sympa_a_list_that_segma_makes_is_shown_to_nobody(sympa: ImitatedSympa) -> None:
    asked(sympa, add=("lost-customers",))
    config = (sympa.lists / "lost-customers/config").read_text()
    assert "visibility conceal" in config
    assert "web_access private" in config
    dump = sympa.lists / "lost-customers/member.dump"
    assert stat.S_IMODE(dump.stat().st_mode) == 0o640


def test_sympa_a_call_is_for_many_people_whatever_the_lists(sympa: ImitatedSympa) -> None:
    people = [f"p{number}@example.org" for number in range(200)]
    for each in people:
        sympa.put(each, "old")
    changes = [Change(each, each, each, ("new",), ("old",)) for each in people]
    assert all(isinstance(each, Done) for each in sink_of(sympa).apply(changes))
    assert sympa.commands[1:] == ["dump --roles=member", "restore --roles=member", "del --quiet"]


@pytest.mark.parametrize(
    ("ran", "reason", "fate"),
    [(Ran(13), Reason.BAD_CREDENTIALS, Fate.FATAL), (Ran(255), Reason.WRONG_ANSWER, Fate.AWAY)],
)
def test_sympa_a_wrong_user_stops_the_account_and_a_crash_waits(
    sympa: ImitatedSympa, ran: Ran, reason: Reason, fate: Fate
) -> None:
    sympa.put(ANNA, "old")
    sympa.faults = [ran]
    assert trouble(asked(sympa, remove=("old",))) == (reason, fate)
    assert ANNA in sympa.inside("old")


def test_sympa_no_such_program_and_one_that_does_not_end_are_waited_for(tmp_path: Path) -> None:
    (tmp_path / "lists/old").mkdir(parents=True)
    (tmp_path / "lists/old/config").write_text("status open\n")
    ImitatedSympa(tmp_path / "other").close()
    options = SympaOptions(
        domain=DOMAIN, owner=OWNER, database=tmp_path / "other/sympa.sqlite", lists=tmp_path / "lists"
    )
    for run in (
        program(["/no/such/sympa"], 1),
        program([sys.executable, "-c", "import time; time.sleep(60)"], 0.05),
    ):
        (answer,) = ListSink(Sympa(run, options)).apply([Change("c", "s", ANNA, ("old",), met=True)])
        assert trouble(answer) == (Reason.UNREACHABLE, Fate.AWAY)


def test_sympa_a_database_that_cannot_be_read_is_waited_for(sympa: ImitatedSympa, tmp_path: Path) -> None:
    sympa.configure("old")
    for path in (tmp_path / "nowhere", tmp_path / "empty"):
        sink = sink_of(sympa, database=path)
        (answer,) = sink.apply([Change("c", "s", ANNA, ("old",))])
        assert trouble(answer) == (Reason.UNREACHABLE, Fate.AWAY)
        with pytest.raises(PlatformError):
            list(sink.members("old"))
        sqlite3.connect(tmp_path / "empty").close()


def test_sympa_a_check_tries_each_right_and_changes_nothing(sympa: ImitatedSympa, tmp_path: Path) -> None:
    sympa.put(ANNA, "old")

    def missing(**options: Any) -> set[str]:
        return {each.name for each in sink_of(sympa, **options).rights() if each.works is False}

    assert missing() == set()
    assert missing(database=tmp_path / "nowhere") == {"reading the database"}
    assert missing(lists=tmp_path / "nowhere") == {"writing the lists' folders"}
    sympa.faults = [Ran(13)]
    assert missing() == {"running sympa"}
    assert (set(sympa.inside("old")), len(list(sympa.lists.iterdir()))) == ({ANNA}, 1)


def test_sympa_members_are_all_of_them_those_too_whom_the_list_conceals(sympa: ImitatedSympa) -> None:
    sympa.put(ANNA, "old", visibility="conceal", gecos="Anna A")
    sympa.put(BEN, "old", suspend="1")
    sympa.leave(BEN, "old")
    sympa.put(BEN, "old", suspend="1")
    assert [(each.address, each.name) for each in sink_of(sympa).members("old")] == [(ANNA, "Anna A"), (BEN, "")]
