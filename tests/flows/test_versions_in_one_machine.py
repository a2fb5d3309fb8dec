"""Versions side by side in one machine: what each hears, what each inherits (SEMANTICS 6 and 8)."""

from __future__ import annotations

from contracts.actions import VOCABULARY
from contracts.events import Event
from flows.derived.sessions import extended
from flows.language.model import Listener
from flows.language.parse import parse_listeners
from flows.machine.machine import Machine, MachineState


def listener(version: int, *, repeat: str = "every", action: str = "page_viewed") -> Listener:
    text = (
        f"listener: l\nversion: {version}\nrepeat: {repeat}\n"
        f"sequence: [{{action: email_clicked}}, {{action: {action}}}]\nthen: [{{add: {{to: x, at: a}}}}]\n"
    )
    (found,) = parse_listeners([("l.yaml", text.encode())], known_actions=VOCABULARY)
    return found


def event(number: int, action: str, log_time_ms: int = 0) -> Event:
    return Event("w", "s", f"e{number}", action, number * 1_000, log_time_ms=log_time_ms)


def feed(machine: Machine, state: MachineState, *events: Event) -> tuple[MachineState, list[tuple[int, str]]]:
    found = []
    for each in events:
        state, matches = machine.apply(state, each, extended(None, each, gap_ms=1))
        found += [(match.version, match.completed_by) for match in matches]
    return state, found


def test_two_versions_run_beside_each_other() -> None:
    machine = Machine([listener(2, action="product_added"), listener(1)])
    events = [event(1, "email_clicked"), event(2, "product_added"), event(3, "page_viewed")]
    assert feed(machine, machine.start("s"), *events)[1] == [(2, "e2"), (1, "e3")]


def test_a_version_hears_events_from_its_place_in_the_log_on_whatever_their_time() -> None:
    machine = Machine([listener(1), listener(2)], live_from={("l", 2): 500})
    early, late = event(1, "email_clicked", log_time_ms=499), event(2, "page_viewed", log_time_ms=500)
    assert feed(machine, machine.start("s"), early, late)[1] == [(1, "e2")]
    told_late = event(1, "email_clicked", log_time_ms=500)
    assert feed(machine, machine.start("s"), told_late, late)[1] == [(1, "e2"), (2, "e2")]


def test_a_new_version_starts_without_runs_and_a_version_that_is_gone_drops_its_own() -> None:
    first, second = Machine([listener(1)]), Machine([listener(2)])
    state, _ = feed(first, first.start("s"), event(1, "email_clicked"))
    assert feed(second, second.decode(first.encode(state)), event(2, "page_viewed"))[1] == []


def test_once_counts_across_versions_but_not_what_a_shadow_matched() -> None:
    old, both, new = (
        Machine([listener(1, repeat="once", action="product_added")]),
        Machine([listener(1, repeat="once", action="product_added"), listener(2, repeat="once")]),
        Machine([listener(2, repeat="once")]),
    )
    pair = [event(3, "email_clicked"), event(4, "page_viewed")]
    matched, _ = feed(old, old.start("s"), event(1, "email_clicked"), event(2, "product_added"))
    assert feed(both, both.decode(old.encode(matched)), *pair)[1] == [(2, "e4")], "a shadow counts for itself"
    assert feed(new, new.decode(old.encode(matched)), *pair)[1] == []
    shadowed, found = feed(both, both.start("s"), *pair)
    assert found == [(2, "e4")]
    again = [event(5, "email_clicked"), event(6, "page_viewed")]
    assert feed(new, new.decode(both.encode(shadowed)), *again)[1] == []
    assert feed(new, new.decode(both.encode(shadowed), promoted=[("l", 2)]), *again)[1] == [(2, "e6")]
    done, _ = feed(both, both.start("s"), event(1, "email_clicked"), event(2, "product_added"))
    assert feed(new, new.decode(both.encode(done), promoted=[("l", 2)]), *again)[1] == []
