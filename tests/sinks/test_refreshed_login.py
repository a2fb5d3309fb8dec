"""A login whose refresh token is good once: whoever loses the next one can go on no more."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from sinks.base import Fate, Halt
from sinks.toolkit.refreshed_login import TURNS, Issued, RefreshedLogin


class Platform:
    """Takes each refresh token once."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def __call__(self, refresh: str) -> Issued:
        assert refresh not in self.sent, "good once"
        self.sent.append(refresh)
        return Issued(f"access-{len(self.sent)}", f"refresh-{len(self.sent)}", 86_400)


@pytest.fixture
def platform() -> Platform:
    return Platform()


def login(platform: Platform, path: Path, *, seed: str = "seed", now_ms: int = 0) -> RefreshedLogin:
    return RefreshedLogin(platform, seed=seed, path=path, now_ms=lambda: now_ms, pause=lambda seconds: None)


def test_of_two_processes_one_refreshes_and_the_other_goes_on_with_it(platform: Platform, tmp_path: Path) -> None:
    one, other = (login(platform, tmp_path / "login.json") for _ in "12")
    assert (one.token(), other.token()) == ("access-1", "access-1")
    assert one.token(refused="access-1") == "access-2"
    assert other.token(refused="access-1") == "access-2"
    assert platform.sent == ["seed", "refresh-1"]


def test_an_access_token_is_replaced_before_it_ends(platform: Platform, tmp_path: Path) -> None:
    assert login(platform, tmp_path / "login.json").token() == "access-1"
    assert login(platform, tmp_path / "login.json", now_ms=77_000_000).token() == "access-1"
    assert login(platform, tmp_path / "login.json", now_ms=78_000_000).token() == "access-2"


def test_a_refresh_token_that_stays_the_same_is_sent_again(tmp_path: Path) -> None:
    sent: list[str] = []

    def same(refresh: str) -> Issued:
        sent.append(refresh)
        return Issued(f"access-{len(sent)}", "", 86_400)

    kept = RefreshedLogin(same, seed="seed", path=tmp_path / "l.json", now_ms=lambda: 0, pause=lambda seconds: None)
    assert [kept.token(), kept.token(refused="access-1")] == ["access-1", "access-2"]
    assert sent == ["seed", "seed"]


def test_another_authorisation_in_the_settings_takes_the_place_of_the_kept_one(
    platform: Platform, tmp_path: Path
) -> None:
    login(platform, tmp_path / "login.json").token()
    login(platform, tmp_path / "login.json", seed="anew").token()
    assert platform.sent == ["seed", "anew"]


def test_what_cannot_be_kept_is_not_used_and_not_asked_for_again(platform: Platform, tmp_path: Path) -> None:
    """A full disk: the token that was issued is kept as soon as that goes, for there is no other."""
    found = login(platform, tmp_path / "login.json")
    (tmp_path / "login.new").mkdir()
    with pytest.raises(Halt) as caught:
        found.token()
    assert caught.value.trouble.fate is Fate.AWAY
    (tmp_path / "login.new").rmdir()
    assert found.token() == "access-1"
    assert platform.sent == ["seed"]


def test_a_process_waits_for_its_turn_and_not_for_ever(platform: Platform, tmp_path: Path) -> None:
    pauses: list[float] = []
    waiting = RefreshedLogin(platform, seed="seed", path=tmp_path / "login.json", now_ms=lambda: 0, pause=pauses.append)
    with (tmp_path / "login.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Halt) as caught:
            waiting.token()
    assert caught.value.trouble.fate is Fate.AWAY
    assert (len(pauses), platform.sent) == (TURNS, [])
    assert waiting.token() == "access-1"


def test_a_file_that_is_none_is_as_if_there_were_none(platform: Platform, tmp_path: Path) -> None:
    (tmp_path / "login.json").write_bytes(b'{"access": tru')
    assert login(platform, tmp_path / "login.json").token() == "access-1"
