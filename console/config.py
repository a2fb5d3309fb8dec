"""The console's settings, from the environment."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from pydantic import Field

from transport.config import Settings


class ConsoleSettings(Settings):
    """The console's own ports, and the addresses that its pages link to."""

    console_host: str = "127.0.0.1"
    """The address it listens on; another than loopback only in a container, or behind a proxy that ends TLS."""
    console_port: int = 8401
    console_shop_port: int | None = None
    """The demo's shop; absent: no shop."""
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


def unguessable() -> str:
    """A new text that nobody can guess: a session's key."""
    return secrets.token_urlsafe(32)
