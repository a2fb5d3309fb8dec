"""The passwords of the embedded ClickHouse, which processes that start together make once."""

from __future__ import annotations

import secrets
import stat
import threading
from pathlib import Path

import pytest

from analytics.config import OWNER, AnalyticsSettings, embedded_passwords, password_file

BLOCKED_S = 0.2
"""Long enough for a reader that nothing holds up."""


def test_processes_that_start_together_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, made = AnalyticsSettings(data=tmp_path / "data"), secrets.token_urlsafe
    seen = list[dict[str, str]]()
    other = threading.Thread(target=lambda: seen.append(embedded_passwords(settings)))

    def slowly(size: int) -> str:
        if other.ident is None:
            other.start()
            other.join(BLOCKED_S)
        return made(size)

    monkeypatch.setattr(secrets, "token_urlsafe", slowly)
    own = embedded_passwords(settings)
    other.join()
    assert seen == [own] == [embedded_passwords(settings)]
    assert all(own.values())
    assert stat.S_IMODE(password_file(settings, OWNER).stat().st_mode) == 0o600


def test_a_file_whose_maker_was_killed_is_filled(tmp_path: Path) -> None:
    settings = AnalyticsSettings(data=tmp_path)
    password_file(settings, OWNER).touch(0o600)
    assert len(embedded_passwords(settings)[OWNER]) == 32
