"""Rows of sessions, late verdicts, derived purchases, forgetting: what a person's events come to beside matches."""

from __future__ import annotations

from random import Random

import pytest

from contracts.codec import replaced
from contracts.events import Event
from contracts.rows import EventRow, SessionRow
from flows.derived.purchases import Purchase, bought
from flows.subscriber.engine import Emitted, WorkspaceEngine
from flows.subscriber.limits import Limit
from flows.subscriber.pinned_terms import Terms
from flows.subscriber.steps import ANONYMOUS_KEPT_MS, DAY_MS, PERSON_KEPT_MS
from tests.flows.test_decide_and_engine import MINUTE_MS, Story, engine_of, event, kinds

GAP_MS = 30 * MINUTE_MS


def sessions(emitted: Emitted) -> list[tuple[int, int, int]]:
    """Start and end in minutes, and the count, of the rows of sessions."""
    return [
        (row.started_at_ms // MINUTE_MS, row.ended_at_ms // MINUTE_MS, row.events)
        for row in emitted.rows
        if isinstance(row, SessionRow)
    ]


def viewed(event_id: str, minute: int, **properties: str) -> Event:
    return event(event_id, "page_viewed", minute * MINUTE_MS, **properties)


def test_a_session_is_told_when_it_begins_and_when_it_ends() -> None:
    story = Story(engine_of())
    assert sessions(story.apply(viewed("e1", 100))) == [(100, 100, 1)]
    assert sessions(story.apply(viewed("e2", 110))) == []
    assert sessions(story.apply(viewed("e3", 141))) == [(100, 110, 2), (141, 141, 1)]
    ends_ms = 171 * MINUTE_MS + 2_001
    assert sessions(story.flow.pass_time(story.person, ends_ms)) == [], "one event: all of it was told already"
    story.apply(viewed("e4", 142))
    assert story.flow.due_ms(story.person) == ends_ms + MINUTE_MS
    assert sessions(story.flow.pass_time(story.person, ends_ms + MINUTE_MS - 1)) == []
    assert sessions(story.flow.pass_time(story.person, ends_ms + MINUTE_MS)) == [(141, 142, 2)]
    assert sessions(story.flow.pass_time(story.person, ends_ms + 2 * MINUTE_MS)) == []


def test_a_row_names_the_landing_page_and_the_campaign() -> None:
    story = Story(engine_of())
    story.apply(event("e1", "email_clicked", 1_000, campaign="spring"))
    story.apply(event("e2", "page_viewed", 2_000, path="/shoes"))
    story.apply(event("e3", "page_viewed", 3_000, path="/hats", campaign="other"))
    (row,) = (row for row in story.flow.pass_time(story.person, 10 * GAP_MS).rows if isinstance(row, SessionRow))
    assert (row.landing_path, row.campaign, row.events) == ("/shoes", "spring", 3)


def test_a_late_event_that_joins_two_sessions_joins_their_rows() -> None:
    story = Story(wide())
    first = story.apply(viewed("e1", 100)).rows[1]
    second = story.apply(viewed("e3", 140)).rows[-1]
    assert isinstance(first, SessionRow)
    assert isinstance(second, SessionRow)
    emitted = story.apply(viewed("e2", 120))
    (joined,) = (row for row in emitted.rows if isinstance(row, SessionRow))
    assert (joined.session, joined.joined, joined.events) == (first.session, (second.session,), 3)


def test_a_late_event_before_a_session_gives_it_another_name_and_names_the_old_one() -> None:
    story = Story(wide())
    first = story.apply(viewed("e1", 100)).rows[1]
    assert isinstance(first, SessionRow)
    (row,) = (row for row in story.apply(viewed("e0", 90)).rows if isinstance(row, SessionRow))
    assert row.session != first.session
    assert (row.joined, row.events) == ((first.session,), 2)


def test_a_late_event_into_a_session_that_has_ended_tells_it_again() -> None:
    story = Story(wide())
    story.apply(viewed("e1", 100))
    story.apply(viewed("e3", 140))
    assert sessions(story.apply(viewed("e2", 105))) == [(100, 105, 2)]


def wide() -> WorkspaceEngine:
    """A flow whose lateness is wider than a session's gap."""
    return WorkspaceEngine("w", terms=Terms(DAY_MS, GAP_MS, DAY_MS, 2_000))


CLICKED = "listener: l\nsequence: [{action: email_clicked}, {action: page_viewed}]\n"
ADD = "then: [{add: {to: x, at: mailbox}}]\n"


def click(verdict: str, at_ms: int = 1_000) -> Event:
    return replaced(event("c-1", "email_clicked", at_ms), verdict=verdict)


def test_a_verdict_within_the_lateness_runs_the_machine_again() -> None:
    story = Story(engine_of(CLICKED + ADD))
    story.apply(click("confirmed:quarantine"))
    done = story.apply(event("e2", "page_viewed", 2_000)).commands
    emitted = story.apply(click("machine:reported"))
    assert kinds(emitted) == ["retraction"]
    assert [command.undoes for command in emitted.commands] == [done[0].command_id]
    assert kinds(story.apply(click("machine:reported"))) == []


def test_a_sign_that_comes_after_a_landing_takes_nothing_back() -> None:
    """The end of a quarantine tells a scanner's sign also of a click whose landing another device has told."""
    story = Story(engine_of(CLICKED + ADD))
    story.apply(click("confirmed:landed"))
    story.apply(event("e2", "page_viewed", 2_000))
    assert kinds(story.apply(click("machine:agent"))) == []
    assert kinds(story.apply(click("machine:reported"))) == ["retraction"]


@pytest.mark.parametrize("days", [0, 29])
def test_a_verdict_after_the_lateness_takes_back_what_rests_on_the_click(days: int) -> None:
    story = Story(engine_of(CLICKED + ADD))
    story.apply(click("confirmed:quarantine"))
    done = story.apply(event("e2", "page_viewed", 2_000)).commands
    later_ms = days * DAY_MS + 60 * MINUTE_MS
    story.apply(event("e3", "product_added", later_ms), later_ms)
    emitted = story.apply(click("machine:reported"), later_ms)
    assert kinds(emitted) == ["retraction"]
    assert [command.undoes for command in emitted.commands] == [done[0].command_id]
    assert kinds(story.apply(click("machine:reported"), later_ms)) == [], "once"


def test_a_verdict_after_thirty_days_comes_too_late() -> None:
    story = Story(engine_of(CLICKED + ADD, CLICKED.replace("l\n", "other\n", 1) + ADD))
    story.apply(click("confirmed:quarantine"))
    story.apply(event("e2", "page_viewed", 2_000))
    later_ms = 31 * DAY_MS
    story.apply(replaced(click("confirmed:quarantine"), event_id="c-2", occurred_at_ms=later_ms), later_ms)
    story.apply(event("e3", "page_viewed", later_ms + 1_000), later_ms)
    assert kinds(story.apply(click("machine:reported"), later_ms)) == []


def test_what_a_late_verdict_took_back_is_not_taken_back_again() -> None:
    guarded = "listener: l\nsequence: [{action: email_clicked}, {not: button_clicked}, {action: page_viewed}]\n"
    story = Story(engine_of(guarded + ADD))
    story.apply(click("confirmed:quarantine"))
    story.apply(event("e2", "page_viewed", 9 * MINUTE_MS))
    story.apply(event("e3", "product_added", 15 * MINUTE_MS))  # the click is older than the lateness, the match is not
    assert kinds(story.apply(click("machine:reported"))) == ["retraction"]
    assert kinds(story.apply(event("e1", "button_clicked", 8 * MINUTE_MS))) == []


def test_matches_without_a_click_are_not_held() -> None:
    story = Story(engine_of("listener: l\nsequence: [{action: page_viewed}]\n" + ADD))
    story.apply(event("e1", "page_viewed", 1_000))
    assert not story.person.evidence.matches


SIMILAR = "listener: l\nsequence: [{action: similar_product_bought}]\n" + ADD


def test_a_product_like_an_earlier_one_is_a_similar_product() -> None:
    story = Story(engine_of(SIMILAR))
    story.apply(event("e1", "product_bought", 1_000, sku="a", category="shoes", brand="x"))
    assert kinds(story.apply(event("e2", "product_bought", 2_000, sku="b", category="hats", brand="y"))) == []
    emitted = story.apply(event("e3", "product_bought", 3_000, sku="c", category="gloves", brand="y"))
    assert kinds(emitted) == ["match"]
    (derived,) = (row.event for row in emitted.rows if isinstance(row, EventRow) and row.event.action[0] == "s")
    assert (derived.event_id, derived.properties["sku"]) == ("e3~similar", "c")
    assert kinds(story.apply(event("e4", "product_bought", 4_000, tags=["red", "new"]))) == []
    assert kinds(story.apply(event("e5", "product_bought", 5_000, items=[{"tag": "new"}]))) == ["match"]
    assert kinds(story.apply(event("e5", "product_bought", 5_000, items=[{"tag": "new"}]))) == [], "a repetition"


def test_every_order_of_arrival_finds_the_same_similar_products() -> None:
    chance = Random(1)
    for _ in range(300):
        events = [
            event(f"e{number}", "product_bought", number * 1_000, category=chance.choice("abcdefgh"))
            for number in range(chance.randrange(1, 9))
        ]
        found = []
        for order in (events, chance.sample(events, k=len(events))):
            kept: tuple[Purchase, ...] = ()
            said: set[str] = set()
            for each in order:
                kept, derived = bought(kept, each, 10 * MINUTE_MS)
                assert said.isdisjoint(event.event_id for event in derived)
                said |= {event.event_id for event in derived}
            found.append(said)
        assert found[0] == found[1]


def test_the_last_fifty_purchases_count() -> None:
    story = Story(engine_of(SIMILAR))
    for number in range(51):
        story.apply(event(f"e{number}", "product_bought", number * 1_000, category=f"c{number}"))
    assert kinds(story.apply(event("x", "product_bought", 60_000, category="c0"))) == []
    assert kinds(story.apply(event("y", "product_bought", 61_000, category="c5"))) == ["match"]
    assert len(story.person.purchases) == 50


@pytest.mark.parametrize(("subscriber", "kept_ms"), [("s_anna", PERSON_KEPT_MS), ("a_device", ANONYMOUS_KEPT_MS)])
def test_somebody_who_stays_away_is_forgotten_and_not_before(subscriber: str, kept_ms: int) -> None:
    flow = engine_of(CLICKED + ADD)
    story = Story(flow, subscriber)
    story.apply(event("e1", "email_clicked", 1_000, subscriber))
    at_ms, wakes = 0, 0
    while not flow.is_forgotten(story.person, at_ms):
        due_ms = flow.due_ms(story.person)
        assert due_ms > at_ms, "time goes on"
        at_ms, wakes = due_ms, wakes + 1
        flow.pass_time(story.person, at_ms)
    assert (at_ms, wakes) == (1_000 + kept_ms, 3)
    assert not story.person.timeline.entries


def test_the_undo_log_goes_when_nothing_can_enter_it_and_its_runs_stay() -> None:
    flow = engine_of(CLICKED + ADD)
    story = Story(flow)
    story.apply(click("confirmed:landed"))
    before = len(flow.encode(story.person))
    flow.pass_time(story.person, 1_000 + DAY_MS + 1)
    assert not story.person.timeline.entries
    assert len(flow.encode(story.person)) < before
    assert kinds(story.apply(event("e2", "page_viewed", DAY_MS + MINUTE_MS), DAY_MS + MINUTE_MS)) == ["match"]


def test_a_bound_that_bites_is_counted() -> None:
    tied = "sequence: [{step: a, action: page_viewed}, {action: product_added, where: {sku: {same_as: a.sku}}}]\n"
    flow = engine_of("listener: l\nwithin: 1d\n" + tied + ADD)
    story = Story(flow)
    for number in range(70):
        story.apply(event(f"e{number}", "page_viewed", number * 1_000, sku=f"p{number}"))
    flow.encode(story.person)
    assert flow.bounds.total[Limit.RUNS] == 6
    many = Story(engine_of())
    for number in range(2_010):
        many.flow.apply(many.person, event(f"e{number}", "page_viewed", 1_000 + number), 0)
    assert many.flow.bounds.total[Limit.UNDO_LOG] == 10
