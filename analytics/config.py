"""Settings of the history: where ClickHouse is, who asks, and what the embedded one may use."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from analytics.clickhouse import ClickHouse
from contracts.errors import ConfigError, Problem
from transport.config import Settings, settings_of

DEFAULT_PORT = 8403
OWNER = "segma"
ANALYST = "analyst"


class AnalyticsSettings(Settings):
    """The history's settings, beside those that every process reads."""

    clickhouse_url: str = ""
    """``http://host:port`` or ``https://host:port`` of a ClickHouse server; empty: the embedded one."""
    clickhouse_user: str = OWNER
    clickhouse_password_file: Path | None = None
    """The file with that user's password; absent: the embedded one's own."""
    clickhouse_database: str = Field(default="segma", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")
    clickhouse_port: int = Field(default=DEFAULT_PORT, ge=1, le=65_535)
    """Of the embedded server, on loopback."""
    clickhouse_memory_bytes: int = Field(default=2 * 1024**3, ge=64 * 1024**2)
    """What one question of an analyst may use in the embedded server."""
    clickhouse_query_s: int = Field(default=600, ge=1)
    """How long one question of an analyst may last in the embedded server."""
    loader_metrics_port: int = Field(default=0, ge=0, le=65_535)
    """Where the loader serves its metrics on loopback; 0: nowhere."""
    migrations: Path = Path(__file__).parent / "migrations"
    """The directory of the numbered SQL: a link to ``infra/clickhouse`` in a checkout, a part of a package."""

    @property
    def embedded(self) -> Path:
        """The directory of the embedded ClickHouse."""
        return self.data / "clickhouse"

    @property
    def url(self) -> str:
        """The base URL of ClickHouse."""
        return self.clickhouse_url or f"http://127.0.0.1:{self.clickhouse_port}"


def analytics_settings_at(home: Path) -> AnalyticsSettings:
    """The settings of a command that is given a home: as :func:`~transport.config.settings_at`, and the port on
    which the home's embedded server was started last.
    """

    class AtHome(AnalyticsSettings):
        model_config = SettingsConfigDict(env_file=home / "segma.env", env_file_encoding="utf-8")

    found = settings_of(AtHome).model_copy(update={"config": home / "segma.yaml", "data": home / "data"})
    try:
        port = int(port_file(found).read_text("ascii"))
    except (OSError, ValueError):
        return found
    return found.model_copy(update={"clickhouse_port": port})


def port_file(settings: AnalyticsSettings) -> Path:
    """Return the file in which the embedded server notes its port."""
    return settings.data / "clickhouse.port"


def password_file(settings: AnalyticsSettings, user: str) -> Path:
    """Return the file with the password of one of the embedded server's users."""
    return settings.data / f"clickhouse-{user}.password"


def embedded_passwords(settings: AnalyticsSettings) -> dict[str, str]:
    """The embedded server's users and passwords; made at first use, readable by their owner alone."""
    return {user: _password(password_file(settings, user)) for user in (OWNER, ANALYST)}


def _password(path: Path) -> str:
    """What a password's file holds. Of processes that start together one makes it, and the others wait for that."""
    with contextlib.suppress(FileNotFoundError):
        if found := path.read_text("ascii").strip():
            return found
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        found = file.read().strip()
        if not found:  # also where its maker was killed before it wrote
            found = secrets.token_urlsafe(24)
            file.write(f"{found}\n")
    return found


def password_of(settings: AnalyticsSettings) -> str:
    """The password of the configured user. Raises :class:`ConfigError`."""
    path = settings.clickhouse_password_file or password_file(settings, settings.clickhouse_user)
    if not settings.clickhouse_url and settings.data.is_dir():
        embedded_passwords(settings)
    try:
        return path.read_text("utf-8").strip()
    except OSError as error:
        wanted = "start `segma up` or `segma demo` once, or set SEGMA_CLICKHOUSE_PASSWORD_FILE"
        raise ConfigError([Problem(str(path), "", f"no password ({error.strerror})", wanted)]) from None


def connect(settings: AnalyticsSettings, timeout_s: int | None = None) -> ClickHouse:
    """A client of the configured ClickHouse; nothing is sent yet. Raises :class:`ConfigError`.

    ``timeout_s``: as for :class:`ClickHouse`.
    """
    user, password = settings.clickhouse_user, password_of(settings)
    return ClickHouse(settings.url, user, password, settings.clickhouse_database, timeout_s)
