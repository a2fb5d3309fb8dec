"""Versions over time: shadows write rows, promotion moves people, what is live depends on the place in the log."""

from __future__ import annotations

from random import Random

import pytest

from contracts.actions import VOCABULARY
from contracts.codec import replaced
from contracts.events import Event
from contracts.rows import MatchRow
from contracts.versions import ListenerVersion, ended, promoted
from flows.language.model import Listener
from flows.language.parse import parse_listeners
from flows.subscriber.decide import command_id
from flows.subscriber.engine import Emitted, Subscriber, WorkspaceEngine
from flows.subscriber.generations import Deployed
from flows.subscriber.pinned_terms import Terms
from tests.flows.test_decide_and_engine import MINUTE_MS, kinds

SECOND_MS = 1_000


def listener(version: int, *, action: str = "page_viewed", more: str = "") -> Listener:
    text = (
        f"listener: l\nversion: {version}\n{more}sequence: [{{action: email_clicked}}, {{action: {action}}}]\n"
        f"then: [{{add: {{to: list-{version}, at: a}}}}]\n"
    )
    (found,) = parse_listeners([("l.yaml", text.encode())], known_actions=VOCABULARY)
    return found


def empty() -> WorkspaceEngine:
    return WorkspaceEngine(
        "w",
        terms=Terms(10 * MINUTE_MS, 30 * MINUTE_MS, 1_440 * MINUTE_MS, 200),
    )


def event(second: int, action: str, log_second: int | None = None, event_id: str = "") -> Event:
    log_ms = (second if log_second is None else log_second) * SECOND_MS
    return Event("w", "s", event_id or f"e{second}", action, second * SECOND_MS, log_time_ms=log_ms)


class Story:
    """Events at the log times that they carry, through a restart before each."""

    def __init__(self, flow: WorkspaceEngine) -> None:
        self.flow, self.person = flow, flow.new("s")

    def apply(self, each: Event) -> Emitted:
        self.person = self.flow.decode(self.flow.encode(self.person))
        return self.flow.apply(self.person, each, each.log_time_ms)


def told(emitted: Emitted) -> list[tuple[str, int, str]]:
    return [(row.kind, row.version, row.reason) for row in emitted.rows if isinstance(row, MatchRow)]


def lists(emitted: Emitted) -> list[str]:
    return [command.to_list for command in emitted.commands]


SHADOWED = [Deployed(listener(1), until_ms=30_000), Deployed(listener(2), 10_000, 30_000)]
"""Version 2 is a shadow from second 10 and live from second 30, when version 1 ends."""


def test_a_shadow_writes_rows_and_moves_nobody_until_it_is_promoted() -> None:
    flow = empty()
    flow.deploy(SHADOWED)
    story = Story(flow)
    story.apply(event(1, "email_clicked"))
    emitted = story.apply(event(2, "page_viewed"))
    assert (told(emitted), lists(emitted)) == ([("match", 1, "")], ["list-1"])
    story.apply(event(11, "email_clicked"))
    emitted = story.apply(event(12, "page_viewed"))
    assert told(emitted) == [("match", 1, ""), ("match", 2, "shadowed")]
    assert lists(emitted) == ["list-1"]
    story.apply(event(29, "email_clicked"))
    emitted = story.apply(event(31, "page_viewed"))
    assert (told(emitted), lists(emitted)) == ([("match", 2, "")], ["list-2"])


def test_an_event_that_the_log_took_before_a_version_is_none_of_its() -> None:
    flow = empty()
    flow.deploy(SHADOWED)
    story = Story(flow)
    story.apply(event(9, "email_clicked"))
    assert told(story.apply(event(12, "page_viewed"))) == [("match", 1, "")]


def test_a_late_event_after_a_promotion_takes_back_nothing_that_the_version_before_it_did() -> None:
    flow = empty()
    guarded = "sequence: [{action: email_clicked}, {not: button_clicked}, {action: page_viewed}]"
    text = f"listener: l\n{guarded}\nthen: [{{add: {{to: x, at: a}}}}]"
    first = parse_listeners([("l", text.encode())], known_actions=VOCABULARY)
    flow.deploy([Deployed(first[0], until_ms=30_000), Deployed(listener(2), 30_000, 30_000)])
    story = Story(flow)
    story.apply(event(1, "email_clicked"))
    assert told(story.apply(event(9, "page_viewed"))) == [("match", 1, "")]
    emitted = story.apply(event(5, "button_clicked", log_second=31))
    assert (told(emitted), lists(emitted)) == ([], [])


VIEWED = "listener: l\nversion: {}\nrepeat: {}\nsequence: {}\nthen: [{{add: {{to: x, at: a}}}}]\n"
ONE_VIEW = "[{action: page_viewed, session: {events: {at_least: 1}}}]"
NO_PURCHASE = "[{action: page_viewed, session: {events: {at_least: 1}}}, {not: product_bought, for: 1s}]"
"""What asks of sessions is applied again from where an event came late, whatever event it is."""


def viewed(version: int, repeat: str, sequence: str = ONE_VIEW) -> Listener:
    text = VIEWED.format(version, repeat, sequence).encode()
    (found,) = parse_listeners([("l.yaml", text)], known_actions=VOCABULARY)
    return found


def late(second: int, log_second: int) -> Event:
    return event(second, "button_clicked", log_second, f"late{second}")


@pytest.mark.parametrize("repeat", ["once", "{cooldown: 1d}"])
@pytest.mark.parametrize("sequence", [ONE_VIEW, NO_PURCHASE])
def test_what_a_shadow_matched_never_counts_however_late_events_come(repeat: str, sequence: str) -> None:
    flow = empty()
    flow.deploy([Deployed(viewed(1, repeat, sequence), 0, 10_000)])
    story = Story(flow)
    story.apply(event(5, "page_viewed"))
    assert told(story.apply(late(2, 12))) == ([] if sequence == ONE_VIEW else [("match", 1, "shadowed")])
    moved = lists(story.apply(event(15, "page_viewed")))
    assert [*moved, *lists(flow.pass_time(story.person, 17_000))] == ["x"]
    assert told(story.apply(late(4, 20))) == []
    assert told(story.apply(event(30, "page_viewed"))) == []
    assert told(flow.pass_time(story.person, 40_000)) == [], "the live match counts"


@pytest.mark.parametrize("repeat", ["once", "{cooldown: 1d}"])
@pytest.mark.parametrize("sequence", [ONE_VIEW, NO_PURCHASE])
def test_what_the_version_before_matched_counts_however_late_events_come(repeat: str, sequence: str) -> None:
    flow = empty()
    flow.deploy([Deployed(viewed(1, repeat, sequence), until_ms=10_000), Deployed(viewed(2, repeat), 10_000, 10_000)])
    story = Story(flow)
    story.apply(event(5, "page_viewed"))
    story.apply(late(2, 12))
    assert lists(story.apply(event(15, "page_viewed"))) == []
    assert lists(story.apply(late(4, 20))) == []
    assert lists(story.apply(event(30, "page_viewed"))) == []


def test_what_a_shadow_heard_after_its_match_is_not_heard_again_once_it_is_live() -> None:
    pair = "[{action: email_clicked, session: {events: {at_least: 1}}}, {action: page_viewed}]"
    flow = empty()
    flow.deploy([Deployed(viewed(1, "once", pair), 0, 10_000)])
    story = Story(flow)
    for each in (event(1, "email_clicked"), event(2, "page_viewed"), event(3, "email_clicked")):
        story.apply(each)
    assert told(story.apply(late(0, 12))) == []
    assert told(story.apply(event(13, "page_viewed"))) == [], "the shadow was done at second 3"
    story.apply(event(14, "email_clicked"))
    assert lists(story.apply(event(15, "page_viewed"))) == ["x"]


def test_a_listener_that_is_gone_drops_its_runs_and_fires_no_deadline() -> None:
    rule = "sequence: [{action: product_added}, {not: product_bought, for: 30s}]"
    text = f"listener: l\n{rule}\nthen: [{{add: {{to: x, at: a}}}}]".encode()
    (waits,) = parse_listeners([("l", text)], known_actions=VOCABULARY)
    flow = empty()
    flow.deploy([Deployed(waits, until_ms=20_000)])
    story = Story(flow)
    story.apply(event(1, "product_added"))
    assert kinds(flow.pass_time(story.person, 60_000)) == []
    story = Story(flow)
    flow.deploy([Deployed(waits, until_ms=40_000)])
    story.apply(event(1, "product_added"))
    emitted = flow.pass_time(story.person, 60_000)
    assert kinds(emitted) == ["match"], "what was due before its end is due, however late it is looked at"


def test_what_was_heard_of_while_somebody_was_followed_is_taken_over() -> None:
    flow = empty()
    flow.deploy([Deployed(listener(1))])
    person = flow.new("s")
    flow.apply(person, event(1, "email_clicked"), 1_000)
    flow.deploy([Deployed(listener(1), until_ms=5_000), Deployed(listener(2), 5_000, 5_000)])
    flow.apply(person, event(6, "email_clicked"), 6_000)
    assert lists(flow.apply(person, event(7, "page_viewed"), 7_000)) == ["list-2"]


def test_news_that_come_too_late_for_their_instant_are_taken_over_all_the_same() -> None:
    flow = empty()
    flow.deploy([Deployed(listener(1))])
    person = flow.new("s")
    flow.apply(person, event(1, "email_clicked"), 1_000)
    flow.deploy([])
    assert told(flow.apply(person, event(2, "page_viewed"), 2_000)) == []
    assert isinstance(person, Subscriber)


@pytest.mark.parametrize("seed", range(40))
def test_whenever_a_worker_hears_of_a_version_the_answer_is_the_replays(seed: int) -> None:
    chance = Random(seed)
    actions = ("email_clicked", "page_viewed", "product_added")
    seconds = sorted(chance.sample(range(1, 60), k=25))
    events = [
        event(max(second - chance.choice((0, 0, 5)), 0), chance.choice(actions), second, f"e{second}")
        for second in seconds
    ]
    versions = [
        Deployed(listener(1), until_ms=30_000),
        Deployed(listener(2, action="product_added"), 12_000, 30_000, 45_000),
        Deployed(listener(3, more="repeat: once\n"), 33_000, 45_000),
    ]
    replayed, live = empty(), empty()
    replayed.deploy(versions)
    whole, person = [], replayed.new("s")
    for each in events:
        whole.append(replayed.apply(person, each, each.log_time_ms))
    heard, story, said = versions[:1], Story(live), []
    live.deploy(heard)
    for each in events:
        now = [one for one in versions if one.shadow_from_ms <= each.log_time_ms + 2_000]
        if len(now) != len(heard):
            heard = now
            live.deploy(heard)
        said.append(story.apply(each))
    assert [(row.rows, row.commands) for row in said] == [(row.rows, row.commands) for row in whole]


def version(number: int, **times: int | None) -> ListenerVersion:
    return ListenerVersion("w", "l", number, "text", **{"shadow_from_ms": 0, **times})  # type: ignore[arg-type]


def test_promotion_ends_what_was_live_and_older_shadows() -> None:
    known = [version(1, live_from_ms=0), version(2, shadow_from_ms=5), version(3, shadow_from_ms=6), version(4)]
    changed = {each.version: each for each in promoted(known, known[2], 9)}
    assert {number: (each.live_from_ms, each.until_ms) for number, each in changed.items()} == {
        1: (0, 9),
        2: (None, 9),
        3: (9, None),
    }
    assert [each.state(8) for each in changed.values()] == ["live", "shadow", "shadow"]
    assert [each.state(9) for each in changed.values()] == ["ended", "ended", "live"]


def test_an_end_ends_every_version_that_is_at_work_or_coming() -> None:
    known = [version(1, live_from_ms=0, until_ms=3), version(2, live_from_ms=3), version(3, shadow_from_ms=20)]
    assert [(each.version, each.until_ms) for each in ended(known, "w", "l", 9)] == [(2, 9), (3, 20)]
    assert ended(known, "w", "other", 9) == []


TOLD_AS_SHADOW = (
    "listener: l\nversion: 2\nsequence: [{action: %s}, {not: %s}, {action: page_viewed}]\n"
    "then: [{add: {to: x, at: a}}, {tag: {add: warm, at: a}}, {webhook: {url: 'https://x.example/h'}}]\n"
)


def undone(emitted: Emitted) -> list[str]:
    return [f"{each.verb} {each.undoes == command_id(each.match_id, each.position)}" for each in emitted.commands]


def matched_as_shadow(
    *,
    backfilled: bool = False,
    live_ms: int | None = 30_000,
    until_ms: int | None = None,
    first: str = "email_clicked",
    guard: str = "button_clicked",
) -> Story:
    """Somebody whom a version matched as a shadow, by events of the seconds 20 and 28."""
    flow = empty()
    (found,) = parse_listeners([("l", (TOLD_AS_SHADOW % (first, guard)).encode())], known_actions=VOCABULARY)
    flow.deploy([Deployed(found, 10_000, live_ms, until_ms, backfilled)])
    story = Story(flow)
    story.apply(event(20, first))
    assert told(story.apply(event(28, "page_viewed"))) == [("match", 2, "shadowed")]
    return story


def test_a_shadows_match_that_falls_after_its_promotion_undoes_no_move_that_was_never_made() -> None:
    story = matched_as_shadow()
    emitted = story.apply(event(24, "button_clicked", log_second=31))
    assert (told(emitted), undone(emitted)) == ([("retraction", 2, "")], [])


def test_what_a_back_fill_gave_is_undone_but_for_webhooks_which_it_does_not_call() -> None:
    story = matched_as_shadow(backfilled=True)
    emitted = story.apply(event(24, "button_clicked", log_second=31))
    assert undone(emitted) == ["add True", "tag True"]


def test_what_stands_for_a_shadows_match_later_is_a_shadows_too() -> None:
    story = matched_as_shadow()
    emitted = story.apply(event(18, "email_clicked", log_second=31))
    assert (told(emitted), emitted.commands, emitted.restated) == ([("amendment", 2, "")], [], [])
    emitted = story.apply(event(24, "button_clicked", log_second=32))
    assert (told(emitted), undone(emitted)) == ([("retraction", 2, "")], [])


def test_another_match_in_a_fallen_shadows_stead_is_moved_and_moved_back() -> None:
    story = matched_as_shadow()
    story.apply(event(24, "button_clicked", log_second=31))
    given = story.apply(event(26, "email_clicked", log_second=32))
    assert [each.verb for each in given.commands] == ["add", "tag", "webhook"]
    emitted = story.apply(event(27, "button_clicked", log_second=33))
    assert undone(emitted) == ["add True", "tag True", "webhook True"]


def test_a_shadows_match_that_falls_and_comes_again_is_moved_and_moved_back() -> None:
    story = matched_as_shadow(first="button_clicked", guard="email_clicked")
    click = event(24, "email_clicked", log_second=31)
    assert undone(story.apply(click)) == []
    given = story.apply(replaced(click, verdict="machine:scanner", log_time_ms=32_000))
    assert [(each.verb, each.undoes) for each in given.commands] == [("add", ""), ("tag", ""), ("webhook", "")]
    emitted = story.apply(event(25, "email_clicked", log_second=33))
    assert [each.undoes for each in emitted.commands] == [each.command_id for each in given.commands]


def test_a_shadow_that_ends_without_having_been_live_undoes_nothing_by_a_late_verdict() -> None:
    story = matched_as_shadow(live_ms=None, until_ms=30_000)
    verdict = replaced(event(20, "email_clicked"), verdict="machine:scanner", log_time_ms=90_000_000)
    emitted = story.apply(verdict)
    assert (told(emitted), emitted.commands) == ([("retraction", 2, "")], [])


def test_what_was_matched_live_is_undone_as_ever_beside_a_shadows_match() -> None:
    story = matched_as_shadow()
    story.apply(event(32, "email_clicked"))
    given = story.apply(event(36, "page_viewed"))
    assert [each.verb for each in given.commands] == ["add", "tag", "webhook"]
    emitted = story.apply(event(34, "button_clicked", log_second=37))
    assert undone(emitted) == ["add True", "tag True", "webhook True"]
