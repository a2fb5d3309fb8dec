"""A named test for each rule of SEMANTICS 3 on how runs start, advance and end."""

from __future__ import annotations

import pytest

from tests.flows.streams import matches, sequence

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
