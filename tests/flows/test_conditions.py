"""Every operator of ``where`` (SEMANTICS 1), as the compiled condition judges an event."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.flows.streams import matches, sequence

LONG = "x" * 100_000


def fits(line: str, properties: dict[str, Any]) -> bool:
    """Whether an event with these properties fits a step with this line."""
    return matches(sequence(f"action: a, where: {{{line}}}"), f"a@1{json.dumps(properties)}") == ["1@1"]


CASES: list[tuple[str, dict[str, Any], bool]] = [
    # Plain values and equals: no coercion, case counts.
    ("p: x", {"p": "x"}, True),
    ("p: x", {"p": "X"}, False),
    ("p: x", {}, False),
    ("p: 50", {"p": 50}, True),
    ("p: 50", {"p": 50.0}, True),
    ("p: 50", {"p": "50"}, False),
    ("p: '50'", {"p": 50}, False),
    ("p: true", {"p": True}, True),
    ("p: true", {"p": 1}, False),
    ("p: 1", {"p": True}, False),
    ("p: {equals: 'x*'}", {"p": "x*"}, True),
    ("p: {equals: 'x*'}", {"p": "xy"}, False),
    # A list, one_of; globs in the short form only.
    ("p: [1, x]", {"p": "x"}, True),
    ("p: [1, x]", {"p": "1"}, False),
    ("p: [true]", {"p": 1}, False),
    ("p: {one_of: ['x*']}", {"p": "xy"}, False),
    ("p: ['x*', 2]", {"p": "xy"}, True),
    ("p: ['x*', 2]", {"p": 2}, True),
    ("p: '/shoes/*'", {"p": "/shoes/a/b"}, True),
    ("p: '/shoes/*'", {"p": "/shoes/"}, True),
    ("p: '/shoes/*'", {"p": "/hats/shoes/"}, False),
    ("p: 'a*a'", {"p": "a"}, False),
    ("p: 'a*b*c'", {"p": "a-b-b-c"}, True),
    ("p: 'a*b*c'", {"p": "acb"}, False),
    ("p: '*'", {"p": ""}, True),
    ("p: '*'", {"p": 5}, False),
    ("p: 'a.c*'", {"p": "abc"}, False),
    # Not: a missing value fits too.
    ("p: {not_equals: 1}", {"p": 2}, True),
    ("p: {not_equals: 1}", {"p": 1}, False),
    ("p: {not_equals: 1}", {"p": "1"}, True),
    ("p: {not_equals: 1}", {}, True),
    ("p: {none_of: [1, 2]}", {"p": 3}, True),
    ("p: {none_of: [1, 2]}", {"p": 2}, False),
    ("p: {none_of: [1, 2]}", {}, True),
    ("p: {not_equals: 1, exists: true}", {}, False),
    # Numbers.
    ("p: {at_least: 5}", {"p": 5}, True),
    ("p: {at_least: 5}", {"p": 4.9}, False),
    ("p: {more_than: 5}", {"p": 5}, False),
    ("p: {at_most: 5}", {"p": 5}, True),
    ("p: {less_than: 5}", {"p": 5}, False),
    ("p: {at_least: 0}", {"p": True}, False),
    ("p: {at_least: 0}", {"p": "7"}, False),
    ("p: {at_least: 0}", {"p": None}, False),
    ("p: {between: [1, 3]}", {"p": 1}, True),
    ("p: {between: [1, 3]}", {"p": 3.0}, True),
    ("p: {between: [1, 3]}", {"p": 3.1}, False),
    # Text.
    ("p: {starts_with: ab}", {"p": "abc"}, True),
    ("p: {starts_with: ab}", {"p": "cab"}, False),
    ("p: {starts_with: '1'}", {"p": 12}, False),
    ("p: {ends_with: bc}", {"p": "abc"}, True),
    ("p: {contains: b}", {"p": "abc"}, True),
    ("p: {contains: b}", {"p": ["a", "b"]}, True),
    ("p: {contains: b}", {"p": ["abc"]}, False),
    ("p: {contains: 1}", {"p": [True]}, False),
    ("p: {contains: 1}", {"p": "1"}, False),
    ("p: {matches: 'b.'}", {"p": "abc"}, True),
    ("p: {matches: '^b'}", {"p": "abc"}, False),
    ("p: {matches: '1'}", {"p": 1}, False),
    # A pattern that a backtracking engine would never finish.
    ("p: {matches: '^(x+)+$'}", {"p": LONG + "y"}, False),
    # Presence.
    ("p: {exists: true}", {"p": 0}, True),
    ("p: {exists: true}", {"p": None}, False),
    ("p: {exists: false}", {}, True),
    ("p: {exists: false}", {"p": None}, True),
    # Paths.
    ("o.p: 1", {"o": {"p": 1}}, True),
    ("o.p: 1", {"o": 1}, False),
    ("o.p: 1", {"o.p": 1}, True),
    ("o.p: 1", {"o.p": 2, "o": {"p": 1}}, False),
    ("'items[].sku': s1", {"items": [{"sku": "s0"}, {"sku": "s1"}]}, True),
    ("'items[].sku': s1", {"items": []}, False),
    ("'items[].sku': s1", {"items": {"sku": "s1"}}, False),
    ("'items[].price': {more_than: 9}", {"items": [{"price": 3}, {"price": 10}]}, True),
    # All lines must hold.
    ("p: 1, q: 2", {"p": 1, "q": 2}, True),
    ("p: 1, q: 2", {"p": 1}, False),
    ("p: {at_least: 1, less_than: 3}", {"p": 3}, False),
]


@pytest.mark.parametrize(("line", "properties", "expected"), CASES)
def test_operator(line: str, properties: dict[str, Any], expected: bool) -> None:
    assert fits(line, properties) is expected
