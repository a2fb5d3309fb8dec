"""What live listeners need of a workspace's pages, as the flow publishes it and the collector hands it to browsers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from contracts.actions import ASKED_FOR
from contracts.codec import Value, written

CaptureValue = str | int | float
"""What a listener names: a key, a letter, a selector, a percentage."""


class Captures(Value, frozen=True):
    """A record of the topic ``captures``: action → what the live listeners name of it.

    Only actions of :data:`~contracts.actions.ASKED_FOR` stand here; an absent one is asked for by nobody. Rare
    and sensitive things are captured in a page only where they stand here *and* the site allows them
    (:func:`allowed`).
    """

    SCHEMA: ClassVar[int] = 1

    workspace: str
    actions: dict[str, tuple[CaptureValue, ...]] = {}
    schema: int = written(1)


def allowed(
    actions: Mapping[str, tuple[CaptureValue, ...]], capture: Collection[str]
) -> dict[str, tuple[CaptureValue, ...]]:
    """Return the requests that a site with this ``capture`` setting allows."""
    return {
        name: values
        for name, values in actions.items()
        if name in ASKED_FOR and (not ASKED_FOR[name].allowed_as or ASKED_FOR[name].allowed_as in capture)
    }
