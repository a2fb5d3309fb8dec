"""Hold-out, variants, and each person's share of the lists that a listener may name (SEMANTICS 8 and 9)."""

from __future__ import annotations

from fractions import Fraction

import pytest

from contracts.actions import VOCABULARY
from contracts.reasons import Reason
from contracts.rows import MatchRow
from flows.language.describe import describe
from flows.language.model import Listener
from flows.language.parse import parse_listeners
from flows.language.shares import is_held_out, place_of, variant_of
from flows.subscriber.decide import command_id
from flows.subscriber.engine import Emitted
from tests.flows.test_decide_and_engine import Story, engine_of, event

TENTH = Fraction(1, 10)
HALVES = {"a": Fraction(1, 2), "b": Fraction(1, 2)}
LISTENER = """
listener: basket-abandoned
sequence: [{action: page_viewed}, {action: product_added}]
"""


def listener(text: str) -> Listener:
    return parse_listeners([("l.yaml", (LISTENER + text).encode())], known_actions=VOCABULARY)[0]


@pytest.mark.parametrize(
    ("name", "subscriber", "first", "held_out", "second", "variant"),
    [
        ("basket-abandoned", "s1", "3c2c64836a11848a", False, "abc178be55b5f1ba", "b"),
        ("basket-abandoned", "s5", "05364802c73effc7", True, "14d795258128cba2", "a"),
        ("gone-quiet", "Zoë", "ca17b64932bea727", False, "2043befde746b7aa", "a"),
    ],
)
def test_the_worked_examples(name: str, subscriber: str, first: str, held_out: bool, second: str, variant: str) -> None:
    assert f"{place_of('demo', name, subscriber):016x}" == first
    assert is_held_out(TENTH, "demo", name, subscriber) is held_out
    assert f"{place_of('demo', name, subscriber, 'variant'):016x}" == second
    assert variant_of(HALVES, "demo", name, subscriber) == variant


def test_the_shares_are_right_within_chance() -> None:
    """Five standard deviations of a binomial: one wrong bit of the arithmetic is far outside."""
    people = 100_000
    held_out = sum(is_held_out(TENTH, "w", "l", f"s{number}") for number in range(people))
    assert abs(held_out - people / 10) < 5 * (people * 0.1 * 0.9) ** 0.5
    thirds = {name: Fraction(1, 3) for name in ("x", "y", "z")}
    found = [variant_of(thirds, "w", "l", f"s{number}") for number in range(people)]
    for name in thirds:
        assert abs(found.count(name) - people / 3) < 5 * (people * 2 / 9) ** 0.5


def test_every_place_has_a_variant_and_the_lower_end_belongs_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for place, expected in ((0, "a"), (2**63 - 1, "a"), (2**63, "b"), (2**64 - 1, "b")):
        monkeypatch.setattr("flows.language.shares.place_of", lambda *_, place=place: place)
        assert variant_of(HALVES, "w", "l", "s") == expected
        assert is_held_out(Fraction(1, 2), "w", "l", "s") is (expected == "a")


def test_a_share_is_an_exact_decimal() -> None:
    found = listener("variants: {a: 33.3%, b: 33.3%, c: 33.4%}\nholdout: 0.1%\n")
    assert found.holdout == Fraction(1, 1_000)
    assert sum(part for _, part in found.variants) == 1


MOVED = "then: [{add: {to: x, at: mailbox}}]\n"


def kinds(emitted: Emitted) -> list[tuple[str, str]]:
    return [(row.kind, row.reason) for row in emitted.rows if isinstance(row, MatchRow)]


def people(held_out: bool) -> str:
    """A subscriber of workspace ``w`` who is held out of the listener at a tenth, or not."""
    names = (f"s_{number}" for number in range(1_000))
    return next(each for each in names if is_held_out(TENTH, "w", "basket-abandoned", each) is held_out)


def test_who_is_held_out_has_a_row_and_no_command_and_nothing_to_undo() -> None:
    strict = LISTENER.replace("{action: product_added}", "{action: product_added, next: true}, {action: searched}")
    for held_out in (True, False):
        who = people(held_out)
        story = Story(engine_of(strict.replace("sequence", "holdout: 10%\nsequence") + MOVED), who)
        story.apply(event("e1", "page_viewed", 1_000, who))
        story.apply(event("e3", "product_added", 3_000, who))
        done = story.apply(event("e4", "searched", 4_000, who))
        late = story.apply(event("e2", "page_viewed", 2_000, who))
        mark = str(Reason.HELD_OUT) if held_out else ""
        assert kinds(done) == [("match", mark)]
        assert len(done.commands) == (0 if held_out else 1)
        assert {reason for _, reason in kinds(late)} <= {mark, ""}
        assert held_out is False or not late.commands


def test_a_retraction_of_a_held_out_match_undoes_nothing() -> None:
    guarded = LISTENER.replace("{action: product_added}", "{not: searched}, {action: product_added}")
    guarded = guarded.replace("sequence", "holdout: 10%\nsequence")
    for held_out in (True, False):
        who = people(held_out)
        story = Story(engine_of(guarded + MOVED), who)
        story.apply(event("e1", "page_viewed", 1_000, who))
        story.apply(event("e3", "product_added", 3_000, who))
        taken_back = story.apply(event("e2", "searched", 2_000, who))
        assert ("retraction", "") in kinds(taken_back)
        assert len(taken_back.commands) == (0 if held_out else 1)


def test_held_out_counts_for_repeat_and_is_the_same_in_every_version() -> None:
    who = people(held_out=True)
    once = LISTENER.replace("sequence", "repeat: once\nholdout: 10%\nsequence")
    story = Story(engine_of(once + MOVED), who)
    for number in range(4):
        story.apply(event(f"e{number}", ("page_viewed", "product_added")[number % 2], number * 1_000, who))
    assert story.apply(event("e5", "searched", 9_000, who)).commands == []
    newer = Story(engine_of(once.replace("sequence", "version: 2\nsequence") + MOVED), who)
    newer.apply(event("e1", "page_viewed", 1_000, who))
    assert kinds(newer.apply(event("e2", "product_added", 2_000, who))) == [("match", "held_out")]


def test_a_variant_names_the_list_and_has_lines_of_its_own_whose_position_counts_all() -> None:
    text = LISTENER.replace("sequence", "variants: {a: 50%, b: 50%}\nsequence") + (
        "then:\n"
        '  - add: {to: "left-{variant}", at: mailbox}\n'
        "  - tag: {add: only-a, at: mailbox}\n    only: a\n"
        "  - tag: {add: only-b, at: mailbox}\n    only: b\n"
    )
    for wanted, position in (("a", 1), ("b", 2)):
        names = (f"s_{number}" for number in range(100))
        who = next(each for each in names if variant_of(HALVES, "w", "basket-abandoned", each) == wanted)
        story = Story(engine_of(text), who)
        story.apply(event("e1", "page_viewed", 1_000, who))
        first, second = story.apply(event("e2", "product_added", 2_000, who)).commands
        assert (first.to_list, first.max_lists, first.position) == (f"left-{wanted}", 0, 0)
        assert (second.tag, second.position) == (f"only-{wanted}", position)
        assert second.command_id == command_id(second.match_id, position)


def test_it_says_who_is_held_out_and_who_gets_what() -> None:
    found = listener("holdout: 12.5%\nvariants: {a: 50%, b: 50%}\nthen: [{add: {to: 'x-{variant}', at: m}, only: a}]\n")
    said = describe(found)
    assert "To 12.5% of all people it only happens on paper: they are held out." in said
    assert 'Of all people 50% to variant "a" and 50% to variant "b" belong.' in said
    assert 'for the people of variant "a" alone' in said
    assert "different lists are made" not in said


VIEWED = """
listener: viewed
max_lists: 20
sequence: [{step: looked, action: page_viewed}]
then: [{add: {to: "viewed-{looked.category}", at: mailbox}}]
"""


def test_one_persons_made_up_categories_use_up_their_own_share_alone() -> None:
    flow = engine_of(VIEWED)
    story, named, refused = Story(flow, "s_one"), set[str](), 0
    for number in range(40):
        emitted = story.apply(
            event(f"e{number}", "page_viewed", number * 1_000, "s_one", category=f"made-up-{number % 30}")
        )
        story.person = flow.decode(flow.encode(story.person))
        named |= {each.to_list for each in emitted.commands}
        refused += [reason for reason, _, _ in emitted.refused].count(Reason.TOO_MANY_LISTS)
    assert named == {f"viewed-made-up-{number}" for number in range(4)}
    assert refused == 40 - 8
    other = Story(flow, "s_two")
    assert [
        each.to_list for each in other.apply(event("e", "page_viewed", 1_000, "s_two", category="shoes")).commands
    ] == ["viewed-shoes"]


def test_what_was_refused_is_not_undone() -> None:
    guarded = VIEWED.replace("max_lists: 20", "max_lists: 5").replace(
        "{step: looked, action: page_viewed}",
        "{step: looked, action: page_viewed}, {not: searched}, {action: product_added}",
    )
    story = Story(engine_of(guarded), "s_one")
    for number, category in enumerate(("shoes", "hats")):
        at = number * 10_000
        story.apply(event(f"v{number}", "page_viewed", at, "s_one", category=category))
        story.apply(event(f"a{number}", "product_added", at + 3_000, "s_one"))
    taken_back = story.apply(event("late", "searched", 11_000, "s_one"))
    assert (kinds(taken_back), taken_back.commands) == ([("retraction", "")], [])
