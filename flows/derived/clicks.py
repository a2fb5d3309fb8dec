"""Clicks on trial: what speaks against one that no browser has landed for (docs/semantics.md). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from contracts.codec import Value, replaced
from contracts.events import Event

BURST_MS: Final = 3_000
BURST_LINKS: Final = 3
"""So many different links of one person within :data:`BURST_MS`, and a machine followed them."""
DELIVERY_MS: Final = 10_000
"""Nobody has read a mail so soon after its delivery; gateways look at links as they let a mail in."""
MAX_CLICKS: Final = 64
"""Of one person on trial at a time; one more is a machine's at once."""
HEAD: Final = "head_request"


class Click(Value, frozen=True):
    """A redirect's click that waits for its verdict: a real browser's landing, or the end of the quarantine."""

    event: Event
    due_ms: int
    """Log time at which the quarantine is over."""
    scanner: str
    """What speaks against it: a sign that the collector saw, or one of :func:`judged`; empty for nothing."""
    link: str = ""
    """Which link it was, as a short hash of the whole address."""


def judged(clicks: Sequence[Click], delivered_ms: int) -> tuple[Click, ...]:
    """The clicks of one person with what they say of each other, and what the last delivery says of them.

    ``delivered_ms``: when the last mail was delivered, by the platform's clock; 0: not known.
    """
    return tuple(
        click if click.scanner else replaced(click, scanner=_against(click, clicks, delivered_ms)) for click in clicks
    )


def _against(click: Click, clicks: Sequence[Click], delivered_ms: int) -> str:
    at_ms = click.event.occurred_at_ms
    if any(each.scanner == HEAD and each.link == click.link for each in clicks):
        return "head_before_get"
    if _in_burst(at_ms, [each for each in clicks if abs(each.event.occurred_at_ms - at_ms) <= BURST_MS]):
        return "burst"
    return "soon_after_delivery" if 0 <= at_ms - delivered_ms <= DELIVERY_MS else ""


def _in_burst(at_ms: int, near: Sequence[Click]) -> bool:
    """Whether so many links were followed within one :data:`BURST_MS` that this click lies in."""
    if len({each.link for each in near}) < BURST_LINKS:
        return False
    times = {each.event.occurred_at_ms for each in near if each.event.occurred_at_ms <= at_ms}
    return any(
        len({each.link for each in near if 0 <= each.event.occurred_at_ms - first <= BURST_MS}) >= BURST_LINKS
        for first in times
    )


def verdict_of(click: Click) -> str:
    """The verdict at the end of the quarantine."""
    return f"machine:{click.scanner}" if click.scanner else "confirmed:quarantine"
