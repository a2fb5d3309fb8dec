"""The image's health check: asks the process that the container runs. Exit status 0: it works, 1: it does not.

The collector answers `/ready`, the console `/health`; flows, deliveries and loaders answer by metrics, where a port is
set for them. Without a port a running process is a healthy one: it ends where it cannot work, and is started again.
"""

from __future__ import annotations

import os
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

PATIENCE_S = 4
PORTS = {
    "collector": ("SEGMA_COLLECTOR_PORT", "8400", "ready"),
    "console": ("SEGMA_CONSOLE_PORT", "8401", "health"),
    "flows": ("SEGMA_FLOW_METRICS_PORT", "0", "metrics"),
    "loader": ("SEGMA_LOADER_METRICS_PORT", "0", "metrics"),
    "sinks": ("SEGMA_SINK_METRICS_PORT", "0", "metrics"),
}
"""Room, or its command → the setting of its port, the default (0: none), and the path that answers."""


def url_of(command: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """The address to ask, of a command as in ``python -m collector``; None where there is none."""
    room = next((word for word in command if word in PORTS), None)
    if room is None:
        return None
    setting, default, path = PORTS[room]
    port = environment.get(setting, default)
    return None if port == "0" else f"http://127.0.0.1:{port}/{path}"


def healthy(url: str) -> bool:
    """Whether it answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:  # noqa: S310 - an address of ours
            return bool(answer.status == 200)
    except OSError:
        return False


def command_of(process: int) -> list[str]:
    """The words of a process's command."""
    return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").split("\0")


if __name__ == "__main__":
    asked = url_of(command_of(1), os.environ)
    sys.exit(0 if asked is None or healthy(asked) else 1)
