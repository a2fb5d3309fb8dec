"""The console's settings, from the environment."""

from __future__ import annotations

from transport.config import Settings


class ConsoleSettings(Settings):
    """The console's own ports, and the addresses that its pages link to."""

    console_host: str = "127.0.0.1"
    """The address it listens on; another than loopback only in a container, or behind a proxy that asks who comes."""
    console_port: int = 8401
    console_shop_port: int | None = None
    """The demo's shop; absent: no shop."""
    collector_url: str = "http://127.0.0.1:8400"
