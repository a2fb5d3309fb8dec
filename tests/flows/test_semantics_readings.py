"""The readings of docs/semantics.md 10, one test each, in its order."""

from __future__ import annotations

import pytest

from contracts.actions import known_actions
from contracts.codec import replaced
from contracts.events import Trust
from contracts.membership import COMMAND_UNCHANGED, MEMBERSHIP
from flows.backtest.subject import Subject
from flows.derived.membership import is_made
from flows.derived.profile import with_profiles
from flows.language.parse import parse_listeners
from flows.machine.machine import Machine
from flows.subscriber.generations import Deployed
from flows.subscriber.pinned_terms import Terms
from tests.flows.streams import matches, run, sequence, stream
from tests.flows.test_cap import Capped
from tests.flows.test_membership import ADD, JOINED, VIEWED, Anna, act, chain, engine_of, told, unchanged


def test_1_a_stitched_event_that_would_complete_is_not_taken() -> None:
    assert matches(sequence("action: a", "action: b"), "a@1 b@2!stitched b@3") == ["1,3@3"]
    # With a last `not` it is the deadline that completes, so a stitched event is taken.
    assert matches(sequence("action: a", "not: n, for: 5s"), "a@1!stitched", until=9) == ["1@6"]


def test_2_null_is_not_there_for_same_as_and_per() -> None:
    listener = sequence("step: v, action: a", "action: b, where: {p: {same_as: v.p}}")
    assert matches(listener, 'a@1{"p":null} b@2{"p":null}') == []
    assert matches(sequence("action: a", "action: b", more="per: p"), 'a@1{"p":null} b@2{"p":null}') == []


def test_3_a_listeners_trust_holds_for_steps_and_not_for_nots() -> None:
    listener = sequence("action: a", "not: n", "action: b", more="trust: server")
    assert matches(listener, "a@1!server n@2!browser b@3!server") == []
    assert matches(listener, "a@1!server b@3!browser") == []


def test_4_a_step_that_is_referred_to_takes_no_event_without_the_property() -> None:
    listener = sequence("step: v, action: a", "action: b, optional: true, where: {p: {same_as: v.p}}", "action: c")
    assert matches(listener, "a@1 c@2") == []
    assert matches(listener, 'a@1{"p":1} c@2') == ["1,2@2"]


def test_5_until_ends_the_wait_for_the_first_repetition_too() -> None:
    listener = sequence("action: b", "action: a, times: {at_least: 1}, until: {action: n}", "action: c")
    assert matches(listener, "b@1 n@2 a@3 c@4") == []
    empty = sequence("action: b", "action: a, times: {at_least: 0}, until: {action: n}", "action: c")
    assert matches(empty, "b@1 n@2 a@3 c@4") == ["1,4@4"]


def test_6_a_not_behind_a_loop_and_skipped_steps_guards_from_the_loops_first_event() -> None:
    listener = sequence(
        "action: a, times: {at_least: 1}", "action: b, optional: true", "not: n", "action: c", more="within: 1h"
    )
    assert matches(listener, "a@1 n@2 a@3 c@4") == ["3,4@4"]
    assert matches(listener, "a@1 n@2 a@3 b@4 c@5") == ["1,3,4,5@5"]


def test_7_a_provisional_click_and_a_machines_extend_the_session_and_let_time_pass() -> None:
    listener = sequence("action: a, session: {events: {at_least: 3}}")
    assert matches(listener, "a@1 email_clicked@2!provisional a@3") == ["3@3"]
    assert matches(sequence("action: a", "not: n, for: 5s"), "a@1 email_clicked@6!machine") == ["1@6"]


def test_8_a_window_is_judged_when_the_next_event_comes_so_states_hold_runs_that_are_over_until_then() -> None:
    machine = Machine([sequence("action: a", "action: b", more="within: 5s")])
    state, found = run(machine, stream("a@1"), until=99)
    assert (found, machine.next_deadline(state)) == ([], None)
    assert state != machine.start("s")
    over, found = run(machine, stream("a@1 b@6"))
    assert (found, over) == ([], machine.start("s"))


def test_9_one_and_one_point_nought_are_one_number() -> None:
    assert matches(sequence("action: a, where: {p: 1}"), 'a@1{"p":1.0} a@2{"p":true} a@3{"p":"1"}') == ["1@1"]


def test_10_described_counts_every_member_of_the_listener_and_no_correlation() -> None:
    listener = sequence("action: a", "action: b, next: true", "all_of: [{action: c}, {action: d}]")
    assert matches(listener, "a@1 d@2 b@3 c@4 d@5") == []


def test_11_forks_that_share_the_events_that_completed_them_wait_as_one() -> None:
    twice = sequence("action: a, optional: true", "action: a, optional: true", "not: n, for: 5s")
    assert matches(twice, "a@1 a@2", until=99) == ["1,2@7"]
    parted = sequence("action: a, times: {at_least: 1}", "action: a, times: 2", "not: n, for: 5s")
    assert matches(parted, "a@1 a@2 a@3 a@4", until=99) == ["1,2,3@8"]


def test_12_of_a_profile_only_what_is_vouched_for_is_believed_and_it_fits_no_step() -> None:
    listener = sequence('action: "*", profile: {country: DE}')
    said, *others = stream('profile_changed@1{"country":"DE"} a@2 profile_changed@3{"country":"DE"} a@4')
    events = [replaced(said, trust=Trust.BROWSER), *others, *stream("profile_changed@5!server a@6")]
    machine, found = Machine([listener]), list[int]()
    state = machine.start("s")
    for event, session in with_profiles(events, gap_ms=1_000):
        state, made = machine.apply(state, event, session)
        found += [match.matched_at_ms for match in made]
    assert found == [4_000]


def test_13_whoever_makes_two_hundred_events_of_a_person_at_once_goes_in_circles() -> None:
    both = ", ".join(f"{{add: {{to: l{n}, at: mail}}}}, {{remove: {{from: l{n}, at: mail}}}}" for n in range(10))
    anna = Anna(f"{{listener: wild, sequence: [{{action: list_joined}}], then: [{both}]}}")
    emitted = anna.engine.apply(anna.person, told("m1", 1_000), 1_000)
    made = [entry.event for entry in anna.person.timeline.entries if is_made(entry.order)]
    assert 200 <= len(made) < 220
    places = [(each.properties["depth"], each.properties["position"], each.action != "list_joined") for each in made]
    assert places == sorted(places)
    assert emitted.refused


def test_14_of_whom_nothing_is_known_is_in_no_list_and_a_browser_alone_tells_nothing() -> None:
    text = "{listener: l, sequence: [{action: page_viewed, not_in_list: {list: '*', at: mail}}], %s}"
    anna = Anna(text % (ADD % "x"))
    anna.does(replaced(told("m1", 1_000), trust=Trust.BROWSER))
    assert anna.does(act("e1", 2_000)) == ["+x"]
    anna.does(told("m2", 3_000, name="other"))
    assert anna.does(act("e2", 4_000)) == []


def test_15_a_joining_while_no_session_is_open_shares_none() -> None:
    text = "{listener: l, scope: session, sequence: [{action: list_joined}, {action: page_viewed}], %s}"
    anna = Anna(text % (ADD % "x"))
    anna.does(told("m1", 1_000))
    assert anna.does(act("e1", 2_000)) == []
    anna.does(told("m2", 3_000, name="other"))
    assert anna.does(act("e2", 4_000)) == ["+x"]


def test_16_what_an_outcome_takes_back_is_applied_again_without_it() -> None:
    anna = Anna(VIEWED, JOINED)
    anna.does(act("e1", 1_000))
    assert unchanged(anna, anna.commands[0], 2_000) == ["~+warm"]


def test_17_a_back_test_hears_who_joined_and_left() -> None:
    text = b"{listener: l, sequence: [{action: page_viewed, in_list: {list: hot, at: mail}}]}"
    (asks,) = parse_listeners([("l", text)], known_actions=known_actions())
    heard = Subject("w", [Deployed(asks)], Terms(600_000, 1_800_000, 86_400_000, 0)).heard
    assert heard is not None
    assert heard >= MEMBERSHIP | {COMMAND_UNCHANGED}


def test_18_moves_of_before_are_known_and_fit_no_step() -> None:
    anna = Anna(VIEWED)
    anna.does(act("e1", 1_000))
    asks = f"{{listener: l, sequence: [{{action: searched, in_list: {{list: hot, at: mail}}}}], {ADD % 'x'}}}"
    anna.engine = engine_of(VIEWED, JOINED, asks)
    assert anna.does(act("e2", 2_000, "searched")) == ["+x"]


def test_19_what_a_capped_match_would_have_made_is_not_there_for_the_events_behind_it() -> None:
    cools = f"{{listener: cools, sequence: [{{action: searched}}], {ADD % 'cool'}}}"
    stays = f"{{listener: stays, sequence: [{{action: page_viewed}}, {{not: list_joined, for: 10s}}], {ADD % 'cold'}}}"
    anna = Capped(1, cools, VIEWED, stays, within_ms=5_000)
    assert anna.does(act("e1", 1_000, "searched")) == ["+cool"]
    assert anna.does(act("e2", 2_000)) == [], "capped: nobody joins `hot`, and nothing prevents"
    assert anna.waits(60_000) == ["+cold"]


def test_20_over_a_change_of_versions_a_shadows_match_counts_for_nothing_and_an_ended_versions_does() -> None:
    step = "{action: page_viewed, session: {events: {at_least: 1}}}"
    texts = [f"{{listener: l, version: {n}, repeat: once, sequence: [{step}], {ADD % 'x'}}}" for n in (1, 2)]
    first, second = (engine_of(each).listeners_at(0)[0] for each in texts)
    changes = [Deployed(first, 0, 5_000)], [Deployed(first, 0, 0, 5_000), Deployed(second, 5_000, 5_000)]
    for deployed, before, now in ((changes[0], [], ["+x"]), (changes[1], ["+x"], [])):
        anna = Anna(VIEWED)
        anna.engine.deploy(deployed)
        anna.person = anna.engine.new("s_anna", 0)
        assert anna.does(act("e1", 2_000)) == before
        assert anna.does(act("late", 1_500, "searched"), 6_000) == []
        assert anna.does(act("e2", 7_000)) == now


def test_21_an_event_behind_it_tells_the_end_of_a_session_and_what_is_not_known_is_no_property() -> None:
    where = "{exit_path: {exists: false}}"
    anna = Anna(f"{{listener: l, sequence: [{{action: session_ended, where: {where}}}], {ADD % 'x'}}}")
    anna.does(act("e1", 0, "searched"))
    assert anna.does(act("e2", 1_800_000, "searched")) == [], "still of it"
    assert anna.does(act("e3", 3_600_001, "searched")) == ["+x"]


def test_22_a_shadows_match_that_falls_after_its_promotion_undoes_what_a_back_fill_gave_and_nothing_else() -> None:
    steps = "[{action: page_viewed}, {not: searched}, {action: form_submitted}]"
    text = f"{{listener: l, sequence: {steps}, {ADD % 'x'}}}"
    (shadow,) = engine_of(text).listeners_at(0)
    for backfilled, fallen in ((False, []), (True, ["~+x"])):
        anna = Anna(VIEWED)
        anna.engine.deploy([Deployed(shadow, 0, 5_000, None, backfilled)])
        anna.person = anna.engine.new("s_anna", 0)
        anna.does(act("e1", 1_000))
        assert anna.does(act("e2", 3_000, "form_submitted")) == []
        assert anna.does(act("late", 2_000, "searched"), 6_000) == fallen
        assert anna.rows[-1].kind == "retraction"
        if not backfilled:
            assert not anna.person.timeline.memberships


@pytest.mark.parametrize("asked", [False, True])
def test_22_what_stands_for_a_shadows_match_makes_nobody_join_either(asked: bool) -> None:
    steps = "[{action: page_viewed}, {action: searched}, {action: form_submitted}]"
    anna = Anna(f"{{listener: asked, sequence: {steps}, {ADD % 'hot'}}}", *([JOINED] if asked else []))
    shadow, *others = anna.engine.listeners_at(0)
    anna.engine.deploy([Deployed(shadow, 0, 5_000), *(Deployed(each) for each in others)])
    anna.person = anna.engine.new("s_anna", 0)
    for event in (act("e1", 1_000), act("e2", 2_000, "searched"), act("e3", 3_000, "form_submitted")):
        anna.does(event)
    assert anna.does(act("late", 1_500, "searched"), 6_000) == []
    assert [row.kind for row in anna.rows] == ["match", "amendment"]
    assert not anna.person.timeline.memberships


def test_24_a_late_joining_that_makes_a_loop_none_makes_its_command_and_its_joining() -> None:
    anna = Anna(*chain(9))
    assert anna.does(act("e1", 1_000)) == [f"+l{number}" for number in range(8)]
    assert [row.reason for row in anna.rows if row.listener == "n8"] == ["loop"]
    anna.does(told("m1", 500, name="l1"), 2_000)
    assert [command.to_list for command in anna.commands if not command.undoes][8:] == ["l8"]
    assert [(row.kind, row.reason) for row in anna.rows if row.listener == "n8"][1:] == [
        ("retraction", ""),
        ("match", ""),
    ]
    assert anna.does(told("m2", 3_000, name="l8", by="platform")) == []
    assert [fact.is_in for fact in anna.person.timeline.memberships if fact.name == "l8"] == [True, True]


def test_24_a_late_event_that_makes_a_loop_of_a_match_takes_its_command_and_its_joining_back() -> None:
    anna = Anna(*chain(9))
    assert anna.does(told("m1", 2_000, name="l1"))[-1] == "+l8"
    assert "~+l8" in anna.does(act("e1", 1_000), 3_000)
    assert [(row.kind, row.reason) for row in anna.rows if row.listener == "n8"][1:] == [
        ("retraction", ""),
        ("match", "loop"),
    ]
    assert not [fact for fact in anna.person.timeline.memberships if fact.name == "l8"]
