"""A pause of a listener that keeps its runs: what completes in it is a row and no command (SEMANTICS 9)."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from contracts.actions import known_actions
from contracts.codec import json_reader, replaced, to_json
from contracts.reasons import Reason
from contracts.rows import MatchRow
from contracts.versions import ListenerVersion, Pause, ended, is_paused, merged, paused, pauses_of, promoted, resumed
from flows.language.parse import parse_listeners
from flows.replay.explain import explain
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.generations import Deployed
from flows.subscriber.pinned_terms import Terms
from tests.flows.test_membership import ADD, GUARDED, JOINED, VIEWED, Anna, act

PAUSED = str(Reason.LISTENER_PAUSED)
HOUR_MS = 3_600_000
TWICE = f"{{listener: twice, sequence: [{{action: searched}}, {{action: page_viewed, next: true}}], {ADD % 'hot'}}}"
LAST = f"{{listener: last, sequence: [{{action: searched}}, {{not: form_submitted, for: 5s}}], {ADD % 'hot'}}}"


class Paused(Anna):
    """Anna, where listeners are paused: pauses by the listener's name, of which the flow may hear at any time."""

    def __init__(self, *texts: str, moves: int = 0, **pauses: Sequence[Pause]) -> None:
        super().__init__(*texts)
        versions = [self.engine.listener(version) for version in self.engine.at_work(0)]
        self.listeners = [each for each in versions if each is not None]
        self.engine = WorkspaceEngine("w", terms=Terms(600_000, 1_800_000, 24 * HOUR_MS, 0, "UTC", moves, HOUR_MS))
        self.hears(**pauses)
        self.person = self.engine.new("s_anna")

    def hears(self, **pauses: Sequence[Pause]) -> None:
        self.engine.deploy([Deployed(each, pauses=tuple(pauses.get(each.name, ()))) for each in self.listeners])

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(row.kind, row.reason) for row in self.rows]


@pytest.mark.parametrize(("at_ms", "mark"), [(1_999, ""), (2_000, PAUSED), (3_999, PAUSED), (4_000, "")], ids=str)
def test_what_completes_in_a_pause_is_a_row_and_no_command(at_ms: int, mark: str) -> None:
    anna = Paused(VIEWED, viewed=[(2_000, 4_000)])
    assert anna.does(act("e1", at_ms)) == ([] if mark else ["+hot"])
    assert anna.told == [("match", mark)]
    assert anna.engine.bounds.without_command == ({PAUSED: 1} if mark else {})


def test_runs_go_on_through_a_pause_and_what_it_swallowed_is_not_made_good() -> None:
    anna = Paused(TWICE, viewed=[], twice=[(2_000, 4_000)])
    anna.does(act("e1", 1_000, "searched"))
    anna.does(act("e2", 3_000, "searched"))
    assert anna.does(act("e3", 5_000)) == ["+hot"], "begun before or in the pause, complete after it"
    anna = Paused(TWICE, twice=[(2_000, 4_000)])
    anna.does(act("e1", 1_000, "searched"))
    assert anna.does(act("e2", 3_000)) == []
    assert anna.does(act("e3", 9_000)) == []
    assert anna.told == [("match", PAUSED)]


def test_a_paused_match_counts_for_repeat() -> None:
    anna = Paused(VIEWED.replace("sequence", "repeat: once, sequence"), viewed=[(0, 2_000)])
    assert anna.does(act("e1", 1_000)) == []
    assert anna.does(act("e2", 5_000)) == []
    assert anna.told == [("match", PAUSED)]


@pytest.mark.parametrize(
    ("pause", "moved"), [((4_000, 7_000), []), ((6_000, 6_001), []), ((6_001, 9_000), ["+hot"]), ((1, 6_000), ["+hot"])]
)
def test_an_absence_is_judged_by_its_deadline(pause: Pause, moved: list[str]) -> None:
    anna = Paused(LAST, last=[pause])
    anna.does(act("e1", 1_000, "searched"))
    assert anna.does(act("e2", 8_000)) == moved


def test_a_late_event_is_judged_by_the_matchs_own_time_and_not_by_when_it_comes() -> None:
    anna = Paused(VIEWED, viewed=[(2_000, 4_000)])
    anna.does(act("e1", 9_000))
    assert anna.does(act("e2", 3_000), 10_000) == [], "it came behind the pause and lies in it"
    anna = Paused(VIEWED, viewed=[(2_000, None)])
    anna.does(act("e1", 3_000))
    assert anna.does(act("e2", 1_500), 10_000) == ["+hot"], "it came in the pause and lies before it"


def test_a_paused_match_that_is_taken_back_undoes_nothing_and_one_from_before_is_undone() -> None:
    for pause, undone in (((0, 9_000), []), ((4_000, 9_000), ["~+hot"])):
        anna = Paused(GUARDED, viewed=[pause])
        anna.does(act("e1", 1_000, "searched"))
        anna.does(act("e3", 3_000))
        assert anna.does(act("e2", 2_000, "form_submitted"), 5_000) == undone
        assert anna.told[-1] == ("retraction", "")


def test_a_match_in_a_pause_and_one_outside_it_never_stand_for_each_other() -> None:
    """The same wish, completed by an event that came late: undone where it fell into the pause, given where out."""
    for pause, first, second in (((2_500, 3_500), [], ["+hot"]), ((1_500, 2_500), ["+hot"], ["~+hot"])):
        anna = Paused(TWICE, twice=[pause])
        anna.does(act("e1", 1_000, "searched"))
        assert anna.does(act("e3", 3_000)) == first
        assert anna.does(act("e2", 2_000), 5_000) == second
        assert [kind for kind, _ in anna.told] == ["match", "retraction", "match"]
    within = Paused(TWICE, twice=[(1_500, 3_500)])
    within.does(act("e1", 1_000, "searched"))
    within.does(act("e3", 3_000))
    assert within.does(act("e2", 2_000), 5_000) == []
    assert within.told[-1] == ("amendment", PAUSED)


def test_a_paused_match_makes_no_joining_and_takes_no_place_under_the_cap() -> None:
    anna = Paused(VIEWED, JOINED, viewed=[(0, 2_000)])
    assert anna.does(act("e1", 1_000)) == []
    assert [row.listener for row in anna.rows] == ["viewed"], "nobody joined `hot`"
    assert anna.does(act("e2", 3_000)) == ["+hot", "+warm"]
    capped = Paused(VIEWED, viewed=[(0, 2_000)], moves=1)
    capped.does(act("e1", 1_000))
    assert capped.does(act("e2", 3_000)) == ["+hot"]
    assert capped.does(act("e3", 4_000)) == []


def test_only_the_listener_that_is_paused_is() -> None:
    other = VIEWED.replace("viewed", "other", 1)
    anna = Paused(VIEWED, other, viewed=[(0, None)])
    assert anna.does(act("e1", 1_000)) == ["+hot"]
    assert {(row.listener, row.reason) for row in anna.rows} == {("viewed", PAUSED), ("other", "")}


def test_a_pause_holds_across_versions_also_for_what_comes_late() -> None:
    first = parse_listeners([("l.yaml", VIEWED.encode())], known_actions=known_actions())[0]
    second = parse_listeners(
        [("l.yaml", VIEWED.replace("sequence", "version: 2, sequence").encode())], known_actions=known_actions()
    )[0]
    anna = Paused(VIEWED)
    anna.engine.deploy(
        [
            Deployed(first, until_ms=5_000, pauses=((2_000, 5_000),)),
            Deployed(second, 5_000, 5_000, pauses=((5_000, 7_000),)),
        ]
    )
    anna.does(act("e1", 8_000))
    assert anna.does(act("e2", 3_000), 9_000) == [], "matched by version 2, at a time of version 1's pause"
    assert (anna.rows[-1].version, anna.rows[-1].reason) == (2, PAUSED)


def test_who_is_known_to_nobody_has_the_reason_of_nobody() -> None:
    engine = Paused(VIEWED, viewed=[(0, None)]).engine
    person = engine.new("a_nobody")
    emitted = engine.apply(person, replaced(act("e1", 1_000), subscriber="a_nobody"), 1_000)
    assert [row.reason for row in emitted.rows if isinstance(row, MatchRow)] == [str(Reason.NO_IDENTITY)]


def test_a_flow_that_hears_of_it_as_it_begins_says_what_one_that_always_knew_says() -> None:
    """The records of a pause come before its instants: open, then with its end. Restarts in between."""
    found = 0
    for seed in range(60):
        random = Random(seed)
        actions = ("searched", "page_viewed", "page_viewed", "form_submitted", "product_added")
        events = [act(f"e{number}", number * 500, random.choice(actions)) for number in range(24)]
        late = [(each.occurred_at_ms + random.choice((0, 0, 3_000)), each) for each in events]
        arrivals = sorted(late, key=lambda each: each[0])
        whole = {"viewed": [(4_000, 6_000)], "twice": [(5_000, 8_000)], "last": [(3_000, 7_000)]}
        knows = Paused(VIEWED, TWICE, LAST, JOINED)
        knows.hears(**whole)
        hears = Paused(VIEWED, TWICE, LAST, JOINED)
        said = []
        for log_time_ms, event in arrivals:
            known = {
                name: [(begins, ends if ends - 900 <= log_time_ms else None)]
                for name, ((begins, ends),) in whole.items()
                if begins - 900 <= log_time_ms
            }
            hears.hears(**known)
            hears.person = hears.engine.decode(hears.engine.encode(hears.person))
            said.append((knows.does(event, log_time_ms), hears.does(event, log_time_ms)))
        assert [one for one, _ in said] == [other for _, other in said], seed
        assert knows.told == hears.told, seed
        found += sum(reason == PAUSED for _, reason in knows.told)
    assert found > 100


def test_explain_says_that_a_match_lies_in_a_pause() -> None:
    listener = parse_listeners([("l.yaml", VIEWED.encode())], known_actions=known_actions())[0]
    text = explain(
        listener, [act("e1", 1_000), act("e2", 3_000)], final_ms=None, session_gap_ms=1_000, pauses=((2_000, None),)
    )
    assert text.count("listener_paused: a row and no command") == 1
    assert text.index("listener_paused") > text.index("e2")


def version(number: int, **fields: object) -> ListenerVersion:
    return ListenerVersion("w", "l", number, "text", **{"shadow_from_ms": 0, **fields})  # type: ignore[arg-type]


def test_an_old_record_reads_as_never_paused() -> None:
    read = json_reader(ListenerVersion)
    old = b'{"workspace":"w","listener":"l","version":1,"text":"t","shadow_from_ms":0,"live_from_ms":5,"schema":1}'
    assert (read(old).pauses, read(old).state(6)) == ((), "live")
    again = version(1, pauses=((1, 2), (3, None)))
    assert read(to_json(again)) == again


def test_a_pause_is_written_to_the_live_version_and_goes_on_in_the_one_that_is_promoted() -> None:
    live, shadow, other = version(1, live_from_ms=0), version(2), replaced(version(1, live_from_ms=0), listener="other")
    (stopped,) = paused([live, shadow, other], "w", "l", 10)
    assert (stopped.version, stopped.pauses, stopped.state(9), stopped.state(10)) == (
        1,
        ((10, None),),
        "live",
        "paused",
    )
    assert paused([stopped, shadow], "w", "l", 11) == [], "it is paused already"
    assert paused([shadow], "w", "l", 11) == []
    first, second = promoted([stopped, shadow], shadow, 20)
    assert (first.pauses, first.state(20)) == (((10, 20),), "ended")
    assert (second.pauses, second.state(20)) == (((20, None),), "paused")
    assert pauses_of([first, second]) == ((10, None),)
    (goes_on,) = resumed([first, second, other], "w", "l", 30)
    assert (goes_on.version, goes_on.state(29), goes_on.state(30)) == (2, "paused", "live")
    assert pauses_of([first, goes_on]) == ((10, 30),)
    assert resumed([first, goes_on], "w", "l", 31) == []
    (gone,) = ended([second], "w", "l", 40)
    assert gone.pauses == ((20, 40),), "a pause ends with its listener"


def test_a_pause_that_is_resumed_before_it_began_was_none() -> None:
    (stopped,) = paused([version(1, live_from_ms=50)], "w", "l", 10)
    assert stopped.pauses == ((50, None),), "no sooner than it is live"
    assert resumed([stopped], "w", "l", 30)[0].pauses == ()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([(5, 7), (1, 3)], ((1, 3), (5, 7))),
        ([(1, 3), (3, 7)], ((1, 7),)),
        ([(1, 9), (3, 7)], ((1, 9),)),
        ([(1, None), (3, 7)], ((1, None),)),
        ([(1, 3), (2, None)], ((1, None),)),
    ],
)
def test_pauses_that_meet_are_one(given: list[Pause], expected: tuple[Pause, ...]) -> None:
    assert merged(given) == expected
    for at_ms in range(12):
        assert is_paused(expected, at_ms) is is_paused(given, at_ms)
