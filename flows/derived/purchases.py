"""``similar_product_bought``: a bought product that shares a category, brand or tag with an earlier one. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from contracts.codec import replaced
from contracts.events import Event

BOUGHT: Final = "product_bought"
SIMILAR: Final = "similar_product_bought"
DERIVED: Final = "~similar"
"""How the id of such an event ends, behind that of the purchase."""
KEPT: Final = 50
KEPT_MS: Final = 400 * 86_400_000
"""DESIGN 6 and the issue's bounds: the last 50 purchases of a person, and none older than 400 days."""
MAX_TRAITS: Final = 20
"""Traits of one purchase that are compared."""
_TRAITS: Final = ("category", "brand", "tag", "tags")


class Purchase(NamedTuple):
    """What one event bought. ``similar``: whether a similar product is known to have been bought before."""

    at_ms: int
    order: int
    event_id: str
    traits: tuple[str, ...]
    event: Event | None = None
    """While an earlier purchase may still come: what is said again when this one turns out to be similar."""
    similar: bool = False

    @property
    def place(self) -> tuple[int, int, str]:
        """Its place in the order of the subscriber's events."""
        return self.at_ms, self.order, self.event_id


def bought(purchases: Sequence[Purchase], event: Event, lateness_ms: int) -> tuple[tuple[Purchase, ...], list[Event]]:
    """The purchases with one more, and the events that say which of them are of a similar product.

    A purchase that comes late can make later ones similar, so every order of arrival ends with the same events.
    """
    new = Purchase(event.occurred_at_ms, event.order, event.event_id, tuple(sorted(_traits(event)))[:MAX_TRAITS], event)
    ordered = sorted((*purchases, new), key=lambda each: each.place)
    newest_ms = ordered[-1].at_ms
    found: list[Purchase] = []
    said: list[Event] = []
    before: set[str] = set()
    for each in ordered:
        similar = each.similar or not before.isdisjoint(each.traits)
        before.update(each.traits)
        if similar and not each.similar and each.event is not None:
            said.append(derived(each.event))
        held = each.event if newest_ms - each.at_ms <= lateness_ms and not similar else None
        same = each.similar == similar and each.event is held
        found.append(each if same else each._replace(similar=similar, event=held))
    return tuple(each for each in found if newest_ms - each.at_ms <= KEPT_MS)[-KEPT:], said


def derived(event: Event) -> Event:
    """The event that says so, right behind the purchase: its properties are the purchase's."""
    return replaced(event, event_id=f"{event.event_id}{DERIVED}", action=SIMILAR)


def _traits(event: Event) -> Iterator[str]:
    yield from _of(event.properties)
    items = event.properties.get("items")
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield from _of(item)


def _of(properties: dict[str, Any]) -> Iterator[str]:
    for name in _TRAITS:
        value = properties.get(name)
        for each in value if isinstance(value, list) else (value,):
            if isinstance(each, str) and each:
                yield f"{name.removesuffix('s')}={each}"
