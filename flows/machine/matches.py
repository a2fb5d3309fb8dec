"""Matches as values, and as they are stored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from contracts.codec import Packed, to_json
from contracts.commands import EventRef
from flows.language.model import Reference


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


class StoredMatches(Packed, frozen=True):
    """Matches of the same events, as they are encoded: what does not differ between listeners stands once.

    ``each``: listener, version, the match id's bytes, and the values as step number, path and value.
    """

    subscriber: str
    steps: dict[str, tuple[EventRef, ...]]
    events: tuple[str, ...]
    matched_at_ms: int
    completed_by: str
    each: tuple[tuple[str, int, bytes, tuple[tuple[int, str, Any], ...]], ...]


def to_stored(matches: Iterable[Match]) -> tuple[StoredMatches, ...]:
    """Matches, ready to be encoded."""
    groups: list[list[Match]] = []
    for match in matches:
        last = groups[-1][-1] if groups else None
        if last is None or last.steps is not match.steps or last.events is not match.events:
            groups.append([])
        groups[-1].append(match)
    return tuple([_stored(group) for group in groups])


def _stored(group: Sequence[Match]) -> StoredMatches:
    first = group[0]
    each = [(match.listener, match.version, bytes.fromhex(match.match_id), _values(match)) for match in group]
    steps = dict(first.steps)
    return StoredMatches(first.subscriber, steps, first.events, first.matched_at_ms, first.completed_by, tuple(each))


def _values(match: Match) -> tuple[tuple[int, str, Any], ...]:
    if not match.values:
        return ()
    paths = sorted((each.step, each.path) for each in match.values)
    return tuple([(step, path, match.values[Reference(step, path)]) for step, path in paths])


def from_stored(stored: Iterable[StoredMatches]) -> Iterator[Match]:
    """The matches of what :func:`to_stored` made."""
    for group in stored:
        for listener, version, digest, values in group.each:
            yield Match(
                listener,
                version,
                group.subscriber,
                digest.hex(),
                group.steps,
                group.events,
                group.matched_at_ms,
                group.completed_by,
                {Reference(step, path): value for step, path, value in values},
            )


def match_id(listener: str, version: int, subscriber: str, events: Sequence[str]) -> str:
    """SEMANTICS 5: the first 32 hexadecimal digits of the SHA-256 of a JSON array without spaces, in UTF-8."""
    return hashlib.sha256(to_json([listener, version, subscriber, list(events)])).hexdigest()[:32]


def missing(matches: Sequence[Match], others: Sequence[Match]) -> tuple[Match, ...]:
    """The matches whose ids the others lack."""
    if not matches or not others:
        return tuple(matches)
    ids = {match.match_id for match in others}
    return tuple(match for match in matches if match.match_id not in ids)


def changed(before: Sequence[Match], now: Sequence[Match]) -> tuple[Match, ...]:
    """The matches that were there before with other evidence."""
    if not before:
        return ()
    steps = {match.match_id: match.steps for match in before}
    return tuple(match for match in now if steps.get(match.match_id, match.steps) != match.steps)
