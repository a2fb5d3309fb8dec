"""Readiness of a flow: it has processed records, which a running process alone does not prove."""

from __future__ import annotations

from contracts.errors import SegmaError
from flows.operators.lag import log_times
from transport import open_log
from transport.config import Settings


class FlowReadiness:
    """A question to one flow process, whether it works; asked repeatedly while it starts.

    It does once the log time that it passes on has moved twice within one life of the process: the second time shows
    that it outlived what the first brought. A flow with a backlog is ready as soon as it works on it.
    """

    def __init__(self, settings: Settings, index: int, of: int) -> None:
        """``index`` and ``of``: which of how many flow processes it is; it owns every ``of``-th partition."""
        self._settings, self._index, self._of = settings, index, of
        self._pid = 0
        self._newest_ms = 0
        self._moves = 0

    def __call__(self, pid: int) -> bool:
        """Look once, at the process that has this id now."""
        newest_ms = self._passed_on_ms()
        if pid != self._pid:
            self._pid, self._moves = pid, 0
        elif newest_ms > self._newest_ms:
            self._moves += 1
        self._newest_ms = newest_ms
        return self._moves >= 2

    def _passed_on_ms(self) -> int:
        try:
            log = open_log(self._settings)
        except SegmaError:
            return 0
        try:
            times = log_times(log)
        except SegmaError:
            return 0
        finally:
            log.close()
        return max((at_ms for source, at_ms in times.items() if source % self._of == self._index), default=0)
