"""Ports for servers that are killed and started again.

Taken below the range from which the system gives ports to outgoing connections: one of those could hold a port in the
moment between the kill and the start.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Collection

LOWEST, HIGHEST = 12_000, 32_000


def free_port(offsets: Collection[int] = (0,)) -> int:
    """A port that nobody listens on, and neither at these distances from it."""
    chance = random.Random()
    while True:
        port = chance.randrange(LOWEST, HIGHEST)
        if all(_is_free(port + offset) for offset in offsets):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
