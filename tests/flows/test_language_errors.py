"""Every error of the language, with its exact message. The messages stand in ``golden/language/errors.txt``."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.actions import VOCABULARY
from contracts.errors import ListenerError
from flows.language import source
from flows.language.parse import parse_listeners

LANGUAGE = Path(source.__file__).parent
GOLDEN = Path(__file__).parent / "golden/language/errors.txt"

S = "listener: x\nsequence:\n"
ONE = S + "  - action: page_viewed\n"


def step(text: str) -> str:
    return S + "  - " + text + "\n"


def where(text: str) -> str:
    return step("{action: page_viewed, where: " + text + "}")


def second(text: str) -> str:
    return S + "  - {step: a, action: page_viewed}\n  - " + text + "\n"


def then(text: str) -> str:
    return S + "  - {step: a, action: page_viewed}\nthen:\n  - " + text + "\n"


def top(text: str) -> str:
    return ONE + text + "\n"


CASES: dict[str, str | bytes] = {
    # the file
    "not utf-8": b"listener: caf\xe9\n",
    "utf-16": "listener: x\n".encode("utf-16"),
    "a NUL": "listener: x\0\n",
    "a bell": "listener: x\nversion: \a\n",
    "a tab": "listener: x\nsequence:\n\t- action: page_viewed\n",
    "empty": "",
    "only a comment": "# nothing yet\n",
    "an empty document": ONE + "---\n",
    "too large": b"#" * (512 * 1024 + 1),
    "too many values": "listener: x\nsequence: [" + "a, " * 50_000 + "]\n",
    "too deep": "listener: " + "[" * 30,
    "a bare star": step("action: *"),
    "an alias": step("action: *any"),
    "an anchor": "listener: &name x\nsequence: []\n",
    "aliases that explode": "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "a tag": "listener: !!python/object:os.system x\n",
    "a string tag": "listener: !!str x\n",
    "a merge": "listener: x\n<<: {version: 2}\n",
    "an unclosed bracket": "listener: x\nsequence: [\n",
    "a second colon": "listener: x\ndescription: note: well\n",
    "an unclosed quote": 'listener: "x\n',
    "two documents run together": "listener: x\n... \nlistener\n",
    "a list": "- listener: x\n",
    "a scalar": "listener\n",
    "a number as a name": ONE + "5: five\n",
    "a list as a name": ONE + "? [a]\n: b\n",
    "a trap as a name": ONE + "on: x\n",
    "a long value": ONE + "description: " + "x" * 4_001 + "\n",
    # the listener
    "no listener": "sequence: [{action: page_viewed}]\n",
    "no sequence": "listener: x\n",
    "unknown field": top("repet: once"),
    "unknown field elsewhere": top("name: once"),
    "unknown field unlike any": top("zzz: 1"),
    "a name twice": "listener: x\nlistener: y\nsequence: [{action: page_viewed}]\n",
    "a name that is no kebab": "listener: Basket_Abandoned\nsequence: [{action: page_viewed}]\n",
    "a name that is a number": "listener: 42\nsequence: [{action: page_viewed}]\n",
    "a name that is nothing": "listener:\nsequence: [{action: page_viewed}]\n",
    "a name too long": "listener: " + "x" * 81 + "\nsequence: [{action: page_viewed}]\n",
    "a name that is a trap": "listener: no\nsequence: [{action: page_viewed}]\n",
    "version zero": top("version: 0"),
    "version in quotes": top('version: "3"'),
    "version that is a fraction": top("version: 1.5"),
    "version that is octal": top("version: 010"),
    "version too great": top("version: 1000000001"),
    "description that is a list": top("description: [a]"),
    "description that is a date": top("description: 2026-01-01"),
    "within without a unit": top("within: 30"),
    "within of nothing": top("within: 0m"),
    "within with two units": top("within: 1h30m"),
    "within as a fraction": top("within: 1.5h"),
    "within that is sexagesimal": top("within: 1:30"),
    "within absurd": top("within: 99999d"),
    "within negative": top("within: -5m"),
    "scope": top("scope: sesion"),
    "scope that is a list": top("scope: [session]"),
    "repeat": top("repeat: always"),
    "repeat that is a trap": top("repeat: no"),
    "repeat with another name": top("repeat: {cooldwn: 7d}"),
    "repeat that is a list": top("repeat: [once]"),
    "cooldown without a unit": top("repeat: {cooldown: 7}"),
    "cooldown in the wrong place": top("cooldown: 7d"),
    "on_retraction": top("on_retraction: undone"),
    "per that is no path": top("per: a..b"),
    "trust": top("trust: servr"),
    "max_lists": top("max_lists: 0"),
    "holdout of nothing": top("holdout: 0%"),
    "holdout of all": top("holdout: 100%"),
    "holdout without a sign": top("holdout: 10"),
    "variants of one": top("variants: {a: 100%}"),
    "variants that do not add up": top("variants: {a: 50%, b: 49.9%}"),
    "a variant with a bad share": top("variants: {a: 50%, b: half}"),
    "a variant with a bad name": top("variants: {A: 50%, b: 50%}"),
    "only for no variant": top("then: [{add: {to: x, at: m}, only: a}]"),
    "only for an unknown variant": top("variants: {left: 50%, right: 50%}\nthen: [{add: {to: x, at: m}, only: rigth}]"),
    "a variant's name without variants": top('then: [{add: {to: "x-{variant}", at: m}}]'),
    "sequence empty": "listener: x\nsequence: []\n",
    "sequence that is a mapping": "listener: x\nsequence: {action: page_viewed}\n",
    "sequence of 10,000": S + "  - action: page_viewed\n" * 10_000,
    "the same listener twice": ONE + "---\n" + ONE,
    # steps
    "step that is a text": step("page_viewed"),
    "step without an action": step("step: a"),
    "step with two": step("{action: page_viewed, any_of: [searched]}"),
    "unknown action": step("action: page_view"),
    "unknown action unlike any": step("action: xyzzy"),
    "action that is a list": step("action: [page_viewed]"),
    "action that is a trap": step("action: on"),
    "action that is null": step("action:"),
    "unknown field of a step": step("{action: page_viewed, time: 2}"),
    "for on a step": step("{action: page_viewed, for: 2m}"),
    "step's name with a dot": step("{step: a.b, action: page_viewed}"),
    "step's name that is a number": step("{step: 1, action: page_viewed}"),
    "step's name twice": S + "  - {step: a, action: page_viewed}\n  - {step: a, action: searched}\n",
    "any_of empty": step("any_of: []"),
    "any_of that is a text": step("any_of: page_viewed"),
    "any_of with all_of": step("any_of: [{all_of: [searched]}]"),
    "all_of too long": step("all_of: [" + ", ".join(["searched"] * 9) + "]"),
    "times on all_of": step("{all_of: [searched, page_viewed], times: 2}"),
    "times zero": step("{action: page_viewed, times: 0}"),
    "times negative": step("{action: page_viewed, times: -1}"),
    "times as a text": step('{action: page_viewed, times: "2"}'),
    "times absurd": step("{action: page_viewed, times: {at_least: 1000000}}"),
    "times at most": step("{action: page_viewed, times: {at_most: 3}}"),
    "times with two": step("{action: page_viewed, times: {at_least: 2, exactly: 3}}"),
    "times with none": step("{action: page_viewed, times: {}}"),
    "times turned round": step("{action: page_viewed, times: {between: [5, 2]}}"),
    "times between nothing": step("{action: page_viewed, times: {between: [0, 0]}}"),
    "times between three": step("{action: page_viewed, times: {between: [1, 2, 3]}}"),
    "times exactly zero": step("{action: page_viewed, times: {exactly: 0}}"),
    "distinct_by without times": step("{action: page_viewed, distinct_by: path}"),
    "until without times": step("{action: page_viewed, until: searched}"),
    "until unknown": step("{action: page_viewed, times: 2, until: serched}"),
    "sum and times": step("{action: page_viewed, times: 2, sum: {of: value, at_least: 3}}"),
    "sum without of": step("{action: page_viewed, sum: {at_least: 3}}"),
    "sum of nothing": step("{action: page_viewed, sum: {of: value, at_least: 0}}"),
    "sum of a text": step("{action: page_viewed, sum: {of: value, at_least: much}}"),
    "optional": step("{action: page_viewed, optional: yes}"),
    "optional as a number": step("{action: page_viewed, optional: 1}"),
    "next": step('{action: page_viewed, next: "true"}'),
    "after": step("{action: page_viewed, after: soon}"),
    # not
    "not with times": second("{not: searched, times: 2}\n  - action: searched"),
    "not of nothing": second("{not: , for: 2m}"),
    "not with a list": second("{not: [searched], for: 2m}"),
    "not with an action beside": second("{not: searched, action: searched, for: 2m}"),
    "only nots": S + "  - {not: searched, for: 2m}\n",
    "first not without for": S + "  - not: searched\n  - action: page_viewed\n",
    "for between": second("{not: searched, for: 2m}\n  - action: page_viewed"),
    "for not on the final": second("{not: searched, for: 2m}\n  - not: page_viewed\nwithin: 1h"),
    "last not for ever": second("{not: searched, for: ever}"),
    "last not without for": second("not: searched"),
    "for without a unit": second("{not: searched, for: 10}"),
    # where
    "where that is a list": where("[path]"),
    "where with too many": step("action: page_viewed\n    where:\n") + "".join(f"      k{n}: 1\n" for n in range(51)),
    "where with nothing": where("{path: }"),
    "where with an empty mapping": where("{path: {}}"),
    "where with an empty list": where("{path: []}"),
    "where with a list in a list": where("{path: [[a]]}"),
    "where with a trap": where("{subscribed: no}"),
    "where with an octal": where("{sku: 0042}"),
    "where with a date": where("{day: 2026-05-01}"),
    "where with a sexagesimal": where("{time: 12:30}"),
    "where with underscores": where("{value: 1_000}"),
    "where with infinity": where("{value: {at_most: .inf}}"),
    "where with an exponent": where("{value: {at_least: 1e3}}"),
    "where with a great number": where("{value: 9007199254740993}"),
    "where with an index": where('{"items[0].sku": a}'),
    "where with an empty part": where("{a..b: 1}"),
    "where with a long name": where("{" + "a" * 201 + ": 1}"),
    "where the same twice": where("{a: 1, a: 2}"),
    "unknown operator": where("{value: {atleast: 50}}"),
    "unknown operator elsewhere": where("{value: {in: [50]}}"),
    "equals a list": where("{value: {equals: [1, 2]}}"),
    "one_of a text": where("{value: {one_of: a}}"),
    "one_of too many": where("{value: {one_of: [" + "1, " * 1_001 + "]}}"),
    "at_least a text": where("{value: {at_least: fifty}}"),
    "at_least a duration": where("{value: {at_least: 3m}}"),
    "at_least true": where("{value: {at_least: true}}"),
    "between turned round": where("{value: {between: [9, 1]}}"),
    "between one": where("{value: {between: [9]}}"),
    "starts_with a number": where("{value: {starts_with: 5}}"),
    "starts_with nothing": where('{value: {starts_with: ""}}'),
    "exists as a trap": where("{value: {exists: yes}}"),
    "exists as a text": where('{value: {exists: "true"}}'),
    "matches nonsense": where('{value: {matches: "(a"}}'),
    "matches too long": where('{value: {matches: "' + "a" * 501 + '"}}'),
    "matches too large": where(r"{value: {matches: '\pL{500}'}}"),
    "matches with a look-ahead": where(r"{value: {matches: '(?=a)b'}}"),
    "matches with a back reference": where(r"{value: {matches: '(a)\1'}}"),
    "too many patterns": "".join(
        f"---\nlistener: x{n}\nsequence: [{{action: page_viewed, where: {{a: {{matches: x{n}}}}}}}]\n"
        for n in range(101)
    ),
    "a long text": where('{value: "' + "a" * 1_001 + '"}'),
    # references
    "reference without a property": second("{action: searched, where: {a: {same_as: a}}}"),
    "reference to an unknown step": second("{action: searched, where: {a: {same_as: b.a}}}"),
    "reference to an unknown step like one": S
    + "  - {step: looked, action: page_viewed}\n  - {action: searched, where: {a: {same_as: loked.a}}}\n",
    "reference to a later step": S
    + "  - {action: page_viewed, where: {a: {same_as: b.a}}}\n  - {step: b, action: searched}\n",
    "reference to itself": S + "  - {step: b, action: searched, where: {a: {more_than: b.a}}}\n",
    "reference to a not": S
    + "  - action: page_viewed\n  - {step: n, not: searched}\n  - {action: searched, where: {a: {same_as: n.a}}}\n",
    "reference by number": second('{action: searched, where: {a: {same_as: "1.a"}}}'),
    "reference that is a list": second("{action: searched, where: {a: {shares_with: [a.a]}}}"),
    "reference through a list": second('{action: searched, where: {a: {more_than: "a.items[].n"}}}'),
    "reference with a bad path": second("{action: searched, where: {a: {same_as: a..b}}}"),
    "reference in a first not": S
    + "  - {not: {action: searched, where: {a: {same_as: a.a}}}, for: 1d}\n  - {step: a, action: page_viewed}\n",
    "too many of same_as": second(
        "{action: searched, where: {" + ", ".join(f"p{n}: {{same_as: a.p{n}}}" for n in range(5)) + "}}"
    ),
    "too many of same_as with per": second(
        "{action: searched, where: {" + ", ".join(f"p{n}: {{same_as: a.p{n}}}" for n in range(4)) + "}}"
    )
    + "per: sku\n",
    # session and trust
    "session empty": step("{action: page_viewed, session: {}}"),
    "session of a number": step("{action: page_viewed, session: 5}"),
    "session with another name": step("{action: page_viewed, session: {length: {at_least: 3m}}}"),
    "session duration without a unit": step("{action: page_viewed, session: {duration: {at_least: 3}}}"),
    "session events with a unit": step("{action: page_viewed, session: {events: {at_least: 3m}}}"),
    "session with no operator": step("{action: page_viewed, session: {events: {}}}"),
    "profile empty": step("{action: page_viewed, profile: {}}"),
    "profile with a reference": second("{action: searched, profile: {country: {same_as: a.country}}}"),
    "the same time twice": step('{action: page_viewed, between: ["09:00", "09:00"]}'),
    "trust of a step": step("{action: page_viewed, trust: high}"),
    # then
    "then that is a mapping": top("then: {add: {to: a, at: b}}"),
    "then empty": top("then: []"),
    "then with two verbs": then("{add: {to: a, at: b}, tag: {add: a, at: b}}"),
    "then with an unknown verb": then("{ad: {to: a, at: b}}"),
    "then with nothing": then("{}"),
    "move without from": then("move: {to: a, at: b}"),
    "move onto itself": then("move: {from: a, to: a, at: b}"),
    "add with from": then("add: {from: a, to: b, at: b}"),
    "remove with to": then("remove: {to: a, at: b}"),
    "account": then("add: {to: a, at: My Account}"),
    "template without quotes": then("add: {to: {a.category}, at: b}"),
    "template with an unknown step": then('add: {to: "v-{b.category}", at: b}'),
    "template without a property": then('add: {to: "v-{a}", at: b}'),
    "template with one brace": then('add: {to: "v-{a.b", at: b}'),
    "template with several": then('add: {to: "v-{a.items[].sku}", at: b}'),
    "template with a not": S
    + "  - action: page_viewed\n  - {step: n, not: searched}\n  - action: searched\n"
    + "then:\n  - add: {to: 'v-{n.a}', at: b}\n",
    "template in a tag": then('tag: {add: "v-{a.b}", at: b}'),
    "list that is a number": then("add: {to: 2026, at: b}"),
    "list that is nothing": then('add: {to: "", at: b}'),
    "webhook that is no address": then("webhook: {url: crm.example/hook}"),
    "webhook with a password": then('webhook: {url: "https://me:secret@crm.example/hook"}'),
    "webhook with a bad port": then('webhook: {url: "https://crm.example:x/"}'),
    "webhook without a host": then('webhook: {url: "https:///hook"}'),
    "too many responses": ONE + "then:\n" + "  - add: {to: a, at: b}\n" * 21,
}


def problems(data: str | bytes, *others: str) -> str:
    files = [("x.yaml", data if isinstance(data, bytes) else data.encode())]
    files += [(f"y{number}.yaml", other.encode()) for number, other in enumerate(others)]
    with pytest.raises(ListenerError) as caught:
        parse_listeners(files, known_actions=VOCABULARY)
    return "".join(f"{problem}\n" for problem in caught.value.problems)


def golden() -> dict[str, str]:
    parts = GOLDEN.read_text(encoding="utf-8").split("## ")[1:]
    return {name: text.rstrip("\n") + "\n" for name, _, text in (part.partition("\n") for part in parts)}


@pytest.mark.parametrize("name", CASES)
def test_the_message_is_exact(name: str) -> None:
    assert problems(CASES[name]) == golden()[name]


def test_no_message_is_written_down_for_nothing() -> None:
    assert list(golden()) == list(CASES)


def test_all_errors_of_all_files_come_at_once_in_their_order() -> None:
    told = problems(
        top("repet: once") + "within: 30\n", "nonsense: [", ONE.replace("x", "y"), step("action: page_vewed")
    )
    assert [line.split(": ")[0] for line in told.splitlines()] == ["x.yaml:4", "x.yaml:5", "y0.yaml:2", "y2.yaml:3"]


def test_the_same_listener_in_two_files_names_both_places() -> None:
    assert problems(ONE, ONE) == (
        'y0.yaml:1: listener: "x" version 1 a second time; another name or version: it stands at x.yaml:1 already\n'
    )


def test_a_hundred_problems_of_a_file_are_told_and_the_rest_counted() -> None:
    told = problems(ONE + "".join(f"field{number}: 1\n" for number in range(150))).splitlines()
    assert (len(told), told[-1]) == (101, "x.yaml:1: 50 more problems; mend these first")


def refusals(path: Path) -> Iterator[tuple[str, int, int]]:
    """Where a module notes a problem: (file, first line, last line)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if node.func.attr == "refuse" or (node.func.attr == "add" and len(node.args) == 4):
            yield str(path), node.lineno, node.end_lineno or node.lineno


def test_every_place_that_notes_a_problem_is_reached_by_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    reached: set[tuple[str, int]] = set()
    add = source.Report.add

    def noting(self: source.Report, line: int, name: str, found: str, wanted: str) -> None:
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename.startswith(str(LANGUAGE)):
            reached.add((frame.f_code.co_filename, frame.f_lineno))
            frame = frame.f_back  # type: ignore[assignment]
        add(self, line, name, found, wanted)

    monkeypatch.setattr(source.Report, "add", noting)
    for data in CASES.values():
        problems(data)
    modules = ("source", "context", "kinds", "shape", "conditions", "elements", "responses", "parse")
    everywhere = [place for name in modules for place in refusals(LANGUAGE / f"{name}.py")]
    assert len(everywhere) > 50
    missed = [
        f"{Path(file).name}:{first}"
        for file, first, last in everywhere
        if not any((file, line) in reached for line in range(first, last + 1))
    ]
    assert missed == []
