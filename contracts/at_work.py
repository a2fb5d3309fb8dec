"""How many flow processes share an installation's partitions, as the compacted topic ``flows`` has it. Pure."""

from __future__ import annotations

from typing import ClassVar

from contracts.codec import Value, written


class FlowsAtWork(Value, frozen=True):
    """The number of flow processes that began last on a store of their own.

    ``of``: how many. ``beacons``: the log's own id of the topic that they shared; one made anew has none yet.
    """

    SCHEMA: ClassVar[int] = 1

    of: int
    beacons: str
    schema: int = written(1)
