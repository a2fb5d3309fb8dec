"""Settings of a delivery process."""

from __future__ import annotations

from segma.transport.config import Settings


class SinkSettings(Settings):
    """``SEGMA_CONFIG``, ``SEGMA_DATA``, ``SEGMA_LOG``: a delivery process needs nothing else."""
