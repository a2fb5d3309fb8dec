"""Moves that are events, by brute force: of all matches the first whose events are not there yet adds them, and all is
asked again from the start (SEMANTICS 9, from that page alone).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from contracts.codec import replaced
from contracts.events import Event, Trust
from flows.language.model import Listener
from tests.properties.oracle import Answer, brute_force

BEHIND = 1 << 60
"""The order of what matches make: behind whatever the person does at that time."""
HOUR_MS = 3_600_000
MOST = 8
NEVER: Final[Mapping[str, tuple[int, int]]] = {}
OTHERS = {"list_joined", "list_left", "tag_added", "tag_removed", "profile_changed"}


class Told(NamedTuple):
    """A match with the number of moves that lie behind it."""

    at_ms: int
    depth: int
    listener: str
    answer: Answer


def changes(listener: Listener) -> Iterator[tuple[int, str, str, str, str]]:
    """Position, action, account, kind and name of all that a match makes, in order. Names are plain."""
    for position, each in enumerate(listener.then):
        if each.to_list:
            yield position, "list_joined", str(each.at), "list", each.to_list.text
        if each.from_list:
            yield position, "list_left", str(each.at), "list", each.from_list.text
        if each.tag:
            yield position, "tag_added" if each.do == "tag" else "tag_removed", str(each.at), "tag", each.tag


def made_by(listener: Listener, match: Told, subscriber: str) -> Iterator[tuple[Any, Event]]:
    """The events of a match, each with what orders it among those of one time."""
    match_id = match.answer[0]
    for position, action, account, kind, name in changes(listener):
        parts = ["membership", account, name, subscriber, action, match_id, position]
        text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
        event_id = hashlib.sha256(text.encode()).hexdigest()[:32]
        said = {"account": account, kind: name, "by": "segma", "listener": listener.name, "depth": match.depth}
        event = Event("", subscriber, event_id, action, match.at_ms, properties=said, trust=Trust.SERVER)
        leaves = action in {"list_left", "tag_removed"}
        yield (match.at_ms, match.depth, listener.name, position, leaves, event_id), event


def ends(events: Sequence[Event], gap_ms: int, end_ms: int) -> Iterator[Event]:
    """The ends of sessions: behind all that the person does at that time, before what matches make."""
    own = [each for each in sorted(events, key=lambda each: each.place) if each.action not in OTHERS]
    while own:
        count = next((n for n in range(1, len(own)) if own[n].occurred_at_ms - own[n - 1].occurred_at_ms > gap_ms), 0)
        visit, own = own[: count or None], own[count:] if count else []
        last, at_ms = visit[-1], visit[-1].occurred_at_ms + gap_ms
        if at_ms >= end_ms and not any(each.occurred_at_ms > at_ms for each in events):
            continue
        paths = [each.properties.get("path") for each in visit if each.action == "page_viewed"]
        texts = [path for path in paths if isinstance(path, str) and path]
        named = [each.properties.get("campaign") for each in visit]
        campaigns = [each for each in named if isinstance(each, str) and each]
        said = {"landing_path": texts[:1], "exit_path": texts[-1:], "campaign": campaigns[:1]}
        told: dict[str, Any] = {name: found[0] for name, found in said.items() if found}
        told |= {"duration_ms": last.occurred_at_ms - visit[0].occurred_at_ms, "events": len(visit)}
        name = f"session_ended/{last.event_id}"
        yield replaced(last, event_id=name, action="session_ended", occurred_at_ms=at_ms, order=BEHIND - 1,
                       properties=told, provisional=False, verdict="")  # fmt: skip


def placed(made: Sequence[tuple[Any, Event]]) -> list[Event]:
    ordered = sorted(made, key=lambda each: each[0])
    return [replaced(event, order=BEHIND + number) for number, (_, event) in enumerate(ordered)]


def depth_of(answer: Answer, made: Sequence[Event]) -> int:
    near = [each for each in made if each.event_id in answer[2] and answer[3] - each.occurred_at_ms < HOUR_MS]
    return 1 + max([each.properties["depth"] for each in near], default=0)


def swallowed(match: Told, pauses: Mapping[str, tuple[int, int]]) -> bool:
    """Whether the match completed while its listener was paused: it makes nothing."""
    from_ms, until_ms = pauses.get(match.listener, (0, 0))
    return from_ms <= match.at_ms < until_ms


def all_matches(
    listeners: Sequence[Listener],
    events: Sequence[Event],
    *,
    gap_ms: int,
    end_ms: int,
    pauses: Mapping[str, tuple[int, int]] = NEVER,
    most: int = MOST,
) -> list[Told]:
    """The matches of listeners that hear each other, in order. ``pauses``: of a listener, from and until. ``most``:
    so many moves in a row, each the reason for the next one; a match behind them makes nothing.
    """
    events = [*events, *ends(events, gap_ms, end_ms)]
    done: set[str] = set()
    made: list[tuple[Any, Event]] = []
    while True:
        own = placed(made)
        found = []
        for listener in listeners:
            for answer in brute_force(listener, [*events, *own], gap_ms=gap_ms, end_ms=end_ms):
                found.append((Told(answer[3], depth_of(answer, own), listener.name, answer), listener))
        found.sort(key=lambda each: each[0][:3])
        new = next((each for each in found if each[0].answer[0] not in done), None)
        if new is None:
            return [each for each, _ in found]
        done.add(new[0].answer[0])
        if new[0].depth <= most and not swallowed(new[0], pauses):
            made += made_by(new[1], new[0], events[0].subscriber)
