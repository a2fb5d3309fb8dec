"""The events of a stored body, envelope and events in one reading. What it lets through is what one by one would be.

NOTE: of its own, because it is compiled, and msgspec's classes are not (docs/adr/0006).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from contracts.beacons import SentEvent, decode_told, decode_told_by_server
from contracts.errors import BadInput
from contracts.properties import MAX_EVENT_BYTES, check_properties
from contracts.reasons import Reason

_ID: Final = re.compile(r"[A-Za-z0-9._:-]+")
_ACTION: Final = re.compile(r"[a-z][a-z0-9_]*")
"""As :data:`contracts.beacons.Id` and :data:`contracts.beacons.ActionField` have them."""


def read_events(body: bytes, *, by_server: bool) -> Sequence[SentEvent]:
    """All events of a stored body: as :func:`contracts.beacons.read_event` has each of them.

    Raises :class:`BadInput` where any of it may not be, or where the body is longer than one event may be.
    """
    if len(body) > MAX_EVENT_BYTES:
        raise BadInput(Reason.BAD_EVENT, f"{len(body)} bytes, {MAX_EVENT_BYTES} at most")
    told: Sequence[SentEvent]
    if by_server:
        told = decode_told_by_server(body).events
    else:
        beacon = decode_told(body)
        _check_id(beacon.device)
        told = beacon.events
    for each in told:
        _check_id(each.event_id)
        if _ACTION.fullmatch(each.action) is None:
            raise BadInput(Reason.BAD_EVENT, "action")
        check_properties(each.properties)
    return told


def _check_id(text: str) -> None:
    # PERF: letters and digits alone are settled without the pattern.
    if not (text.isalnum() and text.isascii()) and _ID.fullmatch(text) is None:
        raise BadInput(Reason.BAD_EVENT, "id")
