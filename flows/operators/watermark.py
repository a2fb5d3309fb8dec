"""The watermark: up to which log time everything has come, also while a spool is emptied (DESIGN 6, ADR 0005). Pure.

Deadlines fire on log time, and an outage makes log time jump: the first record after it (a tick, most often) is stamped
with the time at which the broker came back, while what people did meanwhile still lies in a collector's spool. To
believe that time at once would find absences that never were. But an outage can be seen in the log itself: where
somebody reads, a quiet partition has a tick every 250 ms, so a *gap* means that nothing could be written, or that
nobody read. What a gap may have kept back is awaited: until ``settle_ms`` of log time have passed behind it, the time
at which it began is all that is believed. Each gap is awaited for itself, so time moves on however often there is one.

It depends on nothing but the log, so a replay believes the same.
"""

from __future__ import annotations

from typing import Final, NamedTuple

GAP_MS: Final = 1_000
"""Longer than ticks ever lie apart on a machine that keeps up, and below the default grace: an outage as short as this
is over, and its spool drained, before an absence within it is believed."""


class Clock(NamedTuple):
    """The log time of one partition of ``beacons``. ``gaps``: where each began, and until when it is awaited."""

    newest_ms: int = 0
    gaps: tuple[tuple[int, int], ...] = ()

    def hear(self, log_time_ms: int, settle_ms: int) -> Clock:
        """Take in a log time. One that was passed already (a repetition after a crash) changes nothing."""
        if log_time_ms <= self.newest_ms:
            return self
        gaps = self.gaps
        if self.newest_ms and log_time_ms - self.newest_ms > GAP_MS:
            gaps = (*gaps, (self.newest_ms, log_time_ms + settle_ms))
        if gaps:
            gaps = tuple(gap for gap in gaps if gap[1] > log_time_ms)
        return Clock(log_time_ms, gaps)

    @property
    def watermark_ms(self) -> int:
        """The watermark (ms): the log time up to which everything is known to have come."""
        return self.gaps[0][0] if self.gaps else self.newest_ms
