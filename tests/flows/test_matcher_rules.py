"""A named test for each rule of SEMANTICS 3 (matching), 5 (identity of a match) and 7 (stitched, clicks, machines)."""

from __future__ import annotations

import hashlib

import pytest
from tests.flows.streams import evidence, listener, matches, run, sequence, session_of, stream, told

from segma.contracts.errors import BadRecord
from segma.flows.language.model import Listener, Reference
from segma.flows.matcher import Machine

A, B, C, D = "action: a", "action: b", "action: c", "action: d"
LOOP_A = "action: a, times: {at_least: 1}"
LOOP_B = "action: b, times: {at_least: 1}"


# Time first.


def test_deadlines_fire_before_the_event_that_comes_at_their_time() -> None:
    listener = sequence(A, "not: b, for: 5s")
    assert matches(listener, "a@1 a@6 b@7") == ["1@6"]


def test_deadlines_fire_in_order_of_deadline_then_first_event() -> None:
    listener = sequence(A, "not: b, for: 5s")
    assert matches(listener, "a@1 a@2 a@2 a@3", until=99) == ["1@6", "2@7", "3@7", "4@8"]


def test_a_run_whose_first_event_is_within_or_more_ago_is_dropped() -> None:
    assert matches(sequence(A, B, C, more="within: 3s"), "a@1 b@2 c@4") == []


def test_a_run_that_waits_only_for_its_last_not_outlives_within() -> None:
    listener = sequence(A, B, "not: c, for: 10s", more="within: 3s")
    assert matches(listener, "a@1 b@2 d@6", until=12) == ["1,2@12"]


def test_a_pending_steps_within_drops_the_run_though_the_event_fits_nothing() -> None:
    assert matches(sequence(A, "action: b, within: 2s"), "a@1 x@3 b@3") == []
    assert matches(sequence(A, "action: b, within: 2s"), "a@1 b@2.999") == ["1,2@2.999"]


def test_within_counts_from_the_event_matched_before_a_skipped_step() -> None:
    listener = sequence(A, "action: b, optional: true", "action: c, within: 3s")
    assert matches(listener, "a@1 b@3 c@5") == ["1,2,3@5"]
    assert matches(listener, "a@1 c@4") == []


# Advance.


def test_the_first_fitting_event_is_always_taken() -> None:
    assert matches(sequence(A, B, C), "a@1 b@2 b@3 c@4") == ["1,2,4@4"]


def test_a_not_between_two_steps_kills() -> None:
    assert matches(sequence(A, "not: n", B), "a@1 n@2 b@3") == []
    assert matches(sequence(A, "not: n", B), "n@0 a@1 b@3 n@4") == ["2,3@3"]


def test_a_killed_run_leaves_later_runs_alive() -> None:
    assert matches(sequence(A, "not: n", B), "a@1 n@2 a@3 b@4") == ["3,4@4"]


def test_next_dies_of_an_event_that_the_listener_describes() -> None:
    listener = sequence(A, "action: b, next: true", C)
    assert matches(listener, "a@1 c@2 b@3 c@4") == []
    assert matches(listener, "a@1 x@2 b@3 c@4") == ["1,3,4@4"]


def test_next_and_described_leave_correlations_out() -> None:
    listener = sequence("step: v, action: a", "action: b, next: true, where: {p: {differs_from: v.p}}")
    # The second event has the right action: it is described, though it does not fit.
    assert matches(listener, 'a@1{"p":1} b@2{"p":1} b@3{"p":2}') == []


def test_an_event_with_another_property_is_not_described() -> None:
    listener = sequence(A, "action: b, where: {p: 1}, next: true")
    assert matches(listener, 'a@1 b@2{"p":2} b@3{"p":1}') == ["1,3@3"]


def test_a_not_describes_for_next_as_well() -> None:
    listener = sequence(A, "action: b, next: true", "not: n", C)
    assert matches(listener, "a@1 n@2 b@3 c@4") == []


def test_next_holds_for_every_event_that_the_step_takes() -> None:
    listener = sequence(A, "action: b, times: 2, next: true", C)
    assert matches(listener, "a@1 b@2 b@3 c@4") == ["1,2,3,4@4"]
    assert matches(listener, "a@1 b@2 c@3 b@4 c@5") == []


# Start and finish.


def test_a_run_opens_at_a_step_behind_optional_ones() -> None:
    listener = sequence("action: a, optional: true", B, C)
    assert matches(listener, "b@1 c@2") == ["1,2@2"]
    assert matches(listener, "a@1 b@2 c@3") == ["1,2,3@3"]


def test_a_run_never_uses_one_event_twice() -> None:
    assert matches(sequence("action: '*'", "action: '*'"), "a@1 b@2 c@3") == ["1,2@2"]


def test_the_oldest_first_event_wins() -> None:
    assert matches(sequence(A, B, more="within: 10s"), "a@1 a@2 b@3") == ["1,3@3"]


def test_with_the_same_first_event_the_most_events_win() -> None:
    assert matches(sequence(A, "action: b, optional: true", C), "a@1 b@2 c@3") == ["1,2,3@3"]


def test_every_run_that_started_at_or_before_the_matchs_last_event_is_dropped() -> None:
    assert matches(sequence(A, B), "a@1 a@2 b@3 b@4") == ["1,3@3"]


def test_an_event_is_in_at_most_one_match_of_a_listener() -> None:
    assert matches(sequence(A, A, more="within: 10s"), "a@1 a@2 a@3 a@4") == ["1,2@2", "3,4@4"]


def test_after_a_match_by_deadline_runs_that_started_after_its_last_event_live_on() -> None:
    listener = sequence(A, B, "not: c, for: 5s")
    assert matches(listener, "a@1 b@2 a@3 b@4", until=99) == ["1,2@7", "3,4@9"]
    assert matches(listener, "a@1 a@1.5 b@2 b@4", until=99) == ["1,3@7"]


# Loops and optionals.


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ("2", ["1,2,3,5@5"]),
        ("{exactly: 2}", ["1,2,3,5@5"]),
        ("{at_least: 2}", ["1,2,3,4,5@5"]),
        ("{between: [1, 2]}", ["1,2,3,5@5"]),
        ("{between: [0, 1]}", ["1,2,5@5"]),
        ("{at_least: 4}", []),
    ],
)
def test_times(times: str, expected: list[str]) -> None:
    assert matches(sequence(A, f"action: b, times: {times}", C), "a@1 b@2 b@3 b@4 c@5") == expected


def test_a_loop_that_may_be_empty_is_skipped() -> None:
    assert matches(sequence(A, "action: b, times: {at_least: 0}", C), "a@1 c@2") == ["1,2@2"]


def test_a_last_loop_finishes_at_its_minimum() -> None:
    assert matches(sequence(A, "action: b, times: {between: [2, 5]}"), "a@1 b@2 b@3 b@4") == ["1,2,3@3"]


def test_distinct_by_takes_each_value_once() -> None:
    listener = sequence("action: a, times: 3, distinct_by: p")
    assert matches(listener, 'a@1{"p":1} a@2{"p":1} a@3 a@4{"p":2} a@5{"p":3}') == ["1,4,5@5"]


def test_sum_takes_numbers_until_it_is_reached() -> None:
    listener = sequence("action: a, sum: {of: v, at_least: 100}")
    assert matches(listener, 'a@1{"v":60} a@2{"v":"50"} a@3 a@4{"v":40}') == ["1,4@4"]


def test_until_ends_the_wait_for_a_repetition() -> None:
    listener = sequence("action: a, times: {at_least: 1}, until: {action: n}", C)
    assert matches(listener, "a@1 a@2 n@3 c@4") == ["1,2,4@4"]
    assert matches(listener, "a@1 n@2 a@3 c@4") == ["1,4@4"]


def test_until_below_the_minimum_is_the_end_of_the_run() -> None:
    listener = sequence("action: a, times: {at_least: 2}, until: {action: n}", C)
    assert matches(listener, "a@1 n@2 a@3 c@4") == []


def test_until_wins_over_the_step() -> None:
    listener = sequence(B, "action: a, times: {at_least: 1}, until: {action: a, where: {stop: true}}", C)
    assert matches(listener, 'b@1 a@2 a@3{"stop":true} c@4') == ["1,2,4@4"]


def test_a_loop_before_a_last_not_restarts_the_wait() -> None:
    listener = sequence(LOOP_A, "not: n, for: 5s")
    assert matches(listener, "a@1 a@3 a@4", until=99) == ["1,2,3@9"]
    assert matches(listener, "a@1 a@3 n@7 a@8", until=99) == ["4@13"]


def test_an_optional_step_before_a_last_not_restarts_the_wait() -> None:
    listener = sequence(A, "action: b, optional: true", "not: n, for: 5s")
    assert matches(listener, "a@1 b@4", until=99) == ["1,2@9"]
    assert matches(listener, "a@1", until=99) == ["1@6"]


def test_a_loop_before_a_last_not_ends_where_its_wait_is_over() -> None:
    assert matches(sequence(LOOP_A, "not: n, for: 2s"), "a@1 a@2 a@9", until=99) == ["1,2@4", "3@11"]


def test_a_last_not_without_for_restarts_nothing_and_the_earliest_events_win() -> None:
    both = "all_of: [{action: b, where: {k: {not_equals: 1}}}, {action: b}], optional: true"
    assert matches(sequence(A, both, "not: n", more="within: 8s"), 'a@1 b@2 b@3{"k":1} b@6', until=99) == ["1,2,3@9"]
    assert matches(sequence(A, both, "not: n, for: 8s"), 'a@1 b@2 b@3{"k":1} b@6', until=99) == ["1,2,4@14"]
    # Of the forks of a run the one with the most events wins, unless only that one is killed.
    looped = sequence(A, "step: b, action: b, times: {at_least: 1}", "not: n", more="within: 8s")
    assert matches(looped, "a@1 b@2 b@3 b@6", until=99) == ["1,2,3,4@9"]
    killed = "not: {action: n, where: {k: {differs_from: b.k}}}"
    looped = sequence(A, "step: b, action: b, times: {at_least: 1}", killed, more="within: 8s")
    assert matches(looped, 'a@1 b@2{"k":1} b@3{"k":2} n@4{"k":1}', until=99) == ["1,2@9"]


def test_after_leaves_an_event_that_comes_too_soon() -> None:
    listener = sequence(A, "action: b, after: 3s")
    assert matches(listener, "a@1 b@2 b@4") == ["1,3@4"]
    assert matches(listener, "a@1 b@3.999") == []


def test_after_holds_between_repetitions() -> None:
    assert matches(sequence("action: a, times: 2, after: 3s"), "a@1 a@2 a@4") == ["1,3@4"]


# Guards.


def test_a_not_before_a_loop_guards_the_first_repetition_only() -> None:
    listener = sequence(A, "not: n", LOOP_B, C)
    assert matches(listener, "a@1 n@2 b@3 c@4") == []
    assert matches(listener, "a@1 b@2 n@3 b@4 c@5") == ["1,2,4,5@5"]


def test_a_not_after_a_loop_guards_its_repetitions() -> None:
    listener = sequence(A, LOOP_B, "not: n", C)
    assert matches(listener, "a@1 b@2 n@3 b@4 c@5") == []


def test_a_not_guards_through_a_skipped_optional_step() -> None:
    listener = sequence(A, "not: n", "action: b, optional: true", C)
    assert matches(listener, "a@1 n@2 c@3") == []
    assert matches(listener, "a@1 b@2 n@3 c@4") == ["1,2,4@4"]


def test_a_not_behind_an_optional_step_guards_from_the_event_before_it_if_that_is_skipped() -> None:
    listener = sequence(A, "action: b, optional: true", "not: n", C)
    assert matches(listener, "a@1 n@2 c@3") == []
    assert matches(listener, "a@1 n@2 b@3 c@4") == ["1,3,4@4"]
    assert matches(listener, "a@1 b@2 n@3 c@4") == []


def test_a_not_around_all_of_guards_until_the_first_member_and_from_its_completion() -> None:
    before = sequence(A, "not: n", "all_of: [{action: b}, {action: c}]", D)
    assert matches(before, "a@1 n@2 b@3 c@4 d@5") == []
    assert matches(before, "a@1 b@2 n@3 c@4 d@5") == ["1,2,4,5@5"]
    behind = sequence(A, "all_of: [{action: b}, {action: c}]", "not: n", D)
    assert matches(behind, "a@1 b@2 n@3 c@4 d@5") == ["1,2,4,5@5"]
    assert matches(behind, "a@1 b@2 c@3 n@4 d@5") == []


def test_several_last_nots_all_guard() -> None:
    listener = sequence(A, "not: m", "not: n, for: 5s")
    assert matches(listener, "a@1 m@2", until=99) == []
    assert matches(listener, "a@1 n@2", until=99) == []
    assert matches(listener, "a@1 x@2", until=99) == ["1@6"]


def test_a_not_may_be_correlated() -> None:
    listener = sequence("step: v, action: a", "not: {action: b, where: {p: {same_as: v.p}}}, for: 5s")
    assert matches(listener, 'a@1{"p":1} b@2{"p":2}', until=99) == ["1@6"]
    assert matches(listener, 'a@1{"p":1} b@2{"p":1}', until=99) == []


def test_a_first_not_blocks_for_its_time() -> None:
    listener = sequence("not: n, for: 5s", A, B)
    assert matches(listener, "n@1 a@5.999 b@7") == []
    assert matches(listener, "n@1 a@6 b@7") == ["2,3@7"]


def test_a_first_not_for_ever() -> None:
    listener = sequence("not: n, for: ever", A)
    assert matches(listener, "a@1 n@2 a@9999") == ["1@1"]


# all_of and any_of.


def test_all_of_takes_its_members_in_any_order() -> None:
    listener = sequence("step: both, all_of: [{action: a}, {action: b}]", C)
    assert matches(listener, "b@1 x@2 a@3 c@4") == ["1,3,4@4"]


def test_all_of_tries_every_assignment() -> None:
    listener = sequence("all_of: [{any_of: [{action: a}, {action: b}]}, {action: a}]")
    assert matches(listener, "a@1 b@2") == ["1,2@2"]


def test_the_within_of_all_of_is_for_the_complete_set() -> None:
    listener = sequence(A, "all_of: [{action: b}, {action: c}], within: 5s")
    assert matches(listener, "a@1 b@5 c@5.999") == ["1,2,3@5.999"]
    assert matches(listener, "a@1 b@5 c@6") == []


def test_any_of_takes_the_first_that_comes() -> None:
    assert matches(sequence(A, "any_of: [{action: b}, {action: c}]"), "a@1 c@2 b@3") == ["1,2@2"]


def test_where_beside_any_of_holds_for_each_member() -> None:
    listener = sequence("any_of: [{action: a}, {action: b}], where: {p: 1}")
    assert matches(listener, 'a@1{"p":2} b@2{"p":1}') == ["2@2"]


# Correlation.


def test_same_as_is_scope_with_a_step_before_it() -> None:
    listener = sequence(A, "step: v, action: b", "action: c, where: {p: {same_as: v.p}}")
    assert matches(listener, 'a@1 b@2{"p":1} b@3{"p":2} c@4{"p":2} c@5{"p":1}') == ["1,3,4@4", "1,2,5@5"]


def test_all_repetitions_of_a_step_that_is_referred_to_share_the_value() -> None:
    listener = sequence("step: v, action: a, times: 2", "action: b, where: {p: {same_as: v.p}}")
    assert matches(listener, 'a@1{"p":1} a@2{"p":2} a@3{"p":1} b@4{"p":1}') == ["1,3,4@4"]


def test_same_as_with_a_skipped_step_fits_nothing() -> None:
    listener = sequence(A, "step: v, action: b, optional: true", "action: c, where: {p: {same_as: v.p}}")
    assert matches(listener, 'a@1 c@2{"p":1}') == []
    assert matches(listener, 'a@1 b@2{"p":1} c@3{"p":1}') == ["1,2,3@3"]


def test_same_as_knows_no_coercion_but_one_and_one_point_nought_are_one_number() -> None:
    listener = sequence("step: v, action: a", "action: b, where: {p: {same_as: v.p}}")
    assert matches(listener, 'a@1{"p":1} b@2{"p":"1"} b@3{"p":true} b@4{"p":1.0}') == ["1,4@4"]


def test_a_missing_value_is_the_same_as_nothing() -> None:
    listener = sequence("step: v, action: a", "action: b, where: {p: {same_as: v.p}}")
    assert matches(listener, 'a@1 b@2 a@3{"p":null} b@4{"p":null}') == []


def test_any_other_correlation_is_a_condition_on_the_runs_own_events() -> None:
    listener = sequence("step: v, action: a", "action: b, where: {p: {more_than: v.p}}", more="within: 99s")
    assert matches(listener, 'a@1{"p":5} a@2{"p":1} b@3{"p":3} b@4{"p":6}') == ["2,3@3"]


def test_a_reference_to_a_step_with_several_events_means_its_last() -> None:
    listener = sequence("step: v, action: a, times: 2", "action: b, where: {p: {at_least: v.p}}")
    assert matches(listener, 'a@1{"p":9} a@2{"p":2} b@3{"p":3}') == ["1,2,3@3"]


def test_shares_with_asks_for_an_element_in_both_lists() -> None:
    listener = sequence("step: v, action: a", "action: b, where: {tags: {shares_with: v.tags}}")
    assert matches(listener, 'a@1{"tags":["x","y"]} b@2{"tags":["z"]} b@3{"tags":["y"]}') == ["1,3@3"]


def test_between_may_refer() -> None:
    listener = sequence("step: v, action: a", "action: b, where: {p: {between: [v.low, 9]}}")
    assert matches(listener, 'a@1{"low":5} b@2{"p":4} b@3{"p":9}') == ["1,3@3"]


# Scope, per, repeat.


def test_scope_session_asks_that_the_steps_share_a_session() -> None:
    listener = sequence(A, B, more="scope: session")
    assert matches(listener, "a@0 b@1800") == ["1,2@1800"]
    assert matches(listener, "a@0 b@1800.001") == []


def test_with_scope_session_a_last_not_looks_beyond_the_session() -> None:
    listener = sequence(A, "not: b, for: 2h", more="scope: session")
    assert matches(listener, "a@0 b@7000", until=9_000) == []
    assert matches(listener, "a@0 x@7000", until=9_000) == ["1@7200"]


def test_per_is_one_machine_for_each_value() -> None:
    listener = sequence(A, "not: n", B, more="per: p")
    text = 'a@1{"p":1} a@2{"p":2} n@3{"p":1} b@4{"p":1} b@5{"p":2}'
    assert matches(listener, text) == ["2,5@5"]
    assert matches(listener, 'a@1 b@2{"p":1}') == []


def test_once_is_done_after_the_first_match() -> None:
    assert matches(sequence(A, more="repeat: once"), "a@1 a@2") == ["1@1"]
    correlated = sequence("step: v, action: a", "action: b, where: {p: {same_as: v.p}}", more="repeat: once")
    assert matches(correlated, 'a@1{"p":1} a@2{"p":2} b@3{"p":1} b@4{"p":2}') == ["1,3@3"]


def test_a_cooldown_ignores_completions_and_is_half_open() -> None:
    assert matches(sequence(A, more="repeat: {cooldown: 5s}"), "a@1 a@5.999 a@6 a@8") == ["1@1", "3@6"]


def test_a_cooldown_blocks_no_starts_and_is_not_extended() -> None:
    listener = sequence(A, B, more="repeat: {cooldown: 5s}")
    assert matches(listener, "a@1 b@2 a@3 b@8") == ["1,2@2", "3,4@8"]


def test_an_ignored_completion_drops_the_runs_a_match_would_have_dropped() -> None:
    listener = sequence(A, B, more="repeat: {cooldown: 5s}")
    assert matches(listener, "a@1 b@2 a@3 b@4 b@8 a@9 b@10") == ["1,2@2", "6,7@10"]


def test_a_cooldown_counts_from_a_deadlines_instant() -> None:
    listener = sequence(A, "not: n, for: 5s", more="repeat: {cooldown: 4s}")
    assert matches(listener, "a@1 a@4 a@5", until=99) == ["1@6", "3@10"]


def test_simultaneous_matches_come_in_order_of_the_listeners_names() -> None:
    machine = Machine([listener("sequence: [{action: a}]", name) for name in ("c-c", "a-a", "b-b")])
    _, found = run(machine, stream("a@1"))
    assert [match.listener for match in found] == ["a-a", "b-b", "c-c"]


def test_simultaneous_deadlines_come_in_order_of_time_then_name() -> None:
    text = "sequence: [{action: a}, {not: b, for: %ds}]"
    machine = Machine([listener(text % 5, "z"), listener(text % 5, "y"), listener(text % 4, "zz")])
    _, found = run(machine, stream("a@1"), until=99)
    assert [(match.listener, match.matched_at_ms) for match in found] == [("zz", 5_000), ("y", 6_000), ("z", 6_000)]


def test_runs_past_the_bound_are_dropped_oldest_first_and_counted() -> None:
    machine = Machine([sequence(A, B, more="within: 99s")], max_runs=3)
    state, found = run(machine, stream("a@1 a@2 a@3 a@4 a@5 b@6"))
    assert [told(match) for match in found] == ["3,6@6"]
    assert machine.dropped(state) == 2


def test_one_run_is_enough_where_only_the_oldest_can_win() -> None:
    machine = Machine([sequence(A, B)], max_runs=3)
    state, _ = run(machine, stream(" ".join(f"a@{second}" for second in range(50))))
    assert machine.dropped(state) == 0


# Session conditions.


def test_a_sessions_events_are_counted_up_to_and_including_the_event() -> None:
    assert matches(sequence("action: a, session: {events: {at_least: 3}}"), "a@1 b@2 a@3 a@4") == ["3@3", "4@4"]


def test_a_sessions_duration_is_from_its_first_event() -> None:
    listener = sequence("action: a, session: {duration: {at_least: 3m}}")
    assert matches(listener, "b@0 a@179 a@180 a@9999 a@10000") == ["3@180"]


def test_a_gap_exactly_as_long_as_the_limit_is_still_inside_the_session() -> None:
    first, second, third = session_of(stream("a@0 a@10 a@20.001"), gap_ms=10_000)
    assert (second.session_id, second.events, second.duration_ms) == (first.session_id, 2, 10_000)
    assert (third.session_id != first.session_id, third.events, third.started_at_ms) == (True, 1, 20_001)


# Identity of a match (SEMANTICS 5).


def test_the_match_id_is_the_hash_of_the_json_array() -> None:
    document = listener("version: 3\nsequence: [{action: a}, {action: b}]", "wörter".replace("ö", "oe"))
    _, (match,) = run(Machine([document]), stream("a@1 b@2"))
    text = '["woerter",3,"s",["1","2"]]'
    assert match.match_id == hashlib.sha256(text.encode()).hexdigest()[:32]


def test_evidence_calls_steps_by_name_or_number_with_nots_counted_and_leaves_skipped_ones_out() -> None:
    listener = sequence("step: first, action: a", "not: n", B, "step: maybe, action: c, optional: true", D)
    assert evidence(listener, "a@1 b@2 d@3") == [{"first": "1", "3": "2", "5": "3"}]


def test_where_the_same_events_could_fill_steps_in_two_ways_earlier_steps_come_first() -> None:
    listener = sequence("step: x, action: a, times: {between: [1, 2]}", "step: y, action: a, optional: true", B)
    assert evidence(listener, "a@1 a@2 b@3") == [{"x": "1,2", "3": "3"}]


def test_a_match_holds_what_templates_refer_to() -> None:
    document = listener(
        'sequence:\n  - {step: looked, action: a, times: 2}\nthen:\n  - add: {to: "viewed-{looked.category}", at: mail}'
    )
    _, (match,) = run(Machine([document]), stream('a@1{"category":"boots"} a@2{"category":"Shoes"}'))
    assert match.values == {Reference(1, "category"): "Shoes"}
    assert (match.completed_by, match.events) == ("2", ("1", "2"))


def test_a_match_by_deadline_was_completed_by_no_event() -> None:
    _, (match,) = run(Machine([sequence(A, "not: b, for: 1s")]), stream("a@1"), until=9)
    assert (match.completed_by, match.matched_at_ms) == ("", 2_000)


# Clicks, machines, stitched history, trust (SEMANTICS 7).


def test_stitched_events_open_and_advance_and_never_complete() -> None:
    assert matches(sequence(A, B), "a@1!stitched b@2!stitched b@3") == ["1,3@3"]
    assert matches(sequence(A), "a@1!stitched a@2") == ["2@2"]
    assert matches(sequence(A, B, C), "a@1!stitched b@2!stitched c@3") == ["1,2,3@3"]


def test_a_stitched_event_kills_as_any_other() -> None:
    assert matches(sequence(A, "not: n", B), "a@1 n@2!stitched b@3") == []


def test_a_provisional_click_fits_no_step_and_opens_nothing() -> None:
    listener = sequence("action: email_clicked", B)
    assert matches(listener, "email_clicked@1!provisional b@2") == []
    assert matches(listener, "email_clicked@1!machine b@2") == []
    assert matches(listener, "email_clicked@1 b@2") == ["1,2@2"]


def test_time_passes_with_a_provisional_click_and_the_session_counts_it() -> None:
    assert matches(sequence(A, "not: b, for: 5s"), "a@1 email_clicked@6!provisional b@7") == ["1@6"]


def test_an_open_by_a_machine_fits_only_a_step_that_names_machine() -> None:
    opened = 'email_opened@1{"machine":true}'
    assert matches(sequence("action: email_opened"), opened) == []
    assert matches(sequence("action: '*'"), opened) == []
    assert matches(sequence("action: email_opened, where: {machine: true}"), opened) == ["1@1"]
    assert matches(sequence("action: email_opened"), 'email_opened@1{"machine":false}') == ["1@1"]


def test_trust_asks_for_at_least_that() -> None:
    text = "a@1!browser a@2 a@3!server"
    assert matches(sequence("action: a, trust: token"), text) == ["2@2", "3@3"]
    assert matches(sequence(A, more="trust: server"), text) == ["3@3"]
    assert matches(sequence(A), text) == ["1@1", "2@2", "3@3"]


def test_page_clicked_fits_the_more_specific_gestures() -> None:
    assert matches(sequence("action: page_clicked"), "button_clicked@1 page_clicked@2") == ["1@1", "2@2"]
    assert matches(sequence("action: button_clicked"), "page_clicked@1 button_clicked@2") == ["2@2"]


# States as values.


def test_states_of_equal_histories_are_equal_bytes_whatever_the_order_of_listeners() -> None:
    listeners = [sequence(A, B, more="within: 9s"), listener("sequence: [{action: b}, {action: a}]", "other")]
    machine, reverse = Machine(listeners), Machine(listeners[::-1])
    (left, _), (right, _) = run(machine, stream("a@1 b@2 b@3 a@4")), run(reverse, stream("a@1 b@2 b@3 a@4"))
    assert machine.encode(left) == reverse.encode(right)


def test_an_idle_subscribers_state_is_as_if_nothing_had_happened() -> None:
    machine = Machine([sequence(A, B)])
    state, found = run(machine, stream("a@1 b@2 x@3"))
    assert (len(found), state) == (1, machine.start("s"))


def test_a_new_version_starts_with_no_runs_but_repeat_counts_on() -> None:
    def version(number: int) -> Listener:
        return sequence(A, B, more=f"version: {number}\nrepeat: once")

    old, new = Machine([version(1)]), Machine([version(2)])
    state, found = run(old, stream("a@1"))
    assert new.decode(old.encode(state)) == new.start("s")
    state, found = run(old, stream("a@1 b@2"))
    assert len(found) == 1
    carried = new.decode(old.encode(state))
    assert carried.standings[0].last_ms == 2_000


def test_a_newer_schema_is_refused() -> None:
    machine = Machine([sequence(A, B)])
    data = machine.encode(machine.start("s"))
    newer = data.replace(b"\xa6schema\x01", b"\xa6schema\x02")
    assert newer != data
    with pytest.raises(BadRecord, match="newer_schema"):
        machine.decode(newer)
