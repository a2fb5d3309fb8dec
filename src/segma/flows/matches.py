"""Matches as values, and as they are stored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from segma.contracts.codec import Packed, to_json
from segma.contracts.commands import EventRef
from segma.flows.language.model import Reference


class Match(Packed, frozen=True):
    """A completed sequence.

    ``match_id``: SEMANTICS 5. ``steps``: step name (or its number from 1, as text) → its events. ``events``: all ids in
    the order of the stream. ``completed_by``: the id of the event that completed it; empty where a deadline did.
    ``values``: what the templates of ``then`` refer to; a step without that property is absent.
    """

    listener: str
    version: int
    subscriber: str
    match_id: str
    steps: Mapping[str, tuple[EventRef, ...]]
    events: tuple[str, ...]
    matched_at_ms: int
    completed_by: str
    values: Mapping[Reference, Any]


class StoredMatch(Packed, frozen=True):
    """A match as it is encoded: references are pairs of step number and path."""

    listener: str
    version: int
    subscriber: str
    match_id: str
    steps: dict[str, tuple[EventRef, ...]]
    events: tuple[str, ...]
    matched_at_ms: int
    completed_by: str
    values: tuple[tuple[int, str, Any], ...]


def to_stored(match: Match) -> StoredMatch:
    """A match, ready to be encoded."""
    values = sorted((reference.step, reference.path) for reference in match.values)
    return StoredMatch(
        match.listener,
        match.version,
        match.subscriber,
        match.match_id,
        dict(match.steps),
        match.events,
        match.matched_at_ms,
        match.completed_by,
        tuple((step, path, match.values[Reference(step, path)]) for step, path in values),
    )


def from_stored(stored: StoredMatch) -> Match:
    """The match of what :func:`to_stored` made."""
    return Match(
        stored.listener,
        stored.version,
        stored.subscriber,
        stored.match_id,
        stored.steps,
        stored.events,
        stored.matched_at_ms,
        stored.completed_by,
        {Reference(step, path): value for step, path, value in stored.values},
    )


def match_id(listener: str, version: int, subscriber: str, events: Sequence[str]) -> str:
    """SEMANTICS 5: the first 32 hexadecimal digits of the SHA-256 of a JSON array without spaces, in UTF-8."""
    return hashlib.sha256(to_json([listener, version, subscriber, list(events)])).hexdigest()[:32]
