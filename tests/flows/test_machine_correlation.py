"""A named test for each rule of SEMANTICS 3 on correlation, scope, ``per``, ``repeat`` and conditions on sessions."""

from __future__ import annotations

from flows.machine.machine import Machine
from tests.flows.streams import listener, matches, run, sequence, session_of, stream, told

A, B = "action: a", "action: b"


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
