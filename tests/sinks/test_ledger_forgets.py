"""A ledger lets go of what the log let go, and answers as one that forgets nothing, and as one that is read anew."""

from __future__ import annotations

from typing import Any, NamedTuple
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.codec import json_reader, replaced, to_json
from contracts.commands import Command, MatchPlace, Outcome, Result
from contracts.log import Outgoing
from contracts.reasons import Reason
from contracts.topics import OUTCOMES
from sinks.base import Done, Fate, Traits, Trouble
from sinks.delivery import pages
from sinks.delivery.leavings import Leavings
from sinks.delivery.ledger import Ledger
from sinks.delivery.outcomes import outcome_of
from sinks.delivery.places import mark_of
from sinks.delivery.plan import Known, Wish, wish_of
from tests.sinks.consent_bed import Cursor, Fuse, MemoryLog
from tests.sinks.courier import command

LISTS = ("a", "b", "c")
PEOPLE = ("s_anna", "s_ben")
KEPT, LATE = 12, 5
"""The log keeps so many outcomes; what comes late, or is taken back, restated or tried again, is no older than that."""
_outcome = json_reader(Outcome)

NAMES = st.sampled_from(["", *LISTS])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["wish", "wish", "wish", "undo", "restate", "fail", "again"]),
        st.sampled_from(PEOPLE),
        st.tuples(NAMES, NAMES).filter(lambda pair: pair[0] != pair[1]),
        st.integers(0, LATE - 1),
    ),
    min_size=20,
    max_size=60,
)


class ShortLog(MemoryLog):
    """A log that keeps the newest outcomes alone."""

    def start(self, topic: str) -> dict[int, int]:
        return {0: max(0, len(self.records[topic]) - KEPT)}

    def reader(self, topic: str, **_: Any) -> Cursor:
        cursor = Cursor(self, topic, "")
        cursor.seek(0, self.start(topic)[0] if topic == OUTCOMES else 0)
        return cursor


class Told(NamedTuple):
    """A command that stands; ``at``: the place of its match."""

    command: Command
    given_ms: int
    at: MatchPlace


class Bed:
    """An account over a log that keeps everything, and one over the same log as it is kept."""

    def __init__(self) -> None:
        whole: Any = MemoryLog(lambda: self.now_ms, Fuse())
        short: Any = ShortLog(lambda: self.now_ms, Fuse())
        whole.records[OUTCOMES] = short.records[OUTCOMES] = []
        self.now_ms, self.log, self.short = 100, whole, short
        self.whole, self.swept = Ledger(whole, "w", "mail"), Ledger(short, "w", "mail")
        self.lists: dict[str, set[str]] = {each: set() for each in PEOPLE}
        self.standing: dict[str, Told] = {}
        self.failed: dict[str, Told] = {}
        self.order: list[str] = []
        self.outlived = set[tuple[str, str, str]]()
        """The naive model of what is known beyond the log: what was the newest somewhere when it went, and is still."""

    def step(self, kind: str, person: str, pair: tuple[str, str], late: int) -> None:
        """A command is carried out by what the one ledger says; the other must have said the same."""
        self.now_ms += 1
        of = self.failed if kind == "again" else self.standing
        recent = [each for each in of.values() if self.now_ms - each.given_ms <= LATE]
        matched_ms = self.now_ms - late
        if kind in {"wish", "fail"}:
            given = command(*pair, person=person[2:], matched_at_ms=matched_ms)
        elif not recent:
            return
        else:
            given = chosen = recent[late % len(recent)].command
            if kind == "undo":
                given = command(person=chosen.subscriber[2:], undoes=chosen.command_id, verb=chosen.verb)
            elif kind == "restate":
                given = replaced(chosen, command_id=f"{chosen.command_id}r{self.now_ms}", matched_at_ms=matched_ms)
                given = replaced(given, restates=chosen.command_id)
        wish, same = (wish_of(given, Known(each, Leavings(), Traits(), "mail")) for each in (self.whole, self.swept))
        assert wish == same, given
        self._carry_out(given, wish, kind)

    def _carry_out(self, given: Command, wish: Wish | None, kind: str) -> None:
        now = self.lists[given.subscriber]
        changed = []
        for name, into in (wish.places if wish and kind != "fail" else {}).items():
            if (name[1:] in now) is not into:
                changed.append(mark_of(name, into))
                (now.add if into else now.discard)(name[1:])
        answer = Trouble(Reason.UNSUPPORTED, Fate.LASTING) if kind == "fail" else Done(tuple(changed))
        outcome = outcome_of(given, answer, calls=1, at_ms=self.now_ms)
        if wish is None and kind != "fail":
            outcome = replaced(outcome, result=Result.SKIPPED, reason=str(Reason.SUPERSEDED))
        self._note(given, outcome)
        self.log.store(Outgoing(OUTCOMES, b"w/mail", to_json(outcome)))
        self.swept.add(outcome)  # as the loop does, before it is read
        for each in (self.whole, self.swept):
            each.follow()
        self.order.append(given.command_id)
        gone = set(self.order[:-KEPT]) - set(self.order[-KEPT:])
        fresh = {each for each in self.newest() if each[0] in self.order[-KEPT - 1 : -KEPT]}
        self.outlived = {each for each in (self.outlived | fresh) & self.newest() if each[0] in gone}

    def _note(self, given: Command, outcome: Outcome) -> None:
        if given.undoes:
            self.standing.pop(given.undoes)
        elif given.restates:
            told = self.standing[given.restates]
            if outcome.result is not Result.SKIPPED and outcome.place is not None:
                self.standing[given.restates] = told._replace(at=outcome.place)
        elif outcome.place is not None:
            failed = outcome.result is Result.FAILED
            self.failed.pop(given.command_id, None)
            of = self.failed if failed else self.standing
            of[given.command_id] = Told(given, self.now_ms, outcome.place)

    def newest(self) -> set[tuple[str, str, str]]:
        """Which command is the newest, of whom and where."""
        found: dict[tuple[str, str], Told] = {}
        for told in self.standing.values():
            for name in filter(None, (told.command.to_list, told.command.from_list)):
                key = told.command.subscriber, name
                if key not in found or found[key].at <= told.at:
                    found[key] = told
        return {(told.command.command_id, *key) for key, told in found.items()}


def answers(ledger: Ledger, command_id: str) -> tuple[bool, ...]:
    return ledger.knows(command_id), ledger.failed(command_id), ledger.stands(command_id)


def known_of(ledger: Ledger, person: str) -> list[object]:
    return [
        [(ledger.inside(person, name), ledger.put_ms(person, name)) for name in LISTS],
        [ledger.links.linked(person, {name}, {}) for name in LISTS],
        ledger.lists_of(person),
        ledger.taken_out_of(person),
        ledger.has_met(person),
    ]


@settings(max_examples=30, deadline=None)
@given(steps=STEPS)
def test_it_answers_as_one_that_forgets_nothing_and_knows_of_what_the_log_let_go_the_newest_alone(
    steps: list[tuple[str, str, tuple[str, str], int]],
) -> None:
    with patch.object(pages, "PAGE", 1):
        bed = Bed()
        for step in steps:
            bed.step(*step)
        restarted = Ledger(bed.short, "w", "mail")
    told = [_outcome(each.value or b"") for each in bed.log.records[OUTCOMES]]
    kept = {each.command_id for each in told[-KEPT:]}
    outlived = {command_id for command_id, _, _ in bed.outlived}
    assert bed.swept.claims.entries.keys() == kept | outlived
    for outcome in told:
        command_id = outcome.command_id
        if command_id in kept:
            assert answers(bed.swept, command_id) == answers(bed.whole, command_id) == answers(restarted, command_id)
        else:
            assert not restarted.knows(command_id)
            assert bed.swept.knows(command_id) is (command_id in outlived), command_id
        if bed.now_ms - outcome.at_ms <= LATE:
            undone = [each.claims.to_undo(command_id) for each in (bed.swept, bed.whole, restarted)]
            assert undone[0] == undone[1] == undone[2]
    for person in PEOPLE:
        assert known_of(bed.swept, person) == known_of(bed.whole, person)
