"""What a version takes over of a person's past, and when it does not (SEMANTICS 9, the past)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from contracts.actions import PROFILE_CHANGED, VOCABULARY
from contracts.codec import json_reader, msgpack_reader, to_json
from contracts.commands import Command
from contracts.events import Event, Trust
from contracts.log import Outgoing, Record
from contracts.past import PAST_PREFIX, PastState
from contracts.rows import DeadLetter
from contracts.topics import DEAD_LETTERS, EVENTS
from flows.backtest.past import past_of
from flows.backtest.subject import Subject
from flows.language.model import Listener, Repeat
from flows.language.parse import parse_listeners
from flows.operators.logic import FollowBatch, FollowLogic, Shared
from flows.state.changelog import Changelog
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.generations import Deployed
from flows.subscriber.limits import Limit
from flows.subscriber.pinned_terms import Terms
from tests.flows.test_changelog import unsynced

DAY_MS = 86_400_000
ASKED_MS, LIVE_MS = 30 * DAY_MS, 30 * DAY_MS + 600_000
TERMS = Terms(600_000, 1_800_000, DAY_MS, 200)
(LISTENER,) = parse_listeners(
    [
        (
            "l.yaml",
            b"listener: l\nsequence: [{action: email_clicked}, {action: product_bought}]\n"
            b"then: [{add: {to: x, at: a}}]\n",
        )
    ],
    known_actions=VOCABULARY,
)
_command = json_reader(Command)
_letter = msgpack_reader(DeadLetter)


def event(action: str, at_ms: int, who: str = "s", **given: object) -> Event:
    return Event("w", who, f"{action}-{at_ms}", action, at_ms, 0, dict(given), Trust.SERVER, log_time_ms=at_ms)


CLICKED = event("email_clicked", 9 * DAY_MS)
BOUGHT = event("product_bought", LIVE_MS + DAY_MS)


def told(who: str = "s") -> bytes:
    """The state of somebody who clicked three weeks before."""
    subject = Subject("w", [Deployed(LISTENER, 1, None)], TERMS)
    clicked = event("email_clicked", CLICKED.occurred_at_ms, who)
    found = past_of("w", subject, [(clicked, clicked.log_time_ms, "")], ASKED_MS)
    assert found is not None
    assert (found.runs, found.matched) == (1, False)
    return to_json(found.past)


class Flow:
    """A flow in which the version asks for its past, and is promoted ten minutes later."""

    def __init__(self, states: Path, listener: Listener = LISTENER) -> None:
        self.engine = WorkspaceEngine("w", terms=TERMS)
        self.engine.deploy([Deployed(listener, ASKED_MS, LIVE_MS, None, False, 1, ASKED_MS)])
        changelog = Changelog(states, sync=unsynced)
        self.logic = FollowLogic(Shared({}, {"w": self.engine}, 1), changelog, None)

    def hear(self, value: bytes, at_ms: int) -> list[Outgoing]:
        record = Record(EVENTS, 0, 0, at_ms, b"w/s", value)
        return list(self.logic.on_batch([FollowBatch(((record, at_ms),), at_ms)])[0])

    def lists(self, *, after: tuple[bytes, ...]) -> list[str]:
        """Where the person is moved: they clicked long ago, these records come, and they buy after the promotion."""
        self.hear(to_json(CLICKED), CLICKED.log_time_ms)
        for number, value in enumerate(after):
            self.hear(value, ASKED_MS + 1_000 * (number + 1))
        out = self.hear(to_json(BOUGHT), BOUGHT.log_time_ms)
        return [_command(each.value or b"").to_list for each in out if each.topic.startswith("moves")]


@pytest.fixture
def flow(tmp_path: Path) -> Flow:
    return Flow(tmp_path)


def test_who_clicked_three_weeks_ago_and_buys_tomorrow_is_moved_tomorrow(flow: Flow) -> None:
    assert told().startswith(PAST_PREFIX)
    assert flow.lists(after=(told(), told())) == ["x"]


def test_without_its_past_it_is_as_any_shadow(flow: Flow) -> None:
    assert flow.lists(after=()) == []


def test_what_came_while_the_past_was_worked_out_is_met_by_it(flow: Flow) -> None:
    bought = to_json(event("product_bought", ASKED_MS + 500))
    assert flow.lists(after=(bought, told())) == [], "the run was over before the promotion"


def test_what_it_matched_in_its_past_counts_for_once(tmp_path: Path) -> None:
    once, before = replace(LISTENER, repeat=Repeat.ONCE), event("product_bought", 10 * DAY_MS)
    flow = Flow(tmp_path, once)
    own = [(each, each.log_time_ms, "") for each in (CLICKED, before)]
    found = past_of("w", Subject("w", [Deployed(once, 1, None)], TERMS), own, ASKED_MS)
    assert found is not None
    assert found.matched
    again = to_json(event("email_clicked", LIVE_MS + 1_000))
    assert flow.lists(after=(to_json(before), to_json(found.past), again)) == []


def test_a_state_of_another_instant_is_let_go(flow: Flow) -> None:
    other = PastState("w", "s", "l", 1, ASKED_MS - 1, b"")
    assert flow.lists(after=(to_json(other),)) == []


def test_a_state_that_comes_behind_the_promotion_is_let_go(flow: Flow) -> None:
    flow.hear(to_json(CLICKED), CLICKED.log_time_ms)
    assert flow.hear(told(), LIVE_MS + 1) == []
    out = flow.hear(to_json(BOUGHT), BOUGHT.log_time_ms)
    assert not any(each.topic.startswith("moves") for each in out)


def test_who_was_erased_meanwhile_has_none(flow: Flow) -> None:
    erased = to_json(event(PROFILE_CHANGED, ASKED_MS + 500))
    assert flow.lists(after=(erased, told())) == []


def test_of_whom_nothing_is_known_nothing_is_taken_over(flow: Flow) -> None:
    assert flow.hear(told("nobody"), ASKED_MS + 1_000) == []
    out = flow.hear(to_json(event("product_bought", BOUGHT.log_time_ms, "nobody")), BOUGHT.log_time_ms)
    assert not any(each.topic.startswith("moves") for each in out)


def test_more_than_there_is_room_for_is_not_held_and_counted(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.subscriber.past.MAX_HELD", 2)
    views = tuple(to_json(event("page_viewed", ASKED_MS + 100 + each)) for each in range(4))
    assert flow.lists(after=(*views, told())) == []
    assert flow.engine.bounds.total[Limit.PAST] == 1


def test_what_cannot_be_read_is_set_aside(flow: Flow) -> None:
    flow.hear(to_json(CLICKED), CLICKED.log_time_ms)
    for value in (PAST_PREFIX + b"}", told()[:-1] + b',"schema":99}', to_json(PastState("v", "s", "l", 1, 5, b""))):
        assert [each.topic for each in flow.hear(value, ASKED_MS + 1_000)][-1] == DEAD_LETTERS
    out, *_ = flow.hear(to_json(PastState("w", "s", "l", 1, ASKED_MS, b"\xc1")), ASKED_MS + 3_000)
    assert _letter(out.value or b"").reason == "processing_failed"


def test_who_was_known_by_a_field_alone_keeps_what_they_do_under_later_listeners(tmp_path: Path) -> None:
    """What came is applied again after a crash; each input as of the listeners of then."""
    path, snapshot, out = tmp_path / "states", None, list[Outgoing]()
    known = event(PROFILE_CHANGED, 1_000, country="DE")
    for each in (known, CLICKED, event("product_bought", 10 * DAY_MS)):
        engine = WorkspaceEngine("w", terms=TERMS)
        engine.deploy([Deployed(LISTENER, 2_000, 2_000)])
        changelog = Changelog(path, sync=unsynced)
        logic = FollowLogic(Shared({}, {"w": engine}, 1), changelog, snapshot)
        record = Record(EVENTS, 0, 0, each.log_time_ms, b"w/s", to_json(each))
        out += logic.on_batch([FollowBatch(((record, each.log_time_ms),), each.log_time_ms)])[0]
        snapshot = logic.snapshot()
        changelog.close()
    assert [_command(each.value or b"").to_list for each in out if each.topic.startswith("moves")] == ["x"]
