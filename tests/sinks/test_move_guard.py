"""The guards on moves: what counts, for how long, and what is sudden."""

from __future__ import annotations

from collections import Counter

import pytest

from contracts.errors import ConfigError
from contracts.installation import Account, check_installation
from sinks.delivery.guard import DAY_MS, HOUR_MS, MoveGuard, MoveLimits, Room, limits_of

NOW_MS = 100 * DAY_MS
NOBODY: Counter[tuple[str, str]] = Counter()


def guard(limits: MoveLimits, *moves: tuple[str, int], now_ms: int = NOW_MS) -> MoveGuard:
    """A guard that has counted moves of different people, each at so many ms before now."""
    found = MoveGuard(limits, lambda: now_ms)
    for number, (listener, ago_ms) in enumerate(moves):
        found.note(listener, now_ms - ago_ms, f"s{number}")
    return found


def room(found: MoveGuard, listener: str = "l", since_ms: int = 0) -> Room:
    return found.room(listener, NOBODY, since_ms)[0]


@pytest.mark.parametrize(("span_ms", "limits"), [(HOUR_MS, MoveLimits(hour=2)), (DAY_MS, MoveLimits(day=2))])
def test_of_a_listener_within_a_span(span_ms: int, limits: MoveLimits) -> None:
    assert room(guard(limits, ("l", span_ms), ("l", 1))) is Room.FREE, "exactly the span ago is outside"
    assert room(guard(limits, ("l", span_ms - 1), ("l", 1))) is Room.FULL
    assert room(guard(limits, ("l", 2), ("m", 1))) is Room.FREE, "another listener's"


@pytest.mark.parametrize("limits", [MoveLimits(account_hour=2), MoveLimits(account_day=2)])
def test_of_all_at_the_account(limits: MoveLimits) -> None:
    full, why = guard(limits, ("l", 2), ("m", 1)).room("n", NOBODY, 0)
    assert full is Room.FULL
    assert why.startswith("all listeners together, n last: more than 2 moves in a")
    assert room(guard(limits, ("l", 2), ("m", 1)), since_ms=NOW_MS - 2) is Room.FREE, "somebody has looked at it since"


def test_what_is_under_way_may_take_what_is_left() -> None:
    found = guard(MoveLimits(hour=3), ("l", 1))
    assert found.room("l", Counter({("l", "s8"): 1}), 0)[0] is Room.FREE
    assert found.room("l", Counter({("l", "s8"): 1, ("m", "s9"): 9}), 0)[0] is Room.FREE
    assert found.room("l", Counter({("l", "s8"): 1, ("l", "s9"): 1}), 0)[0] is Room.WAITS


def test_of_one_person_no_more_than_a_share_counts_and_leaving_the_span_gives_it_back() -> None:
    now_ms = [NOW_MS]
    found = MoveGuard(MoveLimits(hour=12), lambda: now_ms[0])
    for number in range(30):
        found.note("l", NOW_MS + number, "s_one")
    found.note("l", NOW_MS + 40, "s_two")
    assert room(found) is Room.FREE, "ten and one"
    found.note("l", NOW_MS + 41, "s_three")
    assert room(found) is Room.FULL
    now_ms[0] = NOW_MS + HOUR_MS + 20
    assert room(found) is Room.FREE, "nine of the first person are left"


def usual(a_day: int, days: int) -> list[tuple[str, int]]:
    """So many moves a day, from so many days ago up to the last day."""
    return [("l", day * DAY_MS - place) for day in range(days, 1, -1) for place in range(a_day)]


def test_ten_times_what_is_usual_is_sudden() -> None:
    limits = MoveLimits(sudden_times=10, sudden_above=5)
    before, today = usual(2, 10), [("l", 1_000 - number) for number in range(19)]
    assert room(guard(limits, *before, *today)) is Room.FREE
    full, why = guard(limits, *before, *today, ("l", 2), ("l", 1)).room("l", NOBODY, 0)
    assert full is Room.FULL
    assert why == "l: more than 20 moves in a day, where 2 are usual (`sudden`)"
    assert room(guard(limits, *before, *today, ("l", 2), ("l", 1)), "m") is Room.FREE


def test_who_is_not_known_yet_is_not_sudden_and_what_is_little_is_not_either() -> None:
    today = [("l", 100 - number) for number in range(50)]
    assert room(guard(MoveLimits(sudden_times=10, sudden_above=5), *usual(1, 3), *today)) is Room.FREE
    assert room(guard(MoveLimits(sudden_times=10, sudden_above=60), *usual(1, 10), *today)) is Room.FREE
    assert room(guard(MoveLimits(sudden_times=10, sudden_above=5), *usual(1, 10), *today)) is Room.FULL


def test_what_lies_longer_ago_than_a_fortnight_is_not_usual_any_more() -> None:
    busy = [("l", 20 * DAY_MS + number) for number in range(500, 0, -1)]
    today = [("l", 100 - number) for number in range(50)]
    assert room(guard(MoveLimits(sudden_times=2, sudden_above=5), *busy, *usual(1, 15), *today)) is Room.FULL


def test_the_settings_of_an_account() -> None:
    assert limits_of(Account(sink="file")) == MoveLimits(hour=100_000, sudden_times=10, sudden_above=1_000)
    named = {"hour": 5, "day": 6, "account_hour": 7, "account_day": 8}
    raw = {"sink": "file", "max_moves": named, "sudden": {"times": 3, "above": 9}}
    assert limits_of(Account.model_validate(raw)) == MoveLimits(5, 6, 7, 8, 3, 9)
    assert limits_of(Account.model_validate({"sink": "file", "max_moves": 12, "sudden": False})) == MoveLimits(hour=12)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"max_moves": 0}, "max_moves.hour"),
        ({"max_moves": {"week": 5}}, "max_moves.week"),
        ({"max_moves": {"day": 0}}, "max_moves.day"),
        ({"sudden": {"times": 1}}, "sudden.Sudden.times"),
    ],
)
def test_what_is_wrong_with_them_is_named(given: dict[str, object], field: str) -> None:
    accounts = {"mail": {"sink": "file", **given}}
    raw = {"token_keys": {"file": "k"}, "workspaces": {"w": {"secret": {"file": "s"}, "accounts": accounts}}}
    with pytest.raises(ConfigError) as refused:
        check_installation(raw, where="x")
    assert f"workspaces.w.accounts.mail.{field}" in {each.field for each in refused.value.problems}
