"""What matches want, and how re-application changes it (SEMANTICS 8)."""

from __future__ import annotations

from typing import Any

from contracts.actions import VOCABULARY
from contracts.codec import replaced
from contracts.commands import Verb
from contracts.events import Event
from contracts.reasons import Reason
from contracts.rows import CommandRow, EventRow, MatchRow
from flows.language.parse import parse_listeners
from flows.subscriber.decide import command_id
from flows.subscriber.engine import Emitted, WorkspaceEngine
from flows.subscriber.pinned_terms import Terms

MINUTE_MS = 60_000


def engine_of(*documents: str) -> WorkspaceEngine:
    files = [(f"{number}.yaml", text.encode()) for number, text in enumerate(documents)]
    listeners = parse_listeners(files, known_actions=VOCABULARY)
    return WorkspaceEngine(
        "w",
        listeners,
        terms=Terms(10 * MINUTE_MS, 30 * MINUTE_MS, 1_440 * MINUTE_MS, 2_000),
    )


def event(event_id: str, action: str, at_ms: int, subscriber: str = "s_anna", **properties: Any) -> Event:
    return Event("w", subscriber, event_id, action, at_ms, properties=properties, received_at_ms=at_ms)


class Story:
    """One person's events, with log times, and what came of them."""

    def __init__(self, flow: WorkspaceEngine, subscriber: str = "s_anna") -> None:
        self.flow, self.person = flow, flow.new(subscriber)

    def apply(self, each: Event, log_time_ms: int = 0) -> Emitted:
        # Whatever happens in between, a save and restore changes nothing.
        self.person = self.flow.decode(self.flow.encode(self.person))
        return self.flow.apply(self.person, each, log_time_ms)


def kinds(emitted: Emitted) -> list[str]:
    return [row.kind for row in emitted.rows if isinstance(row, MatchRow)]


MOVE = """
listener: looked
sequence:
  - {step: looked, action: page_viewed}
  - action: product_added
then:
  - move: {from: newsletter, to: "viewed-{looked.category}", at: mailbox}
  - add: {to: everybody, at: mailbox}
"""


def test_a_match_becomes_commands_with_ids_of_the_match_and_the_position() -> None:
    story = Story(engine_of(MOVE))
    story.apply(event("e1", "page_viewed", 1_000, category="Red Shoes & Boots!"))
    emitted = story.apply(event("e2", "product_added", 2_000))
    first, second = emitted.commands
    assert (first.verb, first.from_list, first.to_list) == (Verb.MOVE, "newsletter", "viewed-red-shoes-boots")
    assert (second.verb, second.to_list, second.position) == (Verb.ADD, "everybody", 1)
    assert first.command_id == command_id(first.match_id, 0)
    assert (first.max_lists, second.max_lists) == (50, 0)
    assert first.received_at_ms == 2_000
    assert [ref.event_id for refs in first.evidence.values() for ref in refs] == ["e1", "e2"]
    assert [type(row) for row in emitted.rows] == [EventRow, MatchRow, CommandRow, CommandRow]


def test_a_list_that_the_event_cannot_name_is_refused_and_the_rest_is_done() -> None:
    story = Story(engine_of(MOVE))
    story.apply(event("e1", "page_viewed", 1_000, category="!!!"))
    emitted = story.apply(event("e2", "product_added", 2_000))
    assert [command.to_list for command in emitted.commands] == ["everybody"]
    assert [(reason, text) for reason, text, _ in emitted.refused] == [
        (Reason.BAD_LIST_NAME, "viewed-{looked.category}")
    ]


def test_a_lists_name_takes_at_most_sixty_characters_of_a_value() -> None:
    story = Story(engine_of(MOVE))
    story.apply(event("e1", "page_viewed", 1_000, category="x" * 200))
    emitted = story.apply(event("e2", "product_added", 2_000))
    assert emitted.commands[0].to_list == "viewed-" + "x" * 60


def test_nobody_known_is_a_row_and_no_command() -> None:
    story = Story(engine_of(MOVE), "a_1")
    story.apply(event("e1", "page_viewed", 1_000, "a_1", category="c"))
    emitted = story.apply(event("e2", "product_added", 2_000, "a_1"))
    assert [row.reason for row in emitted.rows if isinstance(row, MatchRow)] == ["no_identity"]
    assert emitted.commands == []


STRICT = """
listener: straight
sequence:
  - action: page_viewed
  - not: button_clicked
  - action: product_added
then: [{move: {from: newsletter, to: straight, at: mailbox}}]
"""


def test_a_late_event_takes_a_match_back_and_undoes_it() -> None:
    story = Story(engine_of(STRICT))
    story.apply(event("e1", "page_viewed", 1_000))
    done = story.apply(event("e3", "product_added", 3_000)).commands
    emitted = story.apply(event("e2", "button_clicked", 2_000))
    assert kinds(emitted) == ["retraction"]
    (undo,) = emitted.commands
    assert undo.undoes == done[0].command_id
    assert undo.command_id == command_id(done[0].match_id, 0, undo=True)
    assert undo.command_id != done[0].command_id


def test_a_match_that_comes_again_is_done_again_under_another_id() -> None:
    text = "sequence: [{action: product_added}, {not: email_clicked}, {action: page_viewed}]"
    story = Story(engine_of(f"listener: l\n{text}\nthen: [{{add: {{to: x, at: mailbox}}}}]\n"))
    story.apply(event("e1", "product_added", 1_000))
    first = story.apply(event("e3", "page_viewed", 3_000)).commands[0]
    click = Event("w", "s_anna", "c-1", "email_clicked", 2_000, verdict="confirmed:quarantine")
    undo = story.apply(click).commands[0]
    again = story.apply(replaced(click, verdict="machine:reported")).commands[0]
    assert undo.undoes == first.command_id
    assert again.match_id == first.match_id
    assert again.command_id not in {first.command_id, undo.command_id}
    assert again.command_id == command_id(f"{first.match_id}#1", 0)
    last = story.apply(event("e2", "email_clicked", 2_500)).commands[0]
    assert last.undoes == again.command_id
    assert len({each.command_id for each in (first, undo, again, last)}) == 4


def test_keep_leaves_the_move_and_writes_the_retraction() -> None:
    story = Story(engine_of(STRICT + "on_retraction: keep\n"))
    story.apply(event("e1", "page_viewed", 1_000))
    story.apply(event("e3", "product_added", 3_000))
    emitted = story.apply(event("e2", "button_clicked", 2_000))
    assert (kinds(emitted), emitted.commands) == (["retraction"], [])


def test_other_evidence_for_the_same_wish_is_an_amendment_and_no_command() -> None:
    plain = "listener: l\nsequence: [{action: page_viewed}, {action: product_added}]\n"
    story = Story(engine_of(plain + "then: [{add: {to: x, at: mailbox}}]\n"))
    story.apply(event("e2", "page_viewed", 2_000))
    done = story.apply(event("e3", "product_added", 3_000)).commands
    emitted = story.apply(event("e1", "page_viewed", 1_000))
    assert (kinds(emitted), emitted.commands) == (["amendment"], [])
    # What stands now stands for the first match: taking it back undoes the first command.
    guarded = Story(engine_of(STRICT.replace("straight", "l")))
    guarded.apply(event("e2", "page_viewed", 2_000))
    done = guarded.apply(event("e4", "product_added", 4_000)).commands
    assert kinds(guarded.apply(event("e1", "page_viewed", 1_000))) == ["amendment"]
    undone = guarded.apply(event("e3", "button_clicked", 3_000))
    assert [command.undoes for command in undone.commands] == [done[0].command_id]


def test_a_deadline_fires_by_log_time_and_grace_alone() -> None:
    text = "listener: l\nsequence: [{action: product_added}, {not: product_bought, for: 30s}]\n"
    flow = engine_of(text + "then: [{add: {to: x, at: mailbox}}]\n")
    story = Story(flow)
    story.apply(event("e1", "product_added", 1_000), 1_000)
    assert flow.due_ms(story.person) == 1_000 + 30_000 + 2_000
    assert flow.pass_time(story.person, 32_999).commands == []
    (command,) = flow.pass_time(story.person, 33_000).commands
    assert (command.matched_at_ms, command.received_at_ms) == (31_000, 0)


def test_late_and_repeated_events_are_rows_with_a_reason() -> None:
    story = Story(engine_of(MOVE))
    story.apply(event("e1", "page_viewed", 20 * MINUTE_MS))
    late = story.apply(event("e0", "page_viewed", 5 * MINUTE_MS))
    again = story.apply(event("e1", "page_viewed", 20 * MINUTE_MS))
    assert [row.reason for row in (*late.rows, *again.rows) if isinstance(row, EventRow)] == ["late", "duplicate"]


def test_a_click_counts_once_it_is_confirmed_in_its_place() -> None:
    text = "listener: l\nsequence: [{action: email_clicked}, {action: page_viewed}]\n"
    story = Story(engine_of(text + "then: [{add: {to: x, at: mailbox}}]\n"))
    on_trial = Event("w", "s_anna", "c-1", "email_clicked", 1_000, provisional=True)
    story.apply(on_trial)
    assert story.apply(event("e2", "page_viewed", 2_000)).commands == []
    confirmed = Event("w", "s_anna", "c-1", "email_clicked", 1_500, verdict="confirmed:landed")
    emitted = story.apply(confirmed)
    assert kinds(emitted) == ["match"]
    assert [ref.event_id for refs in emitted.commands[0].evidence.values() for ref in refs] == ["c-1", "e2"]
    assert story.apply(on_trial).rows[0].reason == "duplicate"  # type: ignore[union-attr]


def test_without_rows_of_events_the_rest_is_told_the_same() -> None:
    documents = [(f"{number}.yaml", text.encode()) for number, text in enumerate([MOVE])]
    listeners = parse_listeners(documents, known_actions=VOCABULARY)
    flow = WorkspaceEngine("w", listeners, terms=Terms(1_000, 1_000, 9_000, 0), event_rows=False)
    told = Story(flow)
    rows = [
        *told.apply(event("e1", "page_viewed", 1_000, category="shoes")).rows,
        *told.apply(event("e2", "product_added", 2_000)).rows,
    ]
    assert [type(row).__name__ for row in rows] == ["SessionRow", "MatchRow", "CommandRow", "CommandRow"]


def test_an_amended_match_that_is_complete_at_another_instant_moves_its_command_there() -> None:
    then = "then: [{add: {to: x, at: mailbox}}, {webhook: {url: 'https://crm.example/'}}]\n"
    story = Story(engine_of(STRICT[: STRICT.index("then")] + then))
    story.apply(event("e1", "page_viewed", 1_000))
    done = story.apply(event("e5", "product_added", 5_000)).commands
    emitted = story.apply(event("e3", "product_added", 3_000))
    assert (kinds(emitted), emitted.commands) == (["amendment"], [])
    (moved,) = emitted.restated
    assert (moved.restates, moved.matched_at_ms) == (done[0].command_id, 3_000)
    assert moved.command_id not in {each.command_id for each in done}
    undone = story.apply(event("e2", "button_clicked", 2_000))
    assert [each.undoes for each in undone.commands] == [each.command_id for each in done]
    # A webhook names the commands beside it, of the undo as of the match (SEMANTICS 8.1, 16).
    for added, webhook in (done, undone.commands):
        assert (webhook.beside, added.beside) == ({added.command_id: "mailbox"}, {})
    assert undone.restated == []
