"""What a match is (SEMANTICS 5), what clicks and history may not do (SEMANTICS 7), and states as values."""

from __future__ import annotations

import hashlib

import pytest

from contracts.errors import BadRecord
from flows.language.model import Listener, Reference
from flows.machine.machine import Machine
from tests.flows.streams import evidence, listener, matches, run, sequence, stream

A, B, C, D = "action: a", "action: b", "action: c", "action: d"


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
    assert carried.by_listener[0].last_ms == 2_000


def test_a_newer_schema_is_refused() -> None:
    machine = Machine([sequence(A, B)])
    data = machine.encode(machine.start("s"))
    newer = data.replace(b"\xa6schema\x01", b"\xa6schema\x02")
    assert newer != data
    with pytest.raises(BadRecord, match="newer_schema"):
        machine.decode(newer)
