"""What a user does on a site, recorded while they do it: a link's code says which browser is theirs. No I/O."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import yaml

from contracts.actions import ACTIONS
from contracts.events import Event
from contracts.installation import Site
from contracts.rows import EventRow

MOST: Final = 20
"""Recordings that are held; the oldest go."""
MOST_EVENTS: Final = 100
LASTS_MS: Final = 30 * 60_000
"""From its beginning on a recording takes events, and is shown."""

_WHERE: Final[Mapping[str, tuple[str, ...]]] = {
    action.name: tuple(name for name, test in (yaml.safe_load(action.where or "{}")).items() if isinstance(test, str))
    for action in ACTIONS
}
"""Action → the properties that say which of its kind it was."""


class Key(NamedTuple):
    """Whose a recording is, and the code in its link."""

    workspace: str
    user: str
    code: str


@dataclass
class Recording:
    """One recording. ``link``: what the user opens; ``device``: their browser, once it has come by the link."""

    link: str
    begun_ms: int
    device: str = ""
    events: list[Event] = field(default_factory=list)

    def is_over(self, now_ms: int) -> bool:
        """Whether its time has passed."""
        return now_ms - self.begun_ms > LASTS_MS


class Recordings:
    """The recordings of now. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[Key, Recording] = OrderedDict()

    def begin(self, key: Key, link: str, now_ms: int) -> None:
        """Record the browser that comes by this link."""
        with self._lock:
            self._known[key] = Recording(link, now_ms)
            for former in [each for each, held in self._known.items() if held.is_over(now_ms)]:
                del self._known[former]
            while len(self._known) > MOST:
                self._known.popitem(last=False)

    def of(self, key: Key, now_ms: int) -> tuple[str, list[Event]] | None:
        """The link of a recording, and what was done so far, in order; None: there is none, or it is over."""
        with self._lock:
            found = self._known.get(key)
            if found is None or found.is_over(now_ms):
                return None
            return found.link, sorted(found.events, key=lambda event: event.place)

    def take(self, row: EventRow, before: Iterable[EventRow] = ()) -> None:
        """Add what came to the recordings that it belongs to; ``before``: what came lately, of the same beacon too."""
        with self._lock:
            for key, recording in self._known.items():
                if key.workspace != row.event.workspace or recording.is_over(row.event.received_at_ms):
                    continue
                if not recording.device and row.event.device and row.event.event_id == f"c-{key.code}":
                    recording.device = row.event.device
                    for each in before:
                        _add(recording, each)
                _add(recording, row)


def _add(recording: Recording, row: EventRow) -> None:
    """Keep an event of the recording's browser once, if it counted."""
    event, held = row.event, recording.events
    if not recording.device or event.device != recording.device or row.reason or len(held) >= MOST_EVENTS:
        return
    if event.received_at_ms >= recording.begun_ms and event.event_id not in {each.event_id for each in held}:
        held.append(event)


def link_of(page: str, site: Site, code: str, campaign: str) -> str:
    """The page as a mail's link leads to it, with the code as the click's id; what the address has stays."""
    parts = urlsplit(page)
    own = {**({site.campaign_param: campaign} if campaign else {}), site.click_param: code}
    query = "&".join(each for each in (parts.query, urlencode(own, quote_via=quote)) if each)
    return urlunsplit(parts._replace(query=query))


def step_of(event: Event) -> dict[str, Any]:
    """A step that this event fits, as a listener's file has it: the action, and which of its kind it was."""
    names = [name for name in _WHERE.get(event.action, ()) if isinstance(event.properties.get(name), str)]
    if not names and event.properties.get("selector"):
        names = ["selector"]
    where = {name: event.properties[name] for name in names}
    return {"action": event.action, **({"where": where} if where else {})}
