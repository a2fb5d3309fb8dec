"""The cap on one person's moves over all listeners: who finds a place, when it comes back, who takes it over."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from contracts.commands import Command
from contracts.errors import ConfigError
from contracts.installation import check_installation
from contracts.membership import COMMAND_UNCHANGED
from contracts.reasons import Reason
from contracts.rows import MatchRow
from flows.config import terms_of
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.generations import Deployed
from flows.subscriber.pinned_terms import Terms
from tests.flows.test_membership import ADD, JOINED, VIEWED, Anna, act, told
from tests.properties.generate import parsed
from tests.properties.past import installation, live

CAPPED = str(Reason.CAPPED)
HOUR_MS = 3_600_000
SEARCHED = f"{{listener: zearched, sequence: [{{action: searched}}], {ADD % 'cool'}}}"
TAGGED = "{listener: tagged, sequence: [{action: page_viewed}], then: [{tag: {add: warm, at: mail}}]}"
FIRST_ONE = f"{{listener: a-first, sequence: [{{action: page_viewed}}], {ADD % 'first'}}}"
BOTH = (
    "{listener: both, sequence: [{action: searched}, {not: form_submitted}, {action: page_viewed, next: true}], "
    + ADD % "hot"
    + "}"
)


class Capped(Anna):
    """Anna in a workspace with a cap."""

    def __init__(self, moves: int, *texts: str, within_ms: int = HOUR_MS) -> None:
        super().__init__(*texts)
        terms = Terms(600_000, 1_800_000, 24 * HOUR_MS, cap_moves=moves, cap_ms=within_ms)
        listeners = [self.engine.listener(version) for version in self.engine.at_work(0)]
        self.engine = WorkspaceEngine("w", [each for each in listeners if each is not None], terms=terms)
        self.person = self.engine.new("s_anna")

    @property
    def reasons(self) -> list[str]:
        return [row.reason for row in self.rows]


def test_past_the_cap_a_match_is_a_row_and_no_command() -> None:
    anna = Capped(2, VIEWED, SEARCHED)
    assert anna.does(act("e1", 1_000)) == ["+hot"]
    assert anna.does(act("e2", 2_000, "searched")) == ["+cool"], "over all listeners"
    assert anna.does(act("e3", 3_000)) == []
    assert anna.reasons == ["", "", CAPPED]
    assert anna.engine.bounds.without_command == {CAPPED: 1}


def test_a_place_is_free_again_once_exactly_so_much_log_time_has_passed() -> None:
    anna = Capped(1, VIEWED, within_ms=5_000)
    assert anna.does(act("e1", 1_000), 1_500) == ["+hot"]
    assert anna.does(act("e2", 2_000), 6_499) == []
    assert anna.does(act("e3", 6_500), 6_500) == ["+hot"]


def test_of_one_event_the_first_listener_by_name_finds_the_place_and_a_tag_needs_none() -> None:
    anna = Capped(1, VIEWED, FIRST_ONE, TAGGED)
    assert anna.does(act("e1", 1_000)) == ["+first", "warm"]
    assert sorted((row.listener, row.reason) for row in anna.rows) == [
        ("a-first", ""),
        ("tagged", ""),
        ("viewed", CAPPED),
    ]


def test_what_is_undone_gives_its_place_back() -> None:
    anna = Capped(1, BOTH, VIEWED)
    anna.does(act("e1", 1_000, "searched"))
    assert anna.does(act("e3", 3_000)) == ["+hot"], "of `both`; the other is capped"
    assert anna.does(act("e2", 2_000, "form_submitted")) == ["~+hot"]
    assert anna.does(act("e4", 4_000)) == ["+hot"]


def test_a_capped_match_is_not_made_good_and_nothing_of_it_is_undone() -> None:
    anna = Capped(1, SEARCHED, BOTH)
    assert anna.does(act("e1", 1_000, "searched")) == ["+cool"]
    assert anna.does(act("e3", 3_000)) == []
    assert anna.does(act("e2", 2_000, "form_submitted")) == []
    assert [(row.kind, row.reason) for row in anna.rows] == [("match", ""), ("match", CAPPED), ("retraction", "")]


@pytest.mark.parametrize("moves", [1, 2])
def test_an_amendment_takes_over_the_place_or_the_mark(moves: int) -> None:
    after = VIEWED.replace("[{action: page_viewed}]", "[{action: searched}, {action: page_viewed}]")
    anna = Capped(moves, SEARCHED, after)
    anna.does(act("e1", 1_000, "searched"))
    anna.does(act("e3", 3_000))
    assert anna.does(act("e2", 2_000)) == []
    mark = CAPPED if moves == 1 else ""
    assert [(row.kind, row.reason) for row in anna.rows][-1] == ("amendment", mark)
    assert anna.does(act("e4", 4_000, "searched")) == [], "it has taken one place and no second one"


def test_a_command_that_changed_nothing_gives_the_place_back() -> None:
    anna = Capped(1, VIEWED)
    anna.does(act("e1", 1_000))
    match = anna.commands[0].match_id
    unchanged = told("u1", 2_000, COMMAND_UNCHANGED)
    unchanged.properties.update({"match": match, "position": 1})
    anna.does(unchanged)
    assert anna.does(act("e2", 3_000)) == [], "it was another command of the match"
    unchanged.properties["position"] = 0
    anna.does(unchanged)
    assert anna.does(act("e3", 4_000)) == ["+hot"]


def test_a_capped_match_makes_no_event_and_so_no_next_match() -> None:
    anna = Capped(1, SEARCHED, VIEWED, JOINED)
    assert anna.does(act("e1", 1_000, "searched")) == ["+cool"]
    assert anna.does(act("e2", 2_000)) == []
    assert [row.listener for row in anna.rows] == ["zearched", "viewed"], "nobody joined `hot`"


def test_the_move_that_a_move_causes_takes_a_place_of_its_own() -> None:
    anna = Capped(1, VIEWED, JOINED)
    assert anna.does(act("e1", 1_000)) == ["+hot"]
    assert [(row.listener, row.reason) for row in anna.rows] == [("viewed", ""), ("joined", CAPPED)]


def test_over_random_installations_nobody_is_moved_more_often_and_nobody_is_capped_while_a_place_is_free(
    tmp_path: Path,
) -> None:
    over = 0
    busy = parsed({"listener": "busy", "sequence": [{"action": "*"}], "then": [{"add": {"to": "x", "at": "mail"}}]})
    for number in range(30):
        made = installation(Random(7_000 + number))
        terms = made.terms._replace(cap_moves=1 + number % 2, cap_ms=6_000)
        deployed = [*made.deployed, Deployed(busy)]
        made = made._replace(terms=terms, deployed=deployed)
        written = [row for _, row in live(made, tmp_path / str(number))]
        for who in ("s_one", "s_two"):
            own = [row for row in written if isinstance(row, MatchRow | Command) and row.subscriber == who]
            over += audited(own, terms.cap_moves, terms.cap_ms)
    assert over > 20


def audited(written: list[MatchRow | Command], moves: int, within_ms: int) -> int:
    """Count the places again from what was written alone; how many matches were capped."""
    changing = {row.match_id for row in written if isinstance(row, Command) and row.verb in {"move", "add", "remove"}}
    undone = {row.match_id for row in written if isinstance(row, Command) and row.undoes}
    rows = [row for row in written if isinstance(row, MatchRow)]
    places: dict[str, int] = {}
    for place, row in enumerate(rows):
        places = {name: at_ms for name, at_ms in places.items() if row.log_time_ms - at_ms < within_ms}
        if row.kind == "retraction" and row.match_id in undone:
            places.pop(row.match_id, None)
        elif row.kind == "amendment" and row.replaces in places:
            places[row.match_id] = places.pop(row.replaces)
        elif row.kind == "match" and not row.reason and row.match_id in changing:
            places[row.match_id] = row.log_time_ms
        is_last = place + 1 == len(rows) or rows[place + 1].log_time_ms != row.log_time_ms
        assert not is_last or len(places) <= moves
        assert not is_last or row.kind != "match" or row.reason != CAPPED or len(places) == moves
    return sum(row.reason == CAPPED for row in rows)


def test_a_workspace_names_its_cap() -> None:
    raw = {
        "token_keys": {"file": "k"},
        "workspaces": {"w": {"secret": {"file": "s"}, "cap": {"moves": 2, "in": "7d"}}},
    }
    assert terms_of(check_installation(raw, where="x").workspaces["w"])[5:] == (2, 7 * 24 * HOUR_MS)
    raw["workspaces"]["w"]["cap"] = {"moves": 0, "in": "never"}  # type: ignore[index]
    with pytest.raises(ConfigError) as refused:
        check_installation(raw, where="x")
    assert {each.field for each in refused.value.problems} == {"workspaces.w.cap.moves", "workspaces.w.cap.in"}
