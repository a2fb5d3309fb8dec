"""Whom a back-fill moves: what stands at the end of a person's past, each place once (SEMANTICS 9)."""

from __future__ import annotations

from typing import Any

from contracts.events import Event, Trust
from flows.backtest.members import MemberFound, member_of
from flows.backtest.replay import replay
from flows.backtest.subject import Subject
from flows.language.parse import parse_listeners
from flows.subscriber.decide import command_id
from flows.subscriber.generations import Deployed
from flows.subscriber.pinned_terms import Terms

NOON = 1_792_843_200_000
TERMS = Terms(600_000, 1_800_000, 86_400_000, 2_000)
MOVE = "then: [{move: {from: news, to: hot, at: mail}}]\n"
KNOWN = {"email_clicked", "page_viewed", "product_bought"}


def subject(text: str, version: int = 1, *, until_ms: int | None = None) -> Subject:
    data = f"listener: keen\nversion: {version}\n{text}".encode()
    return Subject("w", [Deployed(parse_listeners([("l.yaml", data)], known_actions=KNOWN)[0], 0, 0, until_ms)], TERMS)


def event(number: int, action: str, after_s: int, **more: Any) -> Event:
    at_ms = NOON + 1_000 * after_s
    given: dict[str, Any] = {"log_time_ms": at_ms, "trust": Trust.SERVER, **more}
    return Event("w", "s_ann", f"e{number}", action, at_ms, **given)


def found(tested: Subject, *events: Event, earlier: Subject | None = None, until_s: int = 100_000) -> MemberFound:
    own = [(each, each.log_time_ms, "") for each in events]
    until_ms = NOON + 1_000 * until_s
    before = replay(earlier, own, until_ms) if earlier is not None else None
    return member_of(tested.listeners[0], replay(tested, own, until_ms), own, before)


def test_of_many_matches_the_last_word_about_a_list_is_given_under_its_own_id() -> None:
    tested = subject(f"sequence: [{{action: page_viewed}}]\n{MOVE}")
    (command,) = found(tested, *(event(number, "page_viewed", number) for number in range(3))).commands
    assert command.matched_at_ms == NOON + 2_000
    assert command.command_id == command_id(command.match_id, 0)
    assert command.backfill
    assert (command.from_list, command.to_list) == ("news", "hot")


def test_who_is_moved_on_by_a_later_match_is_moved_on() -> None:
    text = "sequence: [{step: s, action: page_viewed}]\nthen: [{add: {to: 'x-{s.path}', at: mail}}]\n"
    views = [event(number, "page_viewed", number, properties={"path": name}) for number, name in enumerate("aba")]
    commands = found(subject(text), *views).commands
    assert [each.to_list for each in commands] == ["x-b", "x-a"]


def test_what_was_taken_back_is_not_given() -> None:
    tested = subject(f"sequence: [{{action: page_viewed}}, {{not: product_bought, for: 60s}}]\n{MOVE}")
    viewed, other = event(1, "page_viewed", 0), event(3, "email_clicked", 70)
    bought = event(2, "product_bought", 30, log_time_ms=NOON + 80_000)
    assert len(found(tested, viewed, other).commands) == 1
    assert found(tested, viewed, other, bought).is_silent


def test_a_list_that_the_person_joined_or_left_since_is_theirs() -> None:
    tested = subject(f"sequence: [{{action: page_viewed}}]\n{MOVE}")
    said = {"account": "mail", "list": "hot", "by": "person"}
    left = event(2, "list_left", 10, properties=said)
    told = found(tested, event(1, "page_viewed", 0), left)
    assert (told.commands, told.theirs) == ((), 1)
    joined = event(2, "list_joined", 10, properties={**said, "list": "news"})
    assert found(tested, event(1, "page_viewed", 0), joined).theirs == 1
    before = event(2, "list_joined", -10, properties={**said, "list": "news"})
    assert found(tested, before, event(1, "page_viewed", 0)).theirs == 0
    elsewhere = event(2, "list_left", 10, properties={**said, "account": "other"})
    assert found(tested, event(1, "page_viewed", 0), elsewhere).theirs == 0


def test_repeat_counts_the_matches_of_earlier_versions_by_their_time() -> None:
    view, later = event(1, "page_viewed", 0), event(2, "page_viewed", 500)
    every = f"sequence: [{{action: page_viewed}}]\n{MOVE}"
    once, rests = f"repeat: once\n{every}", f"repeat: {{cooldown: 10m}}\n{every}"
    earlier = subject(every, until_ms=NOON + 100_000)
    assert len(found(subject(every, 2), view, later, earlier=earlier).commands) == 1
    assert found(subject(once, 2), view, later, earlier=earlier).is_silent
    assert found(subject(rests, 2), view, later, earlier=earlier).is_silent
    much_later = event(3, "page_viewed", 601)
    assert len(found(subject(rests, 2), view, much_later, earlier=earlier).commands) == 1


def test_who_is_held_out_is_told_and_not_moved() -> None:
    tested = subject(f"holdout: 99%\nsequence: [{{action: page_viewed}}]\n{MOVE}")
    told = found(tested, event(1, "page_viewed", 0))
    assert (told.commands, told.held_out) == ((), True)


def test_what_completed_in_a_pause_is_told_and_not_made_good() -> None:
    viewed = subject(f"sequence: [{{action: page_viewed}}]\n{MOVE}").listeners[0]
    tested = Subject("w", [Deployed(viewed, 0, 0, pauses=((NOON + 5_000, NOON + 9_000),))], TERMS)
    told = found(tested, event(1, "page_viewed", 6))
    assert (told.commands, told.paused, told.is_silent) == ((), True, False)
    told = found(tested, event(1, "page_viewed", 1), event(2, "page_viewed", 6))
    assert ([each.matched_at_ms for each in told.commands], told.paused) == ([NOON + 1_000], True)
    assert found(tested, event(1, "page_viewed", 9)).paused is False


def test_a_webhook_is_not_called_for_the_past() -> None:
    text = "sequence: [{action: page_viewed}]\nthen: [{webhook: {url: 'https://crm.example/hook'}}]\n"
    assert found(subject(text), event(1, "page_viewed", 0)).is_silent
