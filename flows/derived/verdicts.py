"""Verdicts on clicks, as an event that comes again under its id (SEMANTICS 7). Pure."""

from __future__ import annotations

from contracts.codec import replaced
from contracts.events import Event


def is_news(known: Event, event: Event) -> bool:
    """Whether an event that comes again brings a verdict that changes something."""
    if event.provisional:
        return False
    return known.provisional or (event.verdict.startswith("machine") and not known.verdict.startswith("machine"))


def with_verdict(before: Event, verdict: Event) -> Event:
    """A click with its verdict: it keeps its place, and knows what both ends of it knew."""
    return replaced(
        before,
        provisional=False,
        verdict=verdict.verdict,
        properties={**before.properties, **verdict.properties},
        device=verdict.device or before.device,
    )
