"""Never a phantom: whatever the order of arrival, the commands bring lists to where the ordered stream's bring them."""

from __future__ import annotations

from random import Random

import pytest
import yaml

from contracts.actions import VOCABULARY
from contracts.commands import Command, Verb
from contracts.events import Event
from contracts.rows import MatchRow
from flows.language.parse import parse_listeners
from flows.subscriber.engine import Emitted, WorkspaceEngine
from flows.subscriber.pinned_terms import Terms
from tests.properties.case import Case, cases
from tests.properties.generate import GAP_MS

COUNT = 3_000
ENOUGH_MS = 3_600_000
THEN = [
    {"move": {"from": "newsletter", "to": "engaged", "at": "mailbox"}},
    {"add": {"to": "everybody", "at": "mailbox"}},
]


class Lists:
    """Which lists a person is in, and what each command changed; taken back as SEMANTICS 8 says.

    What a command that is taken back had changed and a later one wanted too is that later one's from then on.
    """

    def __init__(self) -> None:
        self.names = {"newsletter"}
        self.held: dict[str, tuple[set[str], set[str]]] = {}
        """Command id → the lists that it touches, and what it changed (``+list``, ``-list``), oldest first."""
        self.calls = 0

    def apply(self, command: Command) -> None:
        """Do what a command says."""
        self.calls += 1
        if command.undoes:
            self._undo(command.undoes)
            return
        assert command.command_id not in self.held, "done twice"
        assert command.verb in {Verb.MOVE, Verb.ADD}
        changed = {f"+{name}" for name in {command.to_list} - {""} - self.names}
        changed |= {f"-{name}" for name in {command.from_list} & self.names}
        self.names = self.names | {command.to_list} - {command.from_list}
        self.names -= {command.from_list}
        self.held[command.command_id] = ({command.to_list, command.from_list}, changed)

    def _undo(self, command_id: str) -> None:
        later = list(self.held)[list(self.held).index(command_id) + 1 :]
        _, changed = self.held.pop(command_id)
        for mark in changed:
            heir = next((each for each in later if mark[1:] in self.held[each][0]), None)
            if heir is not None:
                self.held[heir][1].add(mark)
            elif mark[0] == "+":
                self.names.discard(mark[1:])
            else:
                self.names.add(mark[1:])


def engine_of(case: Case) -> WorkspaceEngine:
    data = yaml.safe_dump({**case.data, "then": THEN}).encode()
    listeners = parse_listeners([("l.yaml", data)], known_actions=VOCABULARY)
    return WorkspaceEngine("w", listeners, terms=Terms(ENOUGH_MS, GAP_MS, ENOUGH_MS, 0))


def brought(case: Case, arrivals: list[tuple[Event, int]]) -> tuple[set[str], int, int]:
    """The lists at the end, the commands made, and how often a match was amended."""
    flow, lists, amended = engine_of(case), Lists(), 0
    person = flow.new("s")

    def say(emitted: Emitted) -> None:
        nonlocal amended
        kinds = [row.kind for row in emitted.rows if isinstance(row, MatchRow)]
        amended += kinds.count("amendment")
        if set(kinds) <= {"amendment"}:
            assert not emitted.commands, "a match that was only amended made a call"
        for command in emitted.commands:
            lists.apply(command)

    for event, log_time_ms in arrivals:
        say(flow.apply(person, event, log_time_ms))
        person = flow.decode(flow.encode(person))
    say(flow.pass_time(person, case.end_ms + ENOUGH_MS))
    return lists.names, lists.calls, amended


@pytest.mark.slow
def test_any_order_of_arrival_with_deadlines_ends_in_the_ordered_streams_lists() -> None:
    random, amended, corrected = Random(41), 0, 0
    for case in cases(41, COUNT):
        ordered, calls, none = brought(case, [(event, event.occurred_at_ms) for event in case.events])
        assert none == 0, "an ordered stream amends nothing"
        log_ms, arrivals = 0, []
        for event in sorted(case.events, key=lambda each: each.occurred_at_ms + random.choice((0, 0, 2_000, 9_000))):
            log_ms = max(log_ms, event.occurred_at_ms + random.choice((0, 0, 3_000)))
            arrivals.append((event, log_ms))
        names, more, times = brought(case, arrivals)
        assert names == ordered, case
        amended += times
        corrected += more > calls
    assert amended > COUNT / 50
    assert corrected > COUNT / 200
