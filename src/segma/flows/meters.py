"""The flow's metrics. Labels are closed sets; the process that runs the flow serves them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import Gauge

_lag: Final = Gauge(
    "segma_log_time_lag_seconds", "How far the log time of a partition of events is behind the clock.", ["partition"]
)


def watch_lag(partition: int, lag_s: Callable[[], float]) -> None:
    """Serve the lag of a partition: deadlines fire that much later than the clock says."""
    _lag.labels(str(partition)).set_function(lag_s)
