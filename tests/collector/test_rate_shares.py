"""A client's share: exactly so many in a window, each client for itself, in bounded memory."""

from __future__ import annotations

import pytest

from collector import shares
from collector.shares import Share, Shares


class Clock:
    """A clock that stands until it is set."""

    ms = 1_000

    def now_ms(self) -> int:
        return self.ms


def test_a_client_may_take_its_share_in_a_window_to_the_last_and_a_whole_one_in_the_next() -> None:
    clock = Clock()
    taken = Shares(Share(3, 500), clock.now_ms)
    assert [taken.take("a") for _ in range(5)] == [True, True, True, False, False]
    clock.ms += 499
    assert not taken.take("a")
    clock.ms += 1
    assert [taken.take("a") for _ in range(4)] == [True, True, True, False]


def test_a_client_takes_nothing_of_anothers_share() -> None:
    taken = Shares(Share(1, 500), Clock().now_ms)
    assert [taken.take(client) for client in ("a", "a", "b", "b")] == [True, False, True, False]


def test_a_clock_that_goes_back_locks_nobody_out() -> None:
    clock = Clock()
    taken = Shares(Share(1, 500), clock.now_ms)
    assert taken.take("a")
    clock.ms -= 400
    assert taken.take("a")
    assert not taken.take("a")


def test_windows_that_are_over_take_no_room() -> None:
    clock = Clock()
    taken = Shares(Share(1, 500), clock.now_ms)
    for number in range(50):
        clock.ms += 100
        assert taken.take(f"client {number}")
    assert len(taken) == 5


def test_of_more_clients_than_there_is_room_for_the_first_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "MAX_CLIENTS", 4)
    taken = Shares(Share(1, 500), Clock().now_ms)
    assert all(taken.take(f"client {number}") for number in range(9))
    assert len(taken) == 4
    assert not taken.take("client 8")
    assert taken.take("client 0")
