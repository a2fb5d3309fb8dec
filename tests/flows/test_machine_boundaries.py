"""Every boundary and tie of research/sequences.md (B1 to B12), traps T1, T4, T7, T8, and D1 to D6, C1 to C7."""

from __future__ import annotations

from contracts.reasons import Reason
from flows.machine.machine import Machine
from flows.subscriber.pinned_terms import Terms
from flows.subscriber.reapply import Reapplier
from tests.flows.streams import GAP_MS, evidence, matches, sequence, stream, told

A, B, C = "action: a", "action: b", "action: c"


def test_b1_the_window_is_half_open() -> None:
    listener = sequence(A, B, more="within: 10s")
    assert matches(listener, "a@1 b@11") == []
    assert matches(listener, "a@1 b@10.999") == ["1,2@10.999"]


def test_b2_equal_times_match_in_the_order_of_the_stream() -> None:
    listener = sequence(A, B, more="within: 1s")
    assert matches(listener, "a@1 b@1") == ["1,2@1"]
    assert matches(listener, "b@1 a@1") == []
    assert matches(listener, "a@1 b@2") == []


def test_b3_an_event_exactly_at_the_deadline_comes_too_late_to_prevent_it() -> None:
    listener = sequence(A, "not: b", more="within: 5s")
    assert matches(listener, "a@1 b@6") == ["1@6"]
    assert matches(listener, "a@1 b@5.999", until=100) == []


def test_b4_a_deadline_fires_when_time_reaches_it() -> None:
    listener = sequence(A, "not: b", more="within: 5s")
    assert matches(listener, "a@1", until=5) == []
    assert matches(listener, "a@1", until=6) == ["1@6"]


def test_b5_an_event_that_advances_a_run_also_starts_one() -> None:
    assert matches(sequence(A, A), "a@1 a@2 a@3 a@4 a@5") == ["1,2@2", "3,4@4"]
    # With a window the run started by the second event is the one that matches.
    assert matches(sequence(A, A, more="within: 3s"), "a@1 a@4 a@5") == ["2,3@5"]


def test_b6_the_completing_event_cannot_start_the_next_match() -> None:
    one, two = "any_of: [{action: a}, {action: ab}]", "any_of: [{action: b}, {action: ab}]"
    assert matches(sequence(one, two), "a@1 ab@2 b@3") == ["1,2@2"]


def test_b7_an_event_exactly_as_old_as_the_lateness_counts_and_an_older_one_is_late() -> None:
    # Flink drops what equals its watermark; here only what is older than the lateness is late.
    reapplier = Reapplier(Machine([sequence(A, B)]), Terms(2_000, GAP_MS, 86_400_000))
    timeline = reapplier.new("s")
    newest, exactly, older = stream("b@12 a@10 a@9.999")
    assert reapplier.put(timeline, newest, log_time_ms=12_000).reason is None
    assert [told(match) for match in reapplier.put(timeline, exactly, log_time_ms=12_000).matches] == ["2,1@12"]
    assert reapplier.put(timeline, older, log_time_ms=12_000).reason is Reason.LATE


def test_b8_the_oldest_start_wins_with_the_longest_loop() -> None:
    listener = sequence("action: a, times: {at_least: 1}", B)
    assert matches(listener, "a@1 a@2 b@3 a@4 b@5") == ["1,2,3@3", "4,5@5"]


def test_b9_a_last_loop_finishes_at_its_minimum() -> None:
    assert matches(sequence(B, "action: a, times: {at_least: 1}"), "b@1 a@2 a@3 a@4") == ["1,2@2"]


def test_b10_a_loop_alone_gives_matches_that_do_not_overlap() -> None:
    assert matches(sequence("action: a, times: {at_least: 2}"), "a@1 a@2 a@3 a@4 a@5") == ["1,2@2", "3,4@4"]


def test_b11_a_last_optional_step_never_takes_part() -> None:
    assert matches(sequence(A, "action: m, optional: true"), "a@1 m@2 a@3 m@4") == ["1@1", "3@3"]


def test_b12_a_last_not_without_for_counts_from_the_first_event() -> None:
    assert matches(sequence(A, B, "not: c", more="within: 5s"), "a@1 b@4 c@7") == ["1,2@6"]


def test_t1_one_running_match_is_wrong_as_soon_as_there_is_a_window() -> None:
    assert matches(sequence(A, B, more="within: 10s"), "a@1 a@5 b@12") == ["2,3@12"]
    assert matches(sequence(A, "action: b, within: 5s"), "a@1 a@4 b@7") == ["2,3@7"]


def test_t4_a_match_by_deadline_drops_as_any_other_and_later_starts_live_on() -> None:
    # The second run started after the first match's last event.
    assert matches(sequence(A, "not: b, for: 5s"), "a@1 a@3", until=20) == ["1@6", "2@8"]
    # Here it started before it.
    assert matches(sequence(A, C, "not: b, for: 5s"), "a@1 a@2 c@3 c@4", until=20) == ["1,3@8"]


def test_t7_a_steps_within_holds_between_repetitions() -> None:
    listener = sequence("action: a, times: 3, within: 5s")
    assert matches(listener, "a@1 a@4 a@20") == []
    assert matches(listener, "a@1 a@4 a@8.999") == ["1,2,3@8.999"]


def test_t7_in_a_longer_loop_too() -> None:
    assert matches(sequence("action: a, times: 4, within: 5s"), "a@1 a@4 a@7 a@30") == []
    assert matches(sequence("action: a, times: 4, within: 5s"), "a@1 a@4 a@30 a@31") == []


def test_t8_a_within_holds_only_for_the_step_it_is_written_on() -> None:
    assert matches(sequence(A, "action: b, within: 2s", C), "a@1 b@2 c@99") == ["1,2,3@99"]


def test_d1_correlated_steps_are_not_held_back() -> None:
    listener = sequence("step: v, action: a", "action: b, where: {p: {same_as: v.p}}")
    views = 'a@1{"p":1} a@2{"p":2} b@3{"p":2}'
    assert matches(listener, views) == ["2,3@3"]
    assert matches(listener, views + ' b@4{"p":1}') == ["2,3@3", "1,4@4"]


def test_d2_of_the_same_start_and_end_the_longest_wins_and_then_the_earliest() -> None:
    listener = sequence("step: a, action: a, times: {at_least: 1}", "action: b, optional: true", C)
    assert matches(listener, "a@1 a@2 b@3 b@4 c@5") == ["1,2,3,5@5"]
    # One start and one end, with the loop or without it: the run with more events, not the shorter (1,4).
    strict = sequence("action: c", "action: a, times: {at_least: 1}, next: true, optional: true", B)
    assert matches(strict, "c@1 a@2 a@3 b@4") == ["1,2,3,4@4"]
    # Of equally many the earliest events: the n at 2 and not the m at 3.
    either = sequence(A, "action: m, optional: true", "action: n, optional: true", C)
    assert matches(either, "a@1 n@2 m@3 c@4") == ["1,2,4@4"]


def test_d3_a_not_wins_over_a_step_that_the_event_also_fits() -> None:
    listener = sequence(A, "not: {any_of: [{action: c}, {action: n}]}", C)
    assert matches(listener, "a@1 c@2") == []
    assert matches(listener, "a@1 n@2 c@3") == []


def test_d4_a_last_nots_for_counts_from_the_last_event() -> None:
    listener = sequence(A, B, "not: c, for: 5s")
    assert matches(listener, "a@1 b@4 c@7", until=50) == []
    assert matches(listener, "a@1 b@4", until=50) == ["1,2@9"]


def test_d5_a_gap_between_repetitions_ends_the_run() -> None:
    assert matches(sequence(A, "action: b, times: 2, within: 5s"), "a@1 b@2 b@7") == []


def test_d6_a_not_after_a_loop_guards_from_the_loops_first_event() -> None:
    listener = sequence(A, "action: b, times: 2", "not: c", "action: d")
    assert matches(listener, "a@1 b@2 c@3 b@4 d@5") == []
    assert matches(listener, "a@1 c@2 b@3 b@4 d@5") == ["1,3,4,5@5"]
    assert matches(listener, "a@1 b@2 b@3 c@4 d@5") == []


def test_c1_the_edge_of_a_window_is_outside() -> None:
    assert matches(sequence(A, B, more="within: 10s"), "a@1 b@11") == []


def test_c2_the_first_fitting_event_is_taken_without_backtracking() -> None:
    listener = sequence(A, "action: b, within: 6001ms", "action: c, within: 6001ms")
    assert matches(listener, "a@0 b@4 b@6 c@11") == []


def test_c3_a_window_over_everything_is_first_to_last() -> None:
    assert matches(sequence(A, B, C, more="within: 10s"), "a@1 b@5 c@11") == []
    assert matches(sequence(A, B, C, more="within: 10s"), "a@1 b@5 c@10") == ["1,2,3@10"]


def test_c4_equal_times_keep_the_order_of_the_stream() -> None:
    assert matches(sequence(A, B), "b@5 a@5") == []


def test_c5_one_event_never_fills_two_steps() -> None:
    assert matches(sequence(A, A, A), "a@1") == []
    assert matches(sequence(A, A, A), "a@1 a@2 a@3") == ["1,2,3@3"]


def test_c6_a_not_does_not_change_which_events_are_the_match() -> None:
    assert matches(sequence(A, "not: c", B), "a@1 a@2 b@3") == ["1,3@3"]


def test_c7_absence_is_completed_by_time_alone() -> None:
    assert evidence(sequence("step: first, action: a", "not: b, for: 1s"), "a@1", until=2) == [{"first": "1"}]


def test_the_short_form_of_streams_reads_as_meant() -> None:
    first, second = stream('a@1{"k": {"p": 1}} b@2.5!stitched')
    assert (first.event_id, first.occurred_at_ms, first.properties) == ("1", 1_000, {"k": {"p": 1}})
    assert (second.action, second.occurred_at_ms, second.stitched) == ("b", 2_500, True)
