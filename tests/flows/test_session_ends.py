"""The end of a session as a step: made by the flow once the pause is over (SEMANTICS 9, profile and hours)."""

from __future__ import annotations

import pytest

from contracts.actions import known_actions
from contracts.beacons import Beacon, BeaconRecord, ServerBeacon, Source
from contracts.codec import Raw, replaced, to_json
from contracts.events import Event, Trust
from contracts.log import Record
from contracts.reasons import Reason
from contracts.topics import BEACONS
from flows.backtest.subject import Subject
from flows.derived.membership import SESSION_ORDER
from flows.language.parse import parse_listeners
from flows.recognise import Device, Rules, recognise
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.generations import Deployed
from flows.subscriber.pinned_terms import Terms
from tests.flows.test_membership import ADD, Anna, act, told

MINUTE_MS = 60_000
GAP_MS = 30 * MINUTE_MS
ENDED = "{listener: ended, sequence: [{action: session_ended%s}], %s}"
TERMS = Terms(10 * MINUTE_MS, GAP_MS, 1_440 * MINUTE_MS, 200)


def ended(where: str = "", to: str = "gone") -> str:
    return ENDED % (f", where: {where}" if where else "", ADD % to)


def in_flow(*texts: str, terms: Terms = TERMS) -> Anna:
    anna = Anna(*texts)
    found = parse_listeners([("l.yaml", "\n---\n".join(texts).encode())], known_actions=known_actions())
    anna.engine = WorkspaceEngine("w", found, terms=terms)
    anna.person = anna.engine.new("s_anna")
    return anna


def ends(anna: Anna) -> list[Event]:
    return [entry.event for entry in anna.person.timeline.entries if entry.order == SESSION_ORDER]


def test_it_comes_at_the_last_event_and_the_gap_once_log_time_has_passed_that_and_the_grace() -> None:
    anna = in_flow(ended())
    anna.does(act("e1", 1_000, path="/in", campaign="spring"))
    anna.does(act("e2", 5_000, "searched"))
    anna.does(act("e3", 61_000, path="/out"))
    end_ms = 61_000 + GAP_MS
    assert anna.waits(end_ms + 200) == []
    assert anna.waits(end_ms + 201) == ["+gone"]
    (end,) = ends(anna)
    assert (end.event_id, end.occurred_at_ms, end.trust) == ("session_ended/e3", end_ms, Trust.TOKEN)
    told_of = {"duration_ms": 60_000, "events": 3, "landing_path": "/in", "exit_path": "/out", "campaign": "spring"}
    assert end.properties == told_of
    assert anna.rows[0].matched_at_ms == end_ms
    assert anna.waits(end_ms + 10 * GAP_MS) == [], "once"


def test_a_visit_of_one_event_has_no_length_and_no_paths_where_none_were_seen() -> None:
    anna = in_flow(ended("{duration_ms: 0, events: 1, landing_path: {exists: false}, exit_path: {exists: false}}"))
    anna.does(act("e1", 1_000, "searched"))
    assert anna.waits(GAP_MS + MINUTE_MS) == ["+gone"]


def test_an_event_exactly_at_the_gap_is_still_of_it_and_one_behind_it_tells_the_end() -> None:
    anna = in_flow(ended("{events: 2}"))
    anna.does(act("e1", 0))
    assert anna.does(act("e2", GAP_MS)) == []
    assert anna.does(act("e3", 2 * GAP_MS + 1)) == ["+gone"]


def test_a_late_event_that_makes_the_visit_longer_takes_the_end_back_and_tells_it_anew() -> None:
    anna = in_flow(ended("{events: {at_least: 2}}"), terms=TERMS._replace(session_gap_ms=MINUTE_MS))
    for each in (act("e1", 0), act("e2", 10_000)):
        anna.does(each)
    assert anna.does(act("e9", 90_000)) == ["+gone"]
    assert anna.does(act("late", 65_000), 100_000) == ["~+gone"], "all is one visit"
    assert anna.waits(151_000) == ["+gone"]
    assert [each.event_id for each in ends(anna)] == ["session_ended/e9"]
    assert ends(anna)[0].properties["events"] == 4


def test_of_equal_times_it_comes_behind_the_persons_own_and_before_what_matches_make() -> None:
    asks = "{listener: asks, sequence: [{action: session_ended, in_list: {list: hot, at: mail}}], %s}" % (ADD % "x")
    left = "{listener: left, sequence: [{action: page_viewed}, {not: page_viewed, for: 30m}], %s}" % (ADD % "hot")
    anna = in_flow(asks, left)
    anna.does(act("e1", 0))
    assert anna.waits(2 * GAP_MS) == ["+hot"], "hot is joined at the same instant, and behind it"
    anna = in_flow(asks)
    anna.does(act("e1", 0))
    anna.does(told("m1", GAP_MS))
    assert anna.waits(2 * GAP_MS) == ["+x"], "what others tell of that instant lies before"


@pytest.mark.parametrize("behind", [[], [act("e2", GAP_MS + 100)]])
def test_what_a_deadline_makes_at_that_very_time_does_not_hide_it(behind: list[Event]) -> None:
    left = "{listener: left, sequence: [{action: page_viewed}, {not: searched, for: 30m}], %s}" % (ADD % "hot")
    anna = in_flow(ended(), left)
    anna.does(act("e1", 0))
    assert anna.waits(GAP_MS + 200) == ["+hot"]
    wanted = [told_of for each in behind for told_of in anna.does(each)]
    assert [*wanted, *anna.waits(GAP_MS + 201)] == ["+gone"]
    orders = [entry.order for entry in anna.person.timeline.entries if entry.at_ms == GAP_MS]
    assert orders == [SESSION_ORDER, SESSION_ORDER + 1, SESSION_ORDER + 2], "the end, and what both matches make"


def test_what_is_known_of_a_visit_outlives_the_events_that_are_kept() -> None:
    waits = "{listener: waits, sequence: [{action: button_clicked}, {not: searched, for: 20m}], %s}" % (ADD % "quiet")
    anna = in_flow(ended("{exit_path: /out, events: 3}"), waits)
    anna.does(act("e1", 0, path="/in"))
    anna.does(act("e2", 1_000, path="/out"))
    anna.does(act("e3", 2_000, "button_clicked"))
    assert anna.waits(25 * MINUTE_MS) == ["+quiet"]
    assert len(anna.person.timeline.entries) == 1, "the joining: all of the visit is final by then"
    anna.person = anna.engine.decode(anna.engine.encode(anna.person))
    assert anna.waits(2 * GAP_MS) == ["+gone"]
    assert ends(anna)[0].event_id == "session_ended/e3"


def test_it_is_of_the_visit_that_ended_and_neither_opens_nor_extends_one() -> None:
    both = "{listener: both, scope: session, sequence: [{action: searched}, {action: session_ended}], %s}" % (ADD % "x")
    anna = in_flow(both)
    anna.does(act("e1", 0, "searched"))
    anna.does(act("e2", GAP_MS + 1))
    assert [command.to_list for command in anna.commands] == ["x"]
    session = anna.person.timeline.session
    assert session is not None
    assert (session.events, session.started_at_ms) == (1, GAP_MS + 1)


def test_any_action_is_not_that_and_stitched_history_never_completes() -> None:
    anna = in_flow("{listener: l, sequence: [{action: '*', where: {events: 1}}], %s}" % (ADD % "x"), ended())
    anna.does(replaced(act("e1", 0, "searched"), stitched=True))
    assert anna.waits(2 * GAP_MS) == []
    assert ends(anna)[0].stitched


def test_a_version_hears_the_ends_that_are_known_after_it_came() -> None:
    (found,) = parse_listeners([("l.yaml", ended().encode())], known_actions=known_actions())
    for from_ms, wanted in ((GAP_MS + 200, ["+gone"]), (GAP_MS + 202, [])):
        anna = in_flow("{listener: other, sequence: [{action: searched}]}")
        anna.engine.deploy([Deployed(found, from_ms, from_ms)])
        anna.person = anna.engine.new("s_anna", 0)
        anna.does(act("e1", 0))
        assert anna.waits(2 * GAP_MS) == wanted, from_ms


@pytest.mark.parametrize("source", [Source.SDK, Source.SERVER])
def test_nobody_sends_it(source: Source) -> None:
    sent = Raw(to_json({"event_id": "x", "action": "session_ended", "occurred_at_ms": 1_000}))
    told_by = ServerBeacon("b", [sent], "s_anna") if source is Source.SERVER else Beacon("b", "d" * 16, 1_000, [sent])
    beacon = BeaconRecord("w", "", source, 1_000, to_json(told_by), subscriber="s_anna", device="d")
    record, rules = Record(BEACONS, 0, 0, 1_000, b"k", b""), Rules(known_actions(), MINUTE_MS)
    _, events, refused = recognise(Device(), beacon, record, rules)
    assert events == []
    assert [each.reason for each in refused] == [Reason.BAD_EVENT]


def test_a_back_test_asks_for_all_that_the_person_did() -> None:
    (found,) = parse_listeners([("l.yaml", ended().encode())], known_actions=known_actions())
    subject = Subject("w", [Deployed(found)], TERMS)
    assert (subject.starts, subject.actions, subject.heard) == (None, None, None)
