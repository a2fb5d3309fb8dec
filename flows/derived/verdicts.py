"""Verdicts on clicks, as an event that comes again under its id (SEMANTICS 7). Pure."""

from __future__ import annotations

from typing import Final

from contracts.codec import replaced
from contracts.events import Event

LANDED: Final = "confirmed:landed"
REPORTED: Final = "machine:reported"
_WEIGHTS: Final = {"confirmed:quarantine": 1, LANDED: 3, REPORTED: 4}
_SIGN: Final = 2
"""What outranks what: a sign of a machine the end of the quarantine, a browser's landing any sign, a server all."""


def _weight(verdict: str) -> int:
    return _WEIGHTS.get(verdict, _SIGN if verdict.startswith("machine") else 0)


def is_news(known: Event, event: Event) -> bool:
    """Whether an event that comes again brings a verdict that changes something."""
    if event.provisional:
        return False
    is_other = known.verdict.startswith("machine") != event.verdict.startswith("machine")
    return known.provisional or (is_other and _weight(event.verdict) > _weight(known.verdict))


def with_verdict(before: Event, verdict: Event) -> Event:
    """A click with its verdict: it keeps its place, and knows what both ends of it knew."""
    return replaced(
        before,
        provisional=False,
        verdict=verdict.verdict,
        properties={**before.properties, **verdict.properties},
        device=verdict.device or before.device,
    )
