"""The flow's metrics. Labels are closed sets; the process that runs the flow serves them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import REGISTRY, Gauge
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from flows.state.changelog import Changelog
from flows.subscriber.limits import WITHOUT_COMMAND, Limit, LimitHits

_lag: Final = Gauge(
    "segma_log_time_lag_seconds", "How far the log time of a partition of events is behind the clock.", ["partition"]
)


def watch_lag(partition: int, lag_s: Callable[[], float]) -> None:
    """Serve the lag of a partition: deadlines fire that much later than the clock says."""
    _lag.labels(str(partition)).set_function(lag_s)


class _StateMeters(Collector):
    """The gauges of the state store and the counters of its limits, read at each scrape."""

    def __init__(self, changelog: Changelog, bounds: Iterable[LimitHits]) -> None:
        self._changelog, self._bounds = changelog, tuple(bounds)

    def collect(self) -> Iterator[Metric]:
        """The figures now."""
        bits = CounterMetricFamily(
            "segma_state_bounds", "How often a bound on what is kept of somebody bit: dropped.", labels=["bound"]
        )
        for bound in Limit:
            bits.add_metric([bound.value], sum(each.total[bound] for each in self._bounds))
        yield bits
        rows = CounterMetricFamily(
            "segma_matches_without_command", "Matches that are rows and made no command, and why.", labels=["reason"]
        )
        for reason in WITHOUT_COMMAND:
            rows.add_metric([reason.value], sum(each.without_command[reason] for each in self._bounds))
        yield rows
        changelog = self._changelog
        yield GaugeMetricFamily("segma_state_keys", "Devices and subscribers that have a state.", changelog.keys)
        yield GaugeMetricFamily("segma_state_live_bytes", "Bytes of all states.", changelog.live_bytes)
        yield GaugeMetricFamily("segma_state_file_bytes", "Bytes of the files they stand in.", changelog.total_bytes)


def watch_state(changelog: Changelog, bounds: Iterable[LimitHits], registry: CollectorRegistry = REGISTRY) -> None:
    """Serve what the state store holds and which bounds bit."""
    registry.register(_StateMeters(changelog, bounds))
