"""One more operator is one more line of one table: a copy of the rooms with a toy operator in it has it everywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from flows.language.operators import ALL, OPERATORS

ROOT = Path(__file__).resolve().parents[2]
TOY = (
    '    Operator("is_even", Flag(), "is an even number, or not", lambda each: f"is even: {each}",'
    " lambda wanted: lambda value: is_number(value) and (value % 2 == 0) is wanted),\n"
)
AFTER = "ALL: Final[tuple[Operator, ...]] = (\n"
PROGRAM = """
import json
from flows.language.conditions import OPERATOR
from flows.language.describe import describe
from flows.language.lint import lint
from flows.language.parse import parse_listeners
from flows.language.schema import listener_schema
from flows.machine.machine import Machine
from contracts.errors import ListenerError
from contracts.events import Event
from flows.derived.sessions import extended

text = b"listener: toy\\nsequence: [{action: page_viewed, where: {count: {is_even: true}}}]\\nthen: []\\n"
def read(text):
    return parse_listeners([("toy.yaml", text)], known_actions={"page_viewed"})
listener = read(text.replace(b"then: []\\n", b""))[0]
found = []
for count in (1, 2, 3, 4, "4"):
    machine = Machine([listener])
    event = Event("w", "s", str(count), "page_viewed", 1, properties={"count": count})
    state, matches = machine.apply(machine.start("s"), event, extended(None, event, gap_ms=1))
    found.append(len(matches))
try:
    read(text.replace(b"is_even: true", b"is_even: often").replace(b"then: []\\n", b""))
    refused = ""
except ListenerError as error:
    refused = str(error)
print(json.dumps({
    "matches": found,
    "says": describe(listener),
    "refuses": refused,
    "schema": listener_schema()["$defs"]["operators"]["properties"]["is_even"],
    "lint": [str(each) for each in lint([listener])],
}))
"""


def test_an_operator_is_one_entry_of_one_file(tmp_path: Path) -> None:
    for room in ("contracts", "flows"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    table = tmp_path / "flows/language/operators.py"
    source = table.read_text(encoding="utf-8")
    assert source.count(AFTER) == 1
    table.write_text(source.replace(AFTER, AFTER + TOY), encoding="utf-8")
    own = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, env=own, capture_output=True, check=True)
    said = json.loads(done.stdout)
    assert said["matches"] == [0, 1, 0, 1, 0]
    assert "views a page where the count is even: true" in said["says"]
    assert said["refuses"].startswith('toy.yaml:2: sequence[1].where.count.is_even: the text "often"; true or false')
    assert said["schema"] == {"type": "boolean", "description": "True when the value is an even number, or not."}
    assert not [each for each in said["lint"] if "is_even" in each]


def test_every_operator_says_how_it_is_judged() -> None:
    """One that is judged by none of these would fail only when the first listener with it is compiled."""
    by_the_machine = {"same_as", "shares_with"}
    for each in ALL:
        judged = [each.check, each.presence, each.compare]
        assert any(judged) or each.name in by_the_machine, each.name
    assert len(OPERATORS) == len(ALL)
