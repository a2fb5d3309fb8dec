"""Lint: each rule finds what it is for, with its exact words, and is silent beside it."""

from __future__ import annotations

import pytest

from contracts.actions import VOCABULARY
from flows.language.lint import Rule, lint
from flows.language.model import Listener
from flows.language.parse import parse_listeners

THEN = "then: [{add: {to: a, at: b}}]\n"


def listener(sequence: str, *, name: str = "x", more: str = "", then: str = THEN) -> Listener:
    text = f"listener: {name}\nsequence:\n{sequence}\n{more}\n{then}"
    return parse_listeners([("x.yaml", text.encode())], known_actions=VOCABULARY)[0]


def told(*listeners: Listener) -> list[str]:
    return [str(finding) for finding in lint(listeners)]


VIEW = "  - {step: a, action: page_viewed}\n"
CONTRADICTIONS = {
    "{a: {equals: 1, not_equals: 1}}": 'the a is 1 and the a is not 1 (or is missing)',
    "{a: {equals: x, one_of: [y, z]}}": 'the a is "x" and the a is "y" or "z"',
    "{a: {at_least: 5, at_most: 4}}": "the a is at least 5 and the a is at most 4",
    "{a: {more_than: 5, less_than: 5}}": "the a is more than 5 and the a is less than 5",
    "{a: {at_least: 5, less_than: 5}}": "the a is at least 5 and the a is less than 5",
    "{a: {between: [1, 2], more_than: 2}}": "the a is more than 2 and the a is from 1 to 2",
    "{a: {equals: 3, at_least: 4}}": "the a is 3 and the a is at least 4",
    "{a: {equals: shoes, starts_with: hat}}": 'the a is "shoes" and the a begins with "hat"',
    "{a: {one_of: [shoes, hats], matches: '^x'}}": 'the a is "shoes" or "hats" and the a fits the pattern "^x"',
    "{a: {at_least: 1, contains: b}}": 'the a is at least 1 and the a has "b" in it',
    "{a: {exists: false, equals: 1}}": "the a is 1 and the a is not given",
    "{a: {exists: false, at_least: 1}}": "the a is at least 1 and the a is not given",
    "{a: {equals: b, exists: false}}": 'the a is "b" and the a is not given',
    "{a: {one_of: [x], none_of: [x, y]}}": 'the a is "x" and the a is neither "x" nor "y" (or is missing)',
}  # fmt: skip


@pytest.mark.parametrize("where", CONTRADICTIONS)
def test_lines_that_no_event_fits(where: str) -> None:
    assert told(listener(f"  - {{action: page_viewed, where: {where}}}")) == [
        f"x: sequence[1].where: no event fits: {CONTRADICTIONS[where]}; leave one of them out (never_matches)"
    ]


@pytest.mark.parametrize(
    "where",
    [
        "{a: {at_least: 5, at_most: 5}}",
        "{a: {exists: false, not_equals: 1}}",
        "{a: {exists: true, none_of: [1]}}",
        "{'items[].a': {equals: 1, not_equals: 1}}",  # two elements may fit a line each
        "{a: {equals: 1}, b: {equals: 2}}",
        "{a: ['x*', y]}",
        "{a: {starts_with: x, ends_with: y, contains: z}}",
    ],
)
def test_lines_that_an_event_can_fit(where: str) -> None:
    assert told(listener(f"  - {{action: page_viewed, where: {where}}}")) == []


def test_a_contradiction_in_one_of_several_conditions_is_no_finding() -> None:
    bad, good = "{action: searched, where: {a: {equals: 1, not_equals: 1}}}", "{action: searched}"
    assert told(listener(f"  - any_of: [{bad}, {good}]")) == []
    assert len(told(listener(f"  - any_of: [{bad}, {bad}]"))) == 1
    assert len(told(listener(f"  - all_of: [{bad}, {good}]"))) == 1
    assert told(listener(VIEW + f"  - {bad[:-1]}, optional: true}}\n  - action: page_viewed")) == []


CASES = {
    "opens only": (
        "  - action: email_opened\n  - any_of: [email_opened, email_delivered]\n",
        "",
        "sequence: every step that must come is an open or a delivery of a mail; ask for a click or a page "
        "as well: many "
        "mail programs open mails for nobody (opens_only)",
    ),
    "sessions": (
        "  - {action: page_viewed, session: {duration: {at_least: 5m, less_than: 2m}}}\n",
        "",
        "sequence[1].where: no event fits: a visit of at least 5 minutes and of less than 2 minutes; leave "
        "one of them out "
        "(never_matches)",
    ),
    "an empty session": (
        "  - {action: page_viewed, session: {events: {less_than: 1}}}\n",
        "",
        "sequence[1].where: no event fits: a visit of less than 1 event; leave one of them out (never_matches)",
    ),
    "after and within": (
        VIEW + "  - {action: searched, after: 1h, within: 30m}\n",
        "",
        "sequence[2].after: at least 1 hour and less than 30 minutes after the event before; an `after` shorter than "
        "`within` (never_matches)",
    ),
    "afters and the window": (
        VIEW + "  - {action: searched, after: 1h}\n  - {action: page_viewed, times: 2, after: 30m}\n",
        "within: 2h",
        "within: the steps' `after` add up to 2 hours, and all must pass in less than 2 hours; a `within` longer than "
        "2 hours (never_matches)",
    ),
    "a not that forbids the step": (
        VIEW + "  - not: searched\n  - {action: searched, where: {query: shoes}}\n",
        "",
        "sequence[3]: every event that fits this step is one that the `not` before it forbids; narrow the "
        "`not`: it wins "
        "over the step (never_matches)",
    ),
    "an until that takes all": (
        '  - {action: page_viewed, times: 2, until: "*"}\n',
        "",
        "sequence[1].until: every event that fits this step also fits its `until`; another `until`: it wins "
        "over the step "
        "(never_matches)",
    ),
    "too few values": (
        "  - {action: page_viewed, where: {path: [/a, /b]}, times: 3, distinct_by: path}\n",
        "",
        "sequence[1].distinct_by: 3 different values of path, of which `where` allows 2; fewer times, or more values "
        "(never_matches)",
    ),
    "a last optional step": (
        VIEW + "  - {action: searched, optional: true}\n",
        "",
        "sequence[2]: a last step that may be skipped: the match is complete before it; leave it out, or "
        "make it needed "
        "(never_takes_part)",
    ),
    "a last loop": (
        VIEW + "  - {action: searched, times: {at_least: 2}}\n",
        "",
        "sequence[2].times: a last loop: the match is complete at 2, and further events take no part; `times: 2`, or a "
        "last `not` with `for` behind it (never_takes_part)",
    ),
    "a reference that may lead nowhere": (
        "  - action: searched\n  - {step: a, action: page_viewed, optional: true}\n"
        "  - {action: product_added, where: {sku: {same_as: a.sku}}}\n",
        "",
        'sequence[3].where.sku: "a" may be skipped, and then this fits nothing; refer to a step that must come '
        "(may_be_skipped)",
    ),
    "a text like a reference": (
        VIEW + "  - {action: searched, where: {query: a.title}}\n",
        "",
        'sequence[2].where.query: the text "a.title", which looks like a reference; {same_as: a.title}, if '
        "it is meant so "
        "(looks_like_reference)",
    ),
    "a number for a text": (
        "  - {action: product_added, where: {sku: [4711, a-1]}}\n",
        "",
        'sequence[1].where.sku: a number, where the sku of product_added is a text; "4711", in quotes (other_type)',
    ),
    "a text for a number": (
        '  - {action: video_played, where: {progress: "50"}}\n',
        "",
        "sequence[1].where.progress: a text, where the progress of video_played is a number; a number, without quotes "
        "(other_type)",
    ),
    "a text for a truth": (
        VIEW + '  - {not: {action: email_opened, where: {machine: "false"}}, for: 1m}\n',
        "",
        "sequence[2].where.machine: a text, where the machine of email_opened is true or false; true or false, without "
        "quotes (other_type)",
    ),
    "a window on the first step": (
        "  - {action: page_viewed, within: 10m}\n",
        "",
        "sequence[1].within: `within` on the first step, before which there is no event; put it on the next step "
        "(no_effect)",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_finding_has_its_words(name: str) -> None:
    sequence, more, expected = CASES[name]
    assert told(listener(sequence, more=more)) == ["x: " + expected]


QUIET = {
    "opens and a click": "  - action: email_opened\n  - action: email_clicked\n",
    "a skipped click is not enough, but a page is": "  - any_of: [email_opened, page_viewed]\n",
    "a narrower not": VIEW + "  - not: {action: searched, where: {query: hats}}\n  - action: searched\n",
    "a first not of the same": "  - {not: page_viewed, for: 1d}\n  - action: page_viewed\n",
    "a first not and page_clicked": "  - {not: button_clicked, for: ever}\n  - action: page_clicked\n",
    "a not of the narrower gesture": VIEW + "  - not: button_clicked\n  - action: page_clicked\n",
    "opens by machines pass a wide not": VIEW
    + '  - not: "*"\n  - {action: email_opened, where: {machine: true}}\n  - action: searched\n',
    "a not that spares a member of all_of": VIEW + "  - not: searched\n  - all_of: [searched, page_viewed]\n",
    "a last loop before a not": VIEW + "  - {action: searched, times: {at_least: 2}}\n  - {not: logged_out, for: 1m}\n",
    "all steps may be skipped": "  - {action: page_viewed, optional: true}\n  - {action: searched, optional: true}\n",
    "a loop of just so many": VIEW + "  - {action: searched, times: 2}\n",
    "afters that fit": VIEW + "  - {action: searched, after: 1h, within: 2h}\n",
    "a window between repetitions of the first step": "  - {action: page_viewed, times: 2, within: 10m}\n",
}


@pytest.mark.parametrize("name", QUIET)
def test_nothing_is_found(name: str) -> None:
    assert told(listener(QUIET[name])) == []


def test_a_name_made_with_a_step_that_may_be_skipped() -> None:
    then = 'then: [{add: {to: "v-{a.category}", at: b}}]\n'
    sequence = "  - {step: a, action: page_viewed, times: {between: [0, 2]}}\n  - action: searched\n"
    assert told(listener(sequence, then=then)) == [
        'x: then[1].add.to: "a" may be skipped, and then this has no name; refer to a step that must come '
        "(may_be_skipped)"
    ]


def test_nothing_done() -> None:
    assert told(listener(VIEW, then="")) == [
        "x: then: no response; say what a match does; without it, it is only written down (nothing_done)"
    ]


def pair(first: str, second: str, *, one: str = VIEW, other: str = VIEW) -> list[str]:
    return told(
        listener(one, name="first", then=f"then: [{first}]\n"),
        listener(other, name="second", then=f"then: [{second}]\n"),
    )


THERE, BACK = "{move: {from: x, to: y, at: a}}", "{move: {from: y, to: x, at: a}}"
UNDO = (
    "first: then[1]: `second` does the opposite, and one event can complete both; let one of them ask "
    "for more, so that "
    "they cannot happen at once (undo_each_other)"
)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (THERE, BACK),
        ("{add: {to: x, at: a}}", "{remove: {from: x, at: a}}"),
        ("{tag: {add: x, at: a}}", "{untag: {remove: x, at: a}}"),
    ],
)
def test_two_listeners_that_undo_each_other(first: str, second: str) -> None:
    assert pair(first, second) == [UNDO]
    assert [finding.split(":")[0] for finding in pair(second, first)] == ["first"]


def test_they_also_do_so_after_the_same_wait() -> None:
    waits = VIEW + "  - {not: searched, for: 1m}\n"
    assert pair(THERE, BACK, one=waits, other=waits) == [UNDO]


@pytest.mark.parametrize(
    ("first", "second", "other"),
    [
        (THERE, "{move: {from: y, to: x, at: b}}", VIEW),  # another account
        (THERE, "{move: {from: y, to: z, at: a}}", VIEW),  # on along a path
        (THERE, BACK, "  - action: searched\n"),  # another event
        (THERE, BACK, VIEW + "  - {not: searched, for: 1m}\n"),  # one by an event, one by a deadline
        ("{add: {to: 'v-{a.x}', at: a}}", "{remove: {from: 'v-{a.x}', at: a}}", VIEW),  # a name that is made
        ("{webhook: {url: 'https://a'}}", "{webhook: {url: 'https://a'}}", VIEW),
    ],
)
def test_two_listeners_that_do_not(first: str, second: str, other: str) -> None:
    assert pair(first, second, other=other) == []


def test_conditions_that_cannot_coincide_do_not_undo_each_other() -> None:
    one, other = (f"  - {{action: page_viewed, where: {{path: {path}}}}}\n" for path in ("/in", "/out"))
    assert pair(THERE, BACK, one=one, other=other) == []
    assert pair(THERE, BACK, one=one, other=one) == [UNDO]


def test_versions_of_one_listener_are_never_live_together() -> None:
    one = listener(VIEW, then=f"then: [{THERE}]\n")
    two = listener(VIEW, more="version: 2", then=f"then: [{BACK}]\n")
    assert told(one, two) == []


JOINS = "  - {action: list_joined, where: {list: %s, account: a}}\n"
CIRCLE = (
    "first: then: its move is the reason for the next one, back to its own: first → second → first; ask for more in "
    "one of them, such as an action of the person's own, or `repeat: once` (moves_in_circles)"
)


def test_two_listeners_that_move_people_round() -> None:
    assert pair(THERE, BACK, one=JOINS % "x", other=JOINS % "y")[0] == CIRCLE
    assert pair(THERE, BACK, one=JOINS % "x", other=JOINS % "z") == []
    assert pair(THERE, BACK.replace("at: a", "at: b"), one=JOINS % "x", other=JOINS % "y") == []


def test_every_rule_is_tested() -> None:
    text = " ".join(expected for _, _, expected in CASES.values()) + UNDO + CIRCLE + "(may_be_skipped) (nothing_done)"
    assert [rule for rule in Rule if f"({rule})" not in text] == []
