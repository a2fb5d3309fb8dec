"""Cases on which the machine and the brute force once differed, shrunk, with the contract's answer."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from contracts.events import Event
from tests.properties.case import by_machine
from tests.properties.generate import GAP_MS, parsed
from tests.properties.oracle import brute_force

Short = tuple[str, int, str] | tuple[str, int, str, dict[str, Any]]

CASES: dict[str, tuple[str, list[Short], int, list[tuple[dict[str, list[str]], int]]]] = {
    "an event that fits until opens no loop": (
        "sequence: [{action: page_viewed, times: {at_least: 1}, until: {action: page_viewed}}]",
        [("e1", 3_000, "page_viewed")],
        9_000,
        [],
    ),
    "a first not counts for its value of per alone": (
        "sequence: [{not: product_added, for: 4s}, {action: page_viewed}]\nper: k",
        [
            ("e1", 4_000, "product_added", {"k": 1}),
            ("e2", 7_000, "page_viewed", {"k": 1}),
            ("e3", 7_000, "page_viewed", {"k": 2}),
        ],
        19_000,
        [({"2": ["e3"]}, 7_000)],
    ),
    "null is no value of per": (
        "sequence: [{action: product_added}]\nper: k",
        [("e1", 0, "product_added", {"k": None})],
        7_000,
        [],
    ),
    "of machines that complete the same events, earlier steps come first": (
        "sequence:\n"
        "  - {step: s0, action: product_added, optional: true}\n"
        "  - any_of: [{action: product_added}, {action: button_clicked, where: {k: {same_as: s0.k}}}]\n"
        "    optional: true",
        [("e1", 500, "product_added", {"k": 2})],
        11_000,
        [({"s0": ["e1"]}, 500)],
    ),
    "an event may fill a trailing loop or the step behind it: the loop comes first": (
        "sequence:\n"
        "  - {action: page_viewed, times: {at_least: 1}}\n"
        "  - {action: page_viewed, optional: true}\n"
        "  - not: button_clicked\n"
        "within: 5s",
        [("e1", 13_000, "page_viewed"), ("e2", 13_000, "page_viewed")],
        24_000,
        [({"1": ["e1", "e2"]}, 18_000)],
    ),
    "all_of before a last not is no loop: each assignment waits from its own completion": (
        "sequence:\n"
        "  - action: product_bought\n"
        '  - all_of: [{action: "*"}, {action: page_viewed}]\n'
        "  - {not: product_bought, for: 1s}",
        [
            ("e0", 1_000, "product_bought"),
            ("e1", 1_000, "page_viewed"),
            ("e2", 1_000, "button_clicked"),
            ("e3", 1_000, "page_viewed"),
        ],
        9_000,
        [({"1": ["e0"], "2": ["e1", "e2"]}, 2_000)],
    ),
    "a run opened by the match's last event is dropped with the others": (
        "sequence:\n"
        "  - {all_of: [{action: product_bought}, {action: product_bought}], optional: true}\n"
        "  - {action: product_bought, times: {between: [1, 2]}, optional: true}\n"
        "  - {not: page_viewed, for: 3s}",
        [("e5", 6_000, "product_bought"), ("e7", 7_500, "product_bought")],
        18_000,
        [({"1": ["e5", "e7"]}, 10_500)],
    ),
    "a loop that saw the last not behind a skipped step no longer waits, the step does": (
        "sequence:\n"
        '  - {action: "*", times: {at_least: 1}}\n'
        "  - {action: product_bought, optional: true}\n"
        "  - not: product_bought\n"
        "within: 14s",
        [("e3", 3_500, "product_added"), ("e5", 5_500, "product_bought"), ("e7", 8_500, "page_viewed")],
        28_000,
        [({"1": ["e3"], "2": ["e5"]}, 17_500), ({"1": ["e7"]}, 22_500)],
    ),
    "matches of two events at one instant come in the events' order": (
        "sequence:\n"
        "  - {action: page_viewed, optional: true}\n"
        '  - {step: s1, action: "*"}\n'
        "  - all_of: [{action: product_added, where: {k: {same_as: s1.k}}}, {action: product_bought}]\n"
        "    optional: true",
        [("e7", 8_000, "page_viewed", {"k": 2}), ("e8", 8_000, "product_bought", {"k": True})],
        30_000,
        [({"s1": ["e7"]}, 8_000), ({"1": ["e7"], "s1": ["e8"]}, 8_000)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_counter_example_has_the_contracts_answer(name: str) -> None:
    text, shorts, end_ms, expected = CASES[name]
    listener = parsed({"listener": "generated", **yaml.safe_load(text)})
    events = [
        Event("w", "s", event_id, action, at_ms, order, rest[0] if rest else {})
        for order, (event_id, at_ms, action, *rest) in enumerate(shorts)
    ]
    by_contract = brute_force(listener, events, gap_ms=GAP_MS, end_ms=end_ms)
    assert by_machine(listener, events, end_ms) == by_contract
    assert [(steps, at_ms) for _, steps, _, at_ms in by_contract] == expected
