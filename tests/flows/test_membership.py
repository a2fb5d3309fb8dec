"""Moves that are events (SEMANTICS 9): one listener's move is another's first step; who is in which list is known."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.actions import known_actions
from contracts.beacons import Beacon, BeaconRecord, ServerBeacon, Source
from contracts.codec import Raw, replaced, to_json
from contracts.commands import Command
from contracts.events import Event, Trust
from contracts.log import Record
from contracts.membership import COMMAND_UNCHANGED
from contracts.reasons import Reason
from contracts.rows import MatchRow
from contracts.topics import BEACONS
from flows.language.describe import describe
from flows.language.lint import Rule, lint
from flows.language.parse import parse_listeners
from flows.recognise import Device, Rules, recognise
from flows.subscriber.engine import Emitted, WorkspaceEngine
from flows.subscriber.pinned_terms import Terms

HOUR_MS = 3_600_000
ADD = "then: [{add: {to: %s, at: mail}}]"
VIEWED = f"{{listener: viewed, sequence: [{{action: page_viewed}}], {ADD % 'hot'}}}"
"""Puts whoever views a page into ``hot``."""
GUARDED = VIEWED.replace("{action: page_viewed}", "{action: searched}, {not: form_submitted}, {action: page_viewed}")
JOINED = f"{{listener: joined, sequence: [{{action: list_joined, where: {{list: hot}}}}], {ADD % 'warm'}}}"
"""Puts whoever joins ``hot`` into ``warm`` too."""


class Anna:
    """One person's events, saved and restored in between."""

    def __init__(self, *texts: str) -> None:
        self.engine = engine_of(*texts)
        self.person = self.engine.new("s_anna")
        self.lists: list[str] = []
        self.rows: list[MatchRow] = []
        self.commands: list[Command] = []

    def does(self, event: Event, log_time_ms: int | None = None) -> list[str]:
        """What is wanted by this event: ``+hot`` to add, ``-hot`` to take out, ``~hot`` to take it back."""
        self.person = self.engine.decode(self.engine.encode(self.person))
        log_ms = event.occurred_at_ms if log_time_ms is None else log_time_ms
        return self._took(self.engine.apply(self.person, replaced(event, log_time_ms=log_ms), log_ms))

    def waits(self, until_ms: int) -> list[str]:
        """What time alone brings."""
        return self._took(self.engine.pass_time(self.person, until_ms))

    def _took(self, emitted: Emitted) -> list[str]:
        self.rows += [row for row in emitted.rows if isinstance(row, MatchRow)]
        self.commands += emitted.commands
        return [_said(each) for each in emitted.commands]


def _said(command: Command) -> str:
    names = [f"+{command.to_list}"] * bool(command.to_list) + [f"-{command.from_list}"] * bool(command.from_list)
    return ("~" if command.undoes else "") + "".join(names or [command.tag])


def engine_of(*texts: str, lateness_ms: int = 600_000) -> WorkspaceEngine:
    listeners = parse_listeners([("l.yaml", "\n---\n".join(texts).encode())], known_actions=known_actions())
    return WorkspaceEngine("w", listeners, terms=Terms(lateness_ms, 1_800_000, 24 * HOUR_MS, 0))


def act(event_id: str, at_ms: int, action: str = "page_viewed", **properties: Any) -> Event:
    return Event("w", "s_anna", event_id, action, at_ms, properties=properties, trust=Trust.TOKEN)


def told(event_id: str, at_ms: int, action: str = "list_joined", by: str = "person", name: str = "hot") -> Event:
    said = {"account": "mail", "tag" if action.startswith("tag") else "list": name, "by": by}
    return replaced(act(event_id, at_ms, action), properties=said, trust=Trust.SERVER)


def test_one_listeners_move_is_anothers_first_step() -> None:
    anna = Anna(VIEWED, JOINED)
    assert anna.does(act("e1", 1_000)) == ["+hot", "+warm"]
    assert [each.depth for each in anna.commands] == [1, 2]
    assert anna.does(act("e2", 2_000)) == ["+hot"], "joining a list that one is in is no news"


@pytest.mark.parametrize("by", ["person", "platform", "import"])
def test_a_move_of_segmas_that_the_platform_tells_is_the_same_move(by: str) -> None:
    named = f"{{listener: named, sequence: [{{action: list_joined, where: {{list: hot, by: '*'}}}}], {ADD % 'named'}}}"
    anna = Anna(VIEWED, JOINED, named)
    assert anna.does(act("e1", 1_000)) == ["+hot", "+warm", "+named"]
    assert anna.does(told("w1", 61_000, by=by)) == []
    assert anna.does(told("w2", 62_000, by=by)) == [], "told twice"


def test_the_cause_gone_what_it_caused_is_taken_back_too() -> None:
    anna = Anna(GUARDED, JOINED)
    anna.does(act("e1", 1_000, "searched"))
    assert anna.does(act("e3", 3_000)) == ["+hot", "+warm"]
    assert sorted(anna.does(act("e2", 2_000, "form_submitted"))) == ["~+hot", "~+warm"]


def test_what_is_kept_stays_a_fact_and_what_rests_on_it_stands() -> None:
    anna = Anna(GUARDED.replace("then", "on_retraction: keep, then"), JOINED)
    anna.does(act("e1", 1_000, "searched"))
    anna.does(act("e3", 3_000))
    assert anna.does(act("e2", 2_000, "form_submitted")) == []
    assert [row.kind for row in anna.rows] == ["match", "match", "retraction"]


@pytest.mark.parametrize("asked", ["in_list: {list: hot, at: mail}", 'in_list: {list: "h*", at: mail}'])
def test_in_list_is_judged_at_the_steps_event(asked: str) -> None:
    anna = Anna(f"{{listener: of-hot, sequence: [{{action: page_viewed, {asked}}}], {ADD % 'seen'}}}")
    assert anna.does(act("e1", 1_000)) == []
    assert anna.does(told("m1", 2_000)) == []
    assert anna.does(act("e2", 3_000)) == ["+seen"]
    anna.does(told("m2", 4_000, "list_left"))
    assert anna.does(act("e3", 5_000)) == []


def test_a_list_of_another_account_is_another_list() -> None:
    anna = Anna(
        f"{{listener: l, sequence: [{{action: page_viewed, in_list: {{list: hot, at: other}}}}], {ADD % 'seen'}}}"
    )
    anna.does(told("m1", 1_000))
    assert anna.does(act("e1", 2_000)) == []


def test_not_in_list_and_has_tag() -> None:
    free = f"{{listener: a, sequence: [{{action: page_viewed, not_in_list: {{list: hot, at: mail}}}}], {ADD % 'x'}}}"
    tagged = f"{{listener: b, sequence: [{{action: page_viewed, has_tag: {{tag: warm, at: mail}}}}], {ADD % 'y'}}}"
    anna = Anna(free, tagged)
    assert anna.does(act("e1", 1_000)) == ["+x"], "of whom nothing is known they are in no list"
    anna.does(told("m1", 2_000))
    anna.does(told("m2", 2_000, "tag_added", name="warm"))
    assert anna.does(act("e2", 3_000)) == ["+y"]


def test_the_listeners_own_holds_for_its_steps_and_not_for_its_not() -> None:
    text = "{listener: l, in_list: {list: hot, at: mail}, sequence: [{action: page_viewed}, %s], %s}"
    anna = Anna(text % ("{not: searched, for: 10s}", ADD % "x"))
    anna.does(told("m1", 1_000))
    anna.does(act("e1", 2_000))
    anna.does(told("m2", 3_000, "list_left"))
    anna.does(act("e2", 4_000, "searched"))
    assert anna.waits(60_000) == [], "who searches is out of the list by then, and prevents all the same"
    anna.does(told("m3", 61_000))
    anna.does(act("e3", 62_000))
    anna.does(told("m4", 63_000, "list_left"))
    assert anna.waits(90_000) == ["+x"], "who leaves while the last `not` waits still matches"


def test_the_steps_own_joining_is_seen_by_it() -> None:
    text = "{listener: l, sequence: [{action: list_joined, where: {list: hot}, %s}], %s}"
    assert Anna(text % ("in_list: {list: hot, at: mail}", ADD % "x")).does(told("m1", 1_000)) == ["+x"]


def test_no_news_fits_no_step_and_of_whom_nothing_is_known_both_are_news() -> None:
    left = f"{{listener: left, sequence: [{{action: list_left}}], {ADD % 'gone'}}}"
    anna = Anna(JOINED, left)
    assert anna.does(told("m1", 1_000, "list_left")) == ["+gone"]
    assert anna.does(told("m2", 2_000, "list_left")) == []
    assert anna.does(told("m3", 3_000)) == ["+warm"]
    assert anna.does(told("m4", 4_000, by="platform")) == []


def test_an_import_fits_only_a_step_that_names_by() -> None:
    named = JOINED.replace("listener: joined", "listener: named").replace("{list: hot}", "{list: hot, by: import}")
    anna = Anna(JOINED, named.replace("warm", "imported"))
    assert anna.does(told("m1", 1_000, by="import")) == ["+imported"]


def test_any_action_is_none_of_these() -> None:
    anna = Anna(f'{{listener: any, sequence: [{{action: "*"}}], {ADD % "x"}}}', JOINED)
    assert anna.does(told("m1", 1_000)) == ["+warm"]


def test_only_the_flow_says_by_segma() -> None:
    mine = JOINED.replace("{list: hot}", "{list: hot, by: segma}")
    assert Anna(mine).does(told("m1", 1_000, by="segma")) == []


def test_others_make_no_event_late_and_an_old_fact_is_seen_by_what_is_not_final() -> None:
    anna = Anna(f"{{listener: l, sequence: [{{action: page_viewed, in_list: {{list: hot, at: mail}}}}], {ADD % 'x'}}}")
    anna.does(act("e1", 10 * HOUR_MS))
    anna.does(told("m9", 20 * HOUR_MS, name="other"), 20 * HOUR_MS)
    assert anna.does(act("e2", 10 * HOUR_MS - 1_000), 20 * HOUR_MS) == []
    assert anna.does(told("m1", HOUR_MS), 20 * HOUR_MS) == ["+x", "+x"]


def test_an_old_joining_fits_no_step() -> None:
    anna = Anna(JOINED)
    anna.does(act("e1", 10 * HOUR_MS))
    assert anna.does(told("m1", HOUR_MS), 10 * HOUR_MS) == []


def test_neither_opens_nor_extends_a_session() -> None:
    anna = Anna(JOINED)
    anna.does(act("e1", 1_000))
    anna.does(told("m1", 1_700_000))
    anna.does(act("e2", 1_900_000))
    assert anna.person.timeline.session is not None
    assert anna.person.timeline.session.events == 1


def test_moves_made_before_a_listener_asked_are_known_to_it() -> None:
    anna = Anna(VIEWED)
    anna.does(act("e1", 1_000))
    anna.engine = engine_of(
        VIEWED.replace("page_viewed", "searched"),
        f"{{listener: of-hot, sequence: [{{action: form_submitted, in_list: {{list: hot, at: mail}}}}], {ADD % 'x'}}}",
    )
    assert anna.does(act("e2", 2_000, "form_submitted")) == ["+x"]


def unchanged(anna: Anna, command: Command, at_ms: int) -> list[str]:
    said = {"match": command.match_id, "position": command.position}
    event = replaced(act(f"u{at_ms}", at_ms, COMMAND_UNCHANGED), properties=said, trust=Trust.SERVER)
    return anna.does(event)


def test_a_command_that_changed_nothing_takes_its_event_back() -> None:
    anna = Anna(VIEWED, JOINED)
    anna.does(act("e1", 1_000))
    assert unchanged(anna, anna.commands[0], 2_000) == ["~+warm"]
    assert unchanged(anna, anna.commands[0], 3_000) == []
    assert anna.does(act("e0", 500, "searched"), 3_000) == [], "a late event does not bring it again"


def test_however_late_the_outcome_is() -> None:
    anna = Anna(VIEWED, JOINED)
    anna.does(act("e1", 1_000))
    anna.does(act("e2", 40 * HOUR_MS, "searched"))
    assert unchanged(anna, anna.commands[0], 40 * HOUR_MS + 1_000) == ["~+warm"]
    assert anna.does(act("e3", 41 * HOUR_MS)) == ["+hot", "+warm"], "and it is news again"


def to_and_fro(wait: str = "") -> list[str]:
    hop = "{listener: %s, sequence: [{action: list_joined, where: {list: %s}}%s], %s}"
    move = "then: [{move: {from: %s, to: %s, at: mail}}]"
    forth = hop % ("forth", "hot", wait, move % ("hot", "cold"))
    return [forth, hop % ("back", "cold", wait, move % ("cold", "hot"))]


@pytest.mark.parametrize("wait", ["", ", {not: page_viewed, for: 10s}"])
@pytest.mark.parametrize("delivered_after_ms", [0, 120_000])
def test_a_loop_ends_in_a_dead_letter_with_a_sentence(wait: str, delivered_after_ms: int) -> None:
    anna = Anna(*to_and_fro(wait))
    emitted = [anna.engine.apply(anna.person, told("m1", 1_000), 1_000)]
    emitted += [
        anna.engine.pass_time(anna.person, 1_000 + delivered_after_ms + number * 10_000) for number in range(30)
    ]
    commands = [each for part in emitted for each in part.commands]
    assert [each.depth for each in commands] == list(range(1, 9))
    ((reason, sentence, match),) = [each for part in emitted for each in part.refused]
    assert reason is Reason.LOOP
    assert "lint" in sentence
    marked = [row for part in emitted for row in part.rows if isinstance(row, MatchRow) and row.reason == "loop"]
    assert [row.match_id for row in marked] == [match.match_id]


def chain(count: int) -> list[str]:
    """Listeners that move a viewer of a page from ``l0`` on to the last list, each by the joining of the one before."""
    hop = "{listener: n%d, sequence: [{action: list_joined, where: {list: l%d}}], then: [{add: {to: l%d, at: mail}}]}"
    return [VIEWED.replace("hot", "l0"), *(hop % (number, number - 1, number) for number in range(1, count))]


def test_who_makes_events_by_the_hundred_at_once_goes_in_circles_too() -> None:
    both = ", ".join(f"{{add: {{to: l{n}, at: mail}}}}, {{remove: {{from: l{n}, at: mail}}}}" for n in range(10))
    anna = Anna(f"{{listener: wild, sequence: [{{action: list_joined}}], then: [{both}]}}")
    emitted = anna.engine.apply(anna.person, told("m1", 1_000), 1_000)
    assert len(emitted.commands) < 1_000
    assert {reason for reason, _, _ in emitted.refused} == {Reason.LOOP}


def test_lint_names_both_of_a_loop_beforehand() -> None:
    for wait in ("", ", {not: page_viewed, for: 10s}"):
        text = "\n---\n".join([*to_and_fro(wait), VIEWED])
        found = lint(parse_listeners([("l", text.encode())], known_actions=known_actions()))
        named = [each.listener for each in found if each.rule is Rule.MOVES_IN_CIRCLES]
        assert named == ["back", "forth"]
    fine = parse_listeners([("l", f"{VIEWED}\n---\n{JOINED}".encode())], known_actions=known_actions())
    assert Rule.MOVES_IN_CIRCLES not in {each.rule for each in lint(fine)}


def test_describe_tells_of_lists() -> None:
    step = "{action: list_joined, where: {list: a}, has_tag: {tag: t, at: mail}}"
    text = f"listener: l\nin_list: {{list: hot, at: mail}}\nsequence: [{step}]"
    (of,) = parse_listeners([("l", text.encode())], known_actions=known_actions())
    said = describe(of)
    assert 'joins a list where the list is "a", who has the tag "t" at mail' in said
    assert 'It happens only to somebody who is in the list "hot" at mail at each step.' in said


def test_lint_knows_that_nobody_is_in_a_list_and_out_of_it() -> None:
    step = "{action: page_viewed, not_in_list: {list: 'h*', at: m}}"
    text = f"listener: l\nin_list: {{list: hot, at: m}}\nsequence: [{step}]"
    (of,) = parse_listeners([("l", text.encode())], known_actions=known_actions())
    assert Rule.NEVER_MATCHES in {each.rule for each in lint([of])}


@pytest.mark.parametrize(
    ("source", "properties", "said"),
    [
        (Source.SDK, {"account": "mail", "list": "hot"}, "told by a server"),
        (Source.SERVER, {"account": "mail"}, "names its `account`"),
        (Source.SERVER, {"list": "hot"}, "names its `account`"),
        (Source.SERVER, {"account": "mail", "list": 7}, "names its `account`"),
    ],
)
def test_who_is_in_a_list_is_told_by_a_server_and_whole(source: Source, properties: Any, said: str) -> None:
    sent = {"event_id": "x", "action": "list_left", "occurred_at_ms": 1_000, "properties": properties}
    told_by = ServerBeacon("b", [Raw(to_json(sent))], "s_anna")
    body = to_json(told_by if source is Source.SERVER else Beacon("b", "d" * 16, 1_000, [Raw(to_json(sent))]))
    beacon = BeaconRecord("w", "", source, 1_000, body, subscriber="s_anna", device="d")
    record = Record(BEACONS, 0, 0, 1_000, b"k", b"")
    _, events, refused = recognise(Device(), beacon, record, Rules(known_actions(), 60_000))
    assert events == []
    assert [(each.reason, said in each.detail) for each in refused] == [(Reason.BAD_EVENT, True)]
