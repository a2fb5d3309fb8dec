"""``profile`` (SEMANTICS 9): what is known of a person at an event, and who is believed."""

from __future__ import annotations

from typing import Any

import pytest

from cli.forget import no_profile
from contracts.actions import PROFILE_CHANGED
from contracts.beacons import BeaconRecord
from contracts.codec import msgpack_reader
from contracts.errors import ListenerError
from contracts.events import Event, Trust
from contracts.log import Record
from contracts.reasons import Reason
from contracts.rows import EventRow
from contracts.topics import BEACONS
from flows.derived.profile import MAX_FIELDS, facts_of, with_facts
from flows.language.describe import describe
from flows.language.lint import Rule, lint
from flows.language.parse import parse_listeners
from flows.recognise import Device, Rules, recognise
from flows.subscriber.engine import Emitted, Subscriber, WorkspaceEngine
from flows.subscriber.pinned_terms import Terms
from tests.flows.streams import sequence

LISTENER = """
listener: germans
sequence:
  - action: page_viewed
    profile: {country: DE}
then: [{add: {to: de, at: mailbox}}]
"""
HOUR_MS = 3_600_000


def engine_of(text: str = LISTENER) -> WorkspaceEngine:
    listeners = parse_listeners([("l.yaml", text.encode())], known_actions={"page_viewed"})
    return WorkspaceEngine("w", listeners, terms=Terms(600_000, 1_800_000, 24 * HOUR_MS, 0))


def view(event_id: str, at_ms: int) -> Event:
    return Event("w", "s_anna", event_id, "page_viewed", at_ms, trust=Trust.TOKEN, log_time_ms=at_ms)


def fact(event_id: str, at_ms: int, trust: Trust = Trust.SERVER, **fields: Any) -> Event:
    return Event("w", "s_anna", event_id, PROFILE_CHANGED, at_ms, properties=fields, trust=trust)


class Anna:
    """One person's events, saved and restored in between."""

    def __init__(self, engine: WorkspaceEngine) -> None:
        self.engine: WorkspaceEngine = engine
        self.person: Subscriber = engine.new("s_anna")

    def does(self, event: Event, log_time_ms: int | None = None) -> Emitted:
        self.person = self.engine.decode(self.engine.encode(self.person))
        return self.engine.apply(self.person, event, event.occurred_at_ms if log_time_ms is None else log_time_ms)

    def moves(self, event: Event, log_time_ms: int | None = None) -> list[str]:
        return [("-" if each.undoes else "+") + each.to_list for each in self.does(event, log_time_ms).commands]


def test_the_newest_fact_at_or_before_the_event_counts() -> None:
    anna = Anna(engine_of())
    assert anna.moves(view("e1", 1_000)) == []
    assert anna.moves(fact("p1", 2_000, country="DE")) == []
    assert anna.moves(view("e2", 2_000)) == [], "of one instant the fact's place is behind: ids decide"
    assert anna.moves(view("z3", 2_000)) == ["+de"]
    anna.does(fact("p2", 3_000, country="FR"))
    assert anna.moves(view("e4", 4_000)) == []


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_value_takes_the_field_away(empty: str | None) -> None:
    anna = Anna(engine_of())
    anna.does(fact("p1", 1_000, country="DE", city="Ulm"))
    anna.does(fact("p2", 2_000, country=empty))
    assert anna.moves(view("e1", 3_000)) == []


def test_a_fact_that_comes_late_is_seen_by_what_is_not_final_yet_however_old_it_is() -> None:
    anna = Anna(engine_of())
    assert anna.moves(view("e1", 10 * HOUR_MS)) == []
    assert anna.moves(fact("p1", HOUR_MS, country="DE"), 10 * HOUR_MS) == ["+de"]
    assert anna.moves(fact("p2", 2 * HOUR_MS, country="FR"), 10 * HOUR_MS) == ["-de"]


def test_a_fact_is_no_event_of_the_persons_time_and_opens_no_session() -> None:
    anna = Anna(engine_of())
    anna.does(view("e1", HOUR_MS))
    anna.does(fact("p1", 5 * HOUR_MS, country="DE"))
    assert anna.moves(view("e2", HOUR_MS + 1_000), 5 * HOUR_MS) == [], "it made nothing late, and lies behind"
    assert anna.person.timeline.session is not None
    assert anna.person.timeline.session.events == 2


def test_what_a_browser_says_by_itself_is_not_believed() -> None:
    anna = Anna(engine_of())
    anna.does(fact("p1", 1_000, Trust.BROWSER, country="DE"))
    assert anna.moves(view("e1", 2_000)) == []
    anna.does(fact("p2", 3_000, Trust.TOKEN, country="DE"))
    assert anna.moves(view("e2", 4_000)) == ["+de"]


def test_a_persons_own_time_zone_comes_before_the_workspaces() -> None:
    hours = LISTENER.replace("profile: {country: DE}", 'between: ["09:00", "10:00"]')
    anna = Anna(engine_of(hours))
    assert anna.moves(view("e1", 30 * 60_000)) == []
    anna.does(fact("p1", 31 * 60_000, time_zone="Asia/Tokyo"))
    assert anna.moves(view("e2", 40 * 60_000)) == ["+de"], "twenty to one by UTC is twenty to ten there"
    anna.does(fact("p2", 41 * 60_000, time_zone="Mars/Olympus"))
    assert anna.moves(view("e3", 42 * 60_000)) == []


def test_a_listener_that_comes_later_knows_what_was_learned_before() -> None:
    anna = Anna(engine_of(LISTENER.replace("profile: {country: DE}", "trust: server")))
    anna.does(fact("p1", 1_000, country="DE"))
    anna.engine = engine_of()
    assert anna.moves(view("e1", 2_000)) == ["+de"]


def test_whoever_is_forgotten_is_known_no_more() -> None:
    anna = Anna(engine_of())
    anna.does(fact("p1", 1_000, country="DE"))
    beacon = msgpack_reader(BeaconRecord)(no_profile("w", "s_anna", 5_000).value or b"")
    record = Record(BEACONS, 0, 0, 5_000, b"k", b"")
    _, (event,), refused = recognise(Device(), beacon, record, Rules(frozenset(), 60_000))[:3]
    assert refused == []
    emitted = anna.does(event, 5_000)
    assert [row for row in emitted.rows if isinstance(row, EventRow)] == []
    assert b"DE" not in anna.engine.encode(anna.person)
    assert anna.moves(view("e1", 6_000)) == []
    assert anna.moves(fact("p0", 500, country="DE"), 6_000) == []


def test_of_each_field_only_the_newest_final_one_is_kept() -> None:
    facts: tuple[Any, ...] = ()
    for number in range(3 * MAX_FIELDS):
        learned = fact(f"p{number}", number, Trust.SERVER, country="DE", **{f"f{number}": 1})
        facts = with_facts(facts, facts_of(learned), (number, 0, "~"))
    assert len(facts) <= MAX_FIELDS + 2
    assert facts[-1].at_ms == 3 * MAX_FIELDS - 1
    assert sum(each.field == "country" for each in facts) == 1


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ("{}", "an empty mapping"),
        ("DE", "a mapping from properties to values"),
        ("{country: {same_as: x.country}}", "a reference beside `country`"),
        ("{country: {like: D}}", "contains"),
    ],
)
def test_what_is_no_profile_is_refused_where_it_stands(profile: str, said: str) -> None:
    with pytest.raises(ListenerError) as refused:
        sequence("step: x, action: a", f"action: b, profile: {profile}")
    problem = refused.value.problems[0]
    assert said in f"{problem.found} {problem.wanted}"
    assert problem.field.startswith("sequence[2].profile")


def test_a_listener_names_no_fact_as_a_step() -> None:
    with pytest.raises(ListenerError, match="unknown action"):
        sequence("action: profile_changed")


def test_describe_and_lint_know_profiles() -> None:
    of = sequence("action: a, profile: {country: [DE, AT], points: {at_least: 3}}")
    assert 'known of whom is that the country is "DE" or "AT" and the points is at least 3' in describe(of)
    never = sequence("any_of: [{action: a, profile: {country: DE}}], profile: {country: FR}")
    assert Rule.NEVER_MATCHES in {each.rule for each in lint([never])}
    assert Rule.NEVER_MATCHES not in {each.rule for each in lint([of])}


def test_recognise_takes_a_fact_though_no_listener_may_name_it() -> None:
    beacon = msgpack_reader(BeaconRecord)(no_profile("w", "s_anna", 5_000).value or b"")
    found = recognise(Device(), beacon, Record(BEACONS, 0, 0, 5_000, b"k", b""), Rules(frozenset({"a"}), 60_000))
    assert [each.action for each in found[1]] == [PROFILE_CHANGED]
    assert [each for each in found[2] if each.reason is Reason.UNKNOWN_ACTION] == []
