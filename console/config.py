"""The console's settings, from the environment."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from pydantic import Field

from contracts.errors import ConfigError, Problem
from contracts.installation import Oidc
from transport.config import Settings, read_secret


class ConsoleSettings(Settings):
    """The console's own ports, and the addresses that its pages link to."""

    console_host: str = "127.0.0.1"
    """The address it listens on; another than loopback only in a container, or behind a proxy that ends TLS."""
    console_port: int = 8401
    console_shop_port: int | None = None
    """The demo's shop; absent: no shop."""
    console_metrics_port: int = Field(default=0, ge=0, le=65_535)
    """Where the console serves its metrics on loopback; 0: nowhere."""
    console_url: str = Field(default="", pattern=r"^(https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?)?$")
    """The address that people open it by, such as ``https://segma.example``; empty: by loopback alone."""
    collector_url: str = "http://127.0.0.1:8400"
    collector_metrics_urls: str = Field(default="", pattern=r"^(https?://[^\s,]+(,https?://[^\s,]+)*)?$")
    """Where the collector's workers serve their metrics, separated by commas; empty: nowhere."""

    @property
    def console_name(self) -> str:
        """The host's name in :attr:`console_url`."""
        return urlsplit(self.console_url).hostname or ""

    @property
    def metrics_urls(self) -> list[str]:
        """The addresses in :attr:`collector_metrics_urls`."""
        return [each for each in self.collector_metrics_urls.split(",") if each]

    @property
    def console_secure(self) -> bool:
        """Whether people come by HTTPS alone."""
        return self.console_url.startswith("https:")


def secret_of(oidc: Oidc, settings: ConsoleSettings) -> str | None:
    """The secret by which the console proves itself to the company's login; None: it is a public client.

    Raises :class:`ConfigError` with everything that the login lacks.
    """
    problems = []
    if not settings.console_url:
        wanted = "the address that people open the console by: the provider sends them back to it"
        problems.append(Problem("environment", "SEGMA_CONSOLE_URL", "is missing, and login.oidc needs it", wanted))
    secret = None
    if oidc.client_secret is not None:
        try:
            found = read_secret(oidc.client_secret, beside=settings.config, field="login.oidc.client_secret")
            secret = found.decode("ascii")
        except ConfigError as error:
            problems += error.problems
        except UnicodeDecodeError:
            field = "login.oidc.client_secret"
            problems.append(Problem(str(settings.config), field, "is no text of ASCII", "the secret as it was given"))
    if problems:
        raise ConfigError(problems)
    return secret


def unguessable() -> str:
    """A new text that nobody can guess: a session's key."""
    return secrets.token_urlsafe(32)
