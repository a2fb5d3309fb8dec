"""``segma match``: the format of its lines, their order, what bad lines do, and bounded parts."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli import match as match_module
from cli.match import match_command
from cli.output import Exit
from contracts.errors import ListenerError

TWO_STEPS = """
listener: looked-then-added
version: 2
sequence:
  - {step: looked, action: page_viewed}
  - {action: product_added, within: 1h}
"""
ABSENCE = """
listener: added-not-bought
sequence:
  - {step: added, action: product_added}
  - {not: product_bought, for: 5s}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    directory = tmp_path / "listeners"
    directory.mkdir()
    (directory / "two.yaml").write_text(TWO_STEPS, encoding="utf-8")
    (directory / "absence.yaml").write_text(ABSENCE, encoding="utf-8")
    return directory


def event(event_id: str, action: str, at: int | str, subscriber: str = "s", **more: Any) -> dict[str, Any]:
    return {"event_id": event_id, "subscriber": subscriber, "action": action, "occurred_at": at, **more}


def invoke(home: Path, lines: list[dict[str, Any] | str], *options: str) -> Result:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return CliRunner().invoke(match_command, ["--listeners", str(home), "--events", "-", *options], input=text)


def matched(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_line_holds_exactly_these_fields(home: Path) -> None:
    result = invoke(home, [event("a", "page_viewed", 1_000), event("b", "product_added", "1970-01-01T00:00:02Z")])
    assert result.exit_code == Exit.OK
    match_id = hashlib.sha256(b'["looked-then-added",2,"s",["a","b"]]').hexdigest()[:32]
    assert matched(result) == [
        {
            "listener": "looked-then-added",
            "version": 2,
            "subscriber": "s",
            "match_id": match_id,
            "steps": {"looked": ["a"], "2": ["b"]},
            "events": ["a", "b"],
            "matched_at_ms": 2_000,
            "retracted": False,
        }
    ]


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("2026-03-01T10:00:00Z", 1_772_359_200_000),
        ("2026-03-01T11:00:00.250+01:00", 1_772_359_200_250),
        ("2026-03-01T10:00:00", 1_772_359_200_000),
        (1_772_359_200_000, 1_772_359_200_000),
    ],
)
def test_instants_are_iso_or_integer_milliseconds(home: Path, text: str | int, at_ms: int) -> None:
    (found,) = matched(invoke(home, [event("a", "page_viewed", at_ms), event("b", "product_added", text)]))
    assert found["matched_at_ms"] == at_ms


def test_events_are_sorted_first_and_a_repeated_id_counts_once(home: Path) -> None:
    lines: list[dict[str, Any] | str] = [
        event("b", "product_added", 2_000),
        event("a", "page_viewed", 1_000),
        event("b", "product_added", 3_000),
    ]
    assert [found["events"] for found in matched(invoke(home, lines))] == [["a", "b"]]


def test_the_lines_number_orders_events_of_one_time_unless_order_is_given(home: Path) -> None:
    added, viewed = event("b", "product_added", 1_000), event("a", "page_viewed", 1_000)
    assert matched(invoke(home, [added, viewed])) == []
    assert len(matched(invoke(home, [viewed, added]))) == 1
    assert len(matched(invoke(home, [{**added, "order": 9}, {**viewed, "order": 1}]))) == 1


def test_deadlines_fire_up_to_the_newest_event_of_the_file_or_the_final_instant(home: Path) -> None:
    lines: list[dict[str, Any] | str] = [event("a", "product_added", 1_000), event("z", "page_viewed", 5_999, "other")]
    assert matched(invoke(home, lines)) == []
    (found,) = matched(invoke(home, lines, "--final-ms", "6000"))
    assert (found["listener"], found["events"], found["matched_at_ms"]) == ("added-not-bought", ["a"], 6_000)


def test_lines_come_in_order_of_completion_over_all_subscribers(home: Path) -> None:
    lines: list[dict[str, Any] | str] = []
    for number, who in enumerate(("x", "y", "z")):
        lines.append(event(f"{who}1", "page_viewed", 1_000, who))
        lines.append(event(f"{who}2", "product_added", 9_000 - number * 1_000, who))
    found = matched(invoke(home, lines, "--final-ms", "99000"))
    assert [each["matched_at_ms"] for each in found] == [7_000, 8_000, 9_000, 12_000, 13_000, 14_000]


def test_at_one_instant_deadlines_come_before_the_event_and_events_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("listener: a\nsequence: [{action: page_viewed}]\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("listener: b\nsequence: [{action: button_clicked}]\n", encoding="utf-8")
    absence = "listener: z\nsequence: [{action: product_added}, {not: product_bought, for: 1s}]\n"
    (tmp_path / "z.yaml").write_text(absence, encoding="utf-8")
    lines: list[dict[str, Any] | str] = [
        event("1", "product_added", 0),
        event("2", "button_clicked", 1_000),
        event("3", "page_viewed", 1_000),
    ]
    assert [found["listener"] for found in matched(invoke(tmp_path, lines))] == ["z", "b", "a"]


def test_by_arrival_a_late_event_takes_a_match_back(home: Path) -> None:
    lines: list[dict[str, Any] | str] = [
        event("a", "product_added", 1_000),
        event("c", "button_clicked", 7_000),
        event("b", "product_bought", 3_000),
    ]
    (found,) = matched(invoke(home, lines, "--arrival"))
    assert (found["events"], found["retracted"]) == (["a"], True)
    assert matched(invoke(home, lines)) == []


def test_by_arrival_an_event_older_than_the_lateness_is_not_matched(home: Path) -> None:
    lines: list[dict[str, Any] | str] = [
        event("c", "button_clicked", 700_000),
        event("a", "page_viewed", 99_000),
        event("b", "product_added", 700_000),
    ]
    assert matched(invoke(home, lines, "--arrival")) == []
    assert len(matched(invoke(home, lines, "--arrival", "--lateness", "11m"))) == 1
    assert len(matched(invoke(home, lines))) == 1


def test_bad_lines_are_named_left_out_and_counted(home: Path) -> None:
    lines: list[dict[str, Any] | str] = [
        event("a", "page_viewed", 1_000),
        "{not json",
        event("c", "page_viewed", "yesterday"),
        event("d", "page_viewed", 2**62),
        event("e", "page_viewed", 1, order=2**64),
        {"event_id": "f"},
        "",
        event("b", "product_added", 2_000),
    ]
    result = invoke(home, lines)
    assert result.exit_code == Exit.PROBLEMS
    assert len(matched(result)) == 1
    for said in (
        "line 2: JSON is malformed",
        "line 3: occurred_at: neither integer milliseconds nor an ISO 8601 instant",
        "line 4: occurred_at: outside the years 1 to 9999",
        "line 5: order: a whole number",
        "line 6: Object missing required field",
        "left out: 5 of 7 lines, no event",
    ):
        assert said in result.stderr


def test_a_line_nested_too_deep_or_not_in_utf_8_is_named_and_left_out(home: Path) -> None:
    lines: list[dict[str, Any] | str] = []
    for depth in (30, 31, 600, 100_000):
        nested = "[" * depth + "]" * depth
        lines.append(json.dumps(event(str(depth), "page_viewed", 1_000))[:-1] + f', "properties": {{"a": {nested}}}}}')
    result = invoke(home, lines)
    assert result.exit_code == Exit.PROBLEMS
    for said in ("line 2: nested deeper", "line 3: nested deeper", "line 4: nested deeper", "3 of 4 lines"):
        assert said in result.stderr
    path = home.parent / "latin.ndjson"
    path.write_bytes('{"event_id": "ü"}\n'.encode("latin-1"))
    result = CliRunner().invoke(match_command, ["--listeners", str(home), "--events", str(path)])
    assert (result.exit_code, "line 1: text that is no UTF-8" in result.stderr) == (Exit.PROBLEMS, True)


def test_listeners_with_problems_are_refused(home: Path) -> None:
    (home / "bad.yaml").write_text("listener: bad\nsequence: [{action: page_viewedd}]\n", encoding="utf-8")
    result = invoke(home, [])
    assert isinstance(result.exception, ListenerError)


def test_many_parts_and_batches_give_the_answer_of_one(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    random_ = random.Random(5)
    actions = ("page_viewed", "product_added", "product_bought")
    lines: list[dict[str, Any]] = [
        event(f"e{number}", random_.choice(actions), number * 300, f"s{random_.randrange(40)}")
        for number in range(2_000)
    ]
    file = tmp_path / "events.ndjson"
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    options = ["--listeners", str(home), "--events", str(file), "--final-ms", "9000000"]
    whole = CliRunner().invoke(match_command, options)
    monkeypatch.setattr(match_module, "PART_BYTES", 10_000)
    monkeypatch.setattr(match_module, "BATCH", 7)
    parted = CliRunner().invoke(match_command, options)
    assert len(whole.stdout.splitlines()) > 500
    assert parted.stdout == whole.stdout
    instants = [found["matched_at_ms"] for found in matched(parted)]
    assert instants == sorted(instants)


def test_a_byte_order_mark_before_the_first_line_is_no_problem(home: Path) -> None:
    lines = [event("a", "page_viewed", 1_000), event("b", "product_added", 2_000)]
    result = invoke(home, ["\ufeff" + json.dumps(lines[0]), lines[1]])
    assert result.exit_code == Exit.OK
    assert [each["events"] for each in matched(result)] == [["a", "b"]]
