"""The part of ``segma doctor`` on listeners that are paused: since when."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

from contracts.log import Log
from flows.versions.deployment import Versions


def paused_listeners(log: Log, now_ms: int) -> list[tuple[str, str, str]]:
    """Return the listeners that are paused: subject, finding, remedy."""
    with closing(Versions(log)) as versions:
        versions.refresh()
        return [
            (
                f"listener {each.workspace}/{each.listener}",
                f"paused since {datetime.fromtimestamp(each.pauses[-1][0] / 1_000, UTC):%Y-%m-%d %H:%M:%SZ}",
                f"it moves nobody until `segma listeners resume {each.listener}`",
            )
            for each in versions.known
            if each.state(now_ms) == "paused"
        ]
