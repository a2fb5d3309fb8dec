"""``between`` and ``weekdays`` (SEMANTICS 9): the local time of an event, clock changes included."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from contracts.errors import ConfigError, ListenerError
from contracts.installation import check_installation
from contracts.time_zones import zone_of
from flows.language.describe import describe
from flows.language.lint import Rule, lint
from flows.language.model import Listener
from flows.machine.machine import Machine
from tests.flows.streams import listener, run, sequence, stream, told

BERLIN = "Europe/Berlin"


def at(text: str, zone: str = BERLIN) -> float:
    """Seconds of a local time; ``fold`` by a ``+`` at the end."""
    fold = int(text.endswith("+"))
    return datetime.fromisoformat(text.rstrip("+")).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def counted(of: Listener, *times: str, zone: str = BERLIN) -> list[str]:
    """The local times at which one event is a match."""
    found = []
    for text in times:
        (_, matches) = run(Machine([of], zone=ZoneInfo(zone)), stream(f"a@{at(text, zone)}"))
        found += [text] if matches else []
    return found


def test_the_start_is_included_and_the_end_is_not() -> None:
    of = sequence('action: a, between: ["09:00", "17:00"]')
    times = ("2026-03-02 08:59:59.999", "2026-03-02 09:00", "2026-03-02 16:59:59.999", "2026-03-02 17:00")
    assert counted(of, *times) == list(times[1:3])


def test_over_midnight_a_day_is_the_one_on_which_the_window_began() -> None:
    of = sequence('action: a, between: ["22:00", "06:00"], weekdays: [fri]')
    # 6 March 2026 is a Friday.
    inside = ["2026-03-06 22:00", "2026-03-06 23:59", "2026-03-07 00:00", "2026-03-07 05:59"]
    outside = ["2026-03-06 00:00", "2026-03-06 05:59", "2026-03-06 21:59", "2026-03-07 06:00", "2026-03-07 22:00"]
    assert counted(of, *inside, *outside) == inside


def test_weekdays_alone_are_days_of_the_local_calendar() -> None:
    of = sequence("action: a, weekdays: [sun, sat]")
    assert counted(of, "2026-03-06 23:59", "2026-03-07 00:00", "2026-03-08 23:59", "2026-03-09 00:00") == [
        "2026-03-07 00:00",
        "2026-03-08 23:59",
    ]


def test_a_local_time_that_comes_twice_counts_both_times() -> None:
    of = sequence('action: a, between: ["02:00", "02:30"]')
    # 25 October 2026: 03:00 summer time becomes 02:00.
    assert counted(of, "2026-10-25 02:15", "2026-10-25 02:15+") == ["2026-10-25 02:15", "2026-10-25 02:15+"]
    first, second = at("2026-10-25 02:15"), at("2026-10-25 02:15+")
    assert second - first == 3_600
    three = sequence('action: a, between: ["02:00", "02:30"], times: 2')
    assert len(run(Machine([three], zone=ZoneInfo(BERLIN)), stream(f"a@{first} a@{second}"))[1]) == 1


def test_a_local_time_that_does_not_exist_never_counts() -> None:
    of = sequence('action: a, between: ["02:00", "03:00"]')
    # 29 March 2026: 02:00 becomes 03:00. Every minute of the night, by UTC.
    night = [f"a@{at('2026-03-29 00:00') + 60 * minute}" for minute in range(5 * 60)]
    assert run(Machine([of], zone=ZoneInfo(BERLIN)), stream(" ".join(night)))[1] == []
    assert counted(of, "2026-03-28 02:30", "2026-03-30 02:30") == ["2026-03-28 02:30", "2026-03-30 02:30"]


@pytest.mark.parametrize(
    ("zone", "local"),
    [
        ("Asia/Kathmandu", "2026-06-01 09:00"),  # a quarter of an hour off the full one
        ("Australia/Lord_Howe", "2026-04-05 09:00"),  # clocks change by half an hour
        ("America/New_York", "2026-11-01 09:00"),
        ("Pacific/Kiritimati", "2026-01-01 09:00"),
        ("UTC", "2026-01-01 09:00"),
    ],
)
def test_every_zone_has_its_own_nine_o_clock(zone: str, local: str) -> None:
    of = sequence('action: a, between: ["09:00", "09:01"]')
    assert counted(of, local, zone=zone) == [local]
    assert counted(of, local.replace("09:00", "08:59"), local.replace("09:00", "09:01"), zone=zone) == []


def test_hours_hold_for_nots_untils_members_and_within_any_of() -> None:
    guard = sequence("action: b", 'not: a, between: ["09:00", "10:00"]', "action: c")
    assert [told(each) for each in run(Machine([guard]), stream("b@1 a@2 c@3 b@32400 a@32401 c@32402"))[1]] == ["1,3@3"]
    nested = sequence('any_of: [{action: a, between: ["00:00", "12:00"]}, b], between: ["06:00", "18:00"]')
    found = run(Machine([nested]), stream("a@3600 b@3600 a@25200 b@50400 a@50400"))[1]
    assert [told(each) for each in found] == ["3@25200", "4@50400"]
    both = sequence('all_of: [a, b], between: ["00:00", "00:01"]')
    assert [told(each) for each in run(Machine([both]), stream("a@61 b@1 a@2"))[1]] == ["2,3@2"]


def test_an_instant_beyond_the_calendar_lies_in_no_hours() -> None:
    of = sequence("action: a, weekdays: [mon, tue, wed, thu, fri, sat]")
    assert run(Machine([of]), stream("a@9000000000000"))[1] == []


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ('between: ["09:00", "09:00"]', "the same time twice"),
        ('between: ["9:00", "17:00"]', "two times of the day"),
        ('between: ["09:00", "24:00"]', "two times of the day"),
        ('between: ["09:00"]', "two times of the day"),
        ("between: [9, 17]", "two times of the day"),
        ("between: [9:00, 17:00]", "to the base of 60"),
        ("weekdays: []", "an empty list"),
        ("weekdays: [monday]", "mon"),
        ("weekdays: mon", "days: [mon, tue]"),
    ],
)
def test_what_is_no_time_of_the_day_is_refused_where_it_stands(step: str, said: str) -> None:
    with pytest.raises(ListenerError) as refused:
        sequence(f"action: a, {step}")
    problem = refused.value.problems[0]
    assert said in f"{problem.found} {problem.wanted}"
    assert problem.field.startswith("sequence[1].")


def test_describe_says_the_hours() -> None:
    said = describe(sequence('action: a, between: ["09:00", "17:30"], weekdays: [tue, mon]', "action: b"))
    assert ", between 09:00 and 17:30 on Mondays or Tuesdays, by local time" in said
    assert ", on Sundays, by local time" in describe(sequence("action: a, weekdays: [sun]"))
    assert "local time" not in describe(sequence("action: a"))


def test_lint_finds_hours_that_never_meet() -> None:
    never = 'any_of: [{action: a, between: ["09:00", "12:00"]}], between: ["12:00", "17:00"]'
    assert Rule.NEVER_MATCHES in {each.rule for each in lint([sequence(never)])}
    night = 'any_of: [{action: a, between: ["22:00", "06:00"], weekdays: [fri]}], between: ["05:00", "07:00"]'
    assert Rule.NEVER_MATCHES not in {each.rule for each in lint([sequence(f"{night}, weekdays: [sat]")])}
    assert Rule.NEVER_MATCHES in {each.rule for each in lint([sequence(f"{night}, weekdays: [fri]")])}
    guarded = sequence("action: b", "not: a", 'action: a, between: ["09:00", "12:00"]')
    assert Rule.NEVER_MATCHES in {each.rule for each in lint([guarded])}
    spared = sequence("action: b", 'not: a, between: ["09:00", "12:00"]', "action: a")
    assert Rule.NEVER_MATCHES not in {each.rule for each in lint([spared])}


def test_two_that_never_meet_do_not_undo_each_other() -> None:
    def one(name: str, hours: str, then: str) -> Listener:
        return listener(f"sequence: [{{action: a, {hours}}}]\nthen: [{then}]", name)

    add, remove = "{add: {to: x, at: y}}", "{remove: {from: x, at: y}}"
    morning, evening = 'between: ["06:00", "12:00"]', 'between: ["18:00", "23:00"]'
    apart = lint([one("l1", morning, add), one("l2", evening, remove)])
    assert Rule.UNDO_EACH_OTHER not in {each.rule for each in apart}
    alike = lint([one("l1", morning, add), one("l2", morning, remove)])
    assert Rule.UNDO_EACH_OTHER in {each.rule for each in alike}


def test_zones_come_from_the_releases_own_data() -> None:
    assert zone_of(BERLIN) is not None
    for name in ("", "Berlin", "../etc/passwd", "/etc/localtime", "Europe", "zone.tab", "Europe/Berlin/", "a" * 99):
        assert zone_of(name) is None, name


def test_a_workspaces_time_zone_is_checked() -> None:
    def installation(zone: str) -> dict[str, object]:
        return {"token_keys": {"env": "K"}, "workspaces": {"w": {"secret": {"env": "S"}, "time_zone": zone}}}

    assert check_installation(installation(BERLIN), where="f").workspaces["w"].time_zone == BERLIN
    with pytest.raises(ConfigError, match="Europe/Berlin"):
        check_installation(installation("Berlin"), where="f")
