"""What a listener answers, by brute force: a machine for each combination of values, then ``repeat`` and identities."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from contracts.events import Event
from flows.language.model import Listener, Op, Reference, Step
from tests.properties.brute_force import Simulation
from tests.properties.naive_language import MADE, Run, Seen, idents, rank, values

ZONES = available_timezones()
"""Found once: each look walks the folders of the time zone data."""
Answer = tuple[str, dict[str, list[str]], list[str], int]
"""Match id, step → event ids, event ids in order, matched at."""


def brute_force(
    listener: Listener, events: Sequence[Event], *, gap_ms: int, end_ms: int | None = None, zone: str = "UTC"
) -> list[Answer]:
    """The matches of one subscriber, in order of completion. ``zone``: the workspace's."""
    stream = with_sessions(events, gap_ms, zone)
    place = {id(seen): index for index, seen in enumerate(stream)}
    found: dict[tuple[str, ...], Any] = {}
    for own, key in machines(listener, stream):
        for at_ms, kind, run in Simulation(listener, own, key).simulate(end_ms):
            taken = tuple((place[id(own[index])], slot) for index, slot in run.taken)
            ids = tuple(own[index][0].event_id for index, _ in run.taken)
            each = (at_ms, kind, taken[-1][0] * kind, rank(Run(taken)))
            found[ids] = min(found.get(ids, each), each)
    answers: list[Answer] = []
    for ids, (at_ms, *_, (_, _, _, slots)) in sorted(found.items(), key=lambda item: item[1]):
        if answers and (listener.repeat == "once" or at_ms - answers[-1][3] < (listener.cooldown_ms or 0)):
            continue
        answers.append(_answer(listener, stream[0][0].subscriber, ids, slots, at_ms))
    return answers


def with_sessions(events: Sequence[Event], gap_ms: int, zone: str = "UTC") -> list[Seen]:
    stream: list[Seen] = []
    session: list[Event] = []
    for event in sorted(events, key=lambda each: each.place):
        if event.action == "profile_changed":
            continue
        known = what_is_known(events, event)
        near = bool(session) and event.occurred_at_ms - session[-1].occurred_at_ms <= gap_ms
        own = known.get("time_zone") if known.get("time_zone") in ZONES else zone
        local = datetime.fromtimestamp(event.occurred_at_ms / 1_000, ZoneInfo(str(own)))
        if event.action not in MADE:
            session = [*session, event] if near else [event]
        open_now = session if near or event.action not in MADE else []
        stream.append(Seen(event, open_now, local, known, standing(events, event), is_news(events, event)))
    return stream


def told(events: Sequence[Event]) -> list[tuple[Event, tuple[str, str, str], bool]]:
    """Who put the person where, in order: what a server or the flow says, with the place and whether they are in."""
    found = []
    for event in sorted(events, key=lambda each: each.place):
        if event.action in MADE and event.action != "session_ended" and event.trust != "browser":
            kind = event.action.partition("_")[0]
            name = event.properties[kind]
            is_in = event.action in {"list_joined", "tag_added"}
            found.append((event, (event.properties["account"], kind, name), is_in))
    return found


def standing(events: Sequence[Event], event: Event) -> frozenset[tuple[str, str, str]]:
    """SEMANTICS 9: of each list and tag the newest word at or before the event."""
    newest = {where: is_in for each, where, is_in in told(events) if each.place <= event.place}
    return frozenset(where for where, is_in in newest.items() if is_in)


def is_news(events: Sequence[Event], event: Event) -> bool:
    """Whether a joining or leaving is one: not of somebody known to be in, or out, before it."""
    for each, where, is_in in told(events):
        if each.event_id == event.event_id:
            before = [was for other, place, was in told(events) if place == where and other.place < each.place]
            return not before or before[-1] is not is_in
    return event.action not in MADE or event.action == "session_ended"


def what_is_known(events: Sequence[Event], event: Event) -> dict[str, Any]:
    """SEMANTICS 9: of each field the newest at or before the event; an empty value takes it away."""
    facts = [each for each in events if each.action == "profile_changed" and each.place <= event.place]
    believed = [each for each in facts if each.trust in {"token", "server"} and not each.stitched]
    found: dict[str, Any] = {}
    for fact in sorted(believed, key=lambda each: each.place):
        found |= fact.properties
    return {field: value for field, value in found.items() if value not in {None, ""}}


def machines(listener: Listener, stream: Sequence[Seen]) -> Iterator[tuple[list[Seen], dict[Reference, str | None]]]:
    """SEMANTICS 3: one independent machine for each combination of values; None is a value that never comes."""
    paths: dict[Reference, set[str]] = {}
    for line in listener.lines():
        if line.op == Op.SAME_AS:
            paths.setdefault(line.operand, {line.operand.path}).add(line.path)

    def shown(each: set[str]) -> set[str]:
        return {value for event, *_ in stream for path in each for value in idents(values(event.properties, path))}

    for per in sorted(shown({listener.per})) if listener.per else [""]:
        own = [seen for seen in stream if not listener.per or per in idents(values(seen[0].properties, listener.per))]
        for combination in itertools.product(*([None, *sorted(shown(each))] for each in paths.values())):
            yield own, dict(zip(paths, combination, strict=True))


def _answer(listener: Listener, subscriber: str, ids: tuple[str, ...], slots: list[int], at_ms: int) -> Answer:
    text = json.dumps([listener.name, listener.version, subscriber, ids], separators=(",", ":"), ensure_ascii=False)
    keys = [element.key for element in listener.sequence if isinstance(element, Step)]
    steps: dict[str, list[str]] = {}
    for one, slot in sorted(zip(ids, slots, strict=True), key=lambda pair: pair[1]):
        steps.setdefault(keys[slot], []).append(one)
    return hashlib.sha256(text.encode()).hexdigest()[:32], steps, list(ids), at_ms
