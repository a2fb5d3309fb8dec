"""Listeners that move people round: one's move is another's step, and so on back to the first. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from contracts.events import Event, Trust
from contracts.membership import LIST_JOINED, LIST_LEFT, MEMBERSHIP, SEGMA, TAG_ADDED, TAG_REMOVED
from flows.derived.sessions import Session
from flows.language.compile import ReferenceNumbers, compile_condition
from flows.language.model import Condition, Do, Listener, Not, Step, Template
from flows.language.satisfiable import alternatives

_SESSION = Session("", 0, 0, 1)


def circles(listeners: Sequence[Listener]) -> list[tuple[Listener, list[str]]]:
    """The listeners that are in a circle, each with the names of those it leads through, back to itself."""
    newest = {each.name: each for each in sorted(listeners, key=lambda each: (each.name, each.version))}
    leads = {name: [other.name for other in newest.values() if _leads(one, other)] for name, one in newest.items()}
    found = [(newest[name], _way_back(name, leads)) for name in sorted(newest)]
    return [(listener, way) for listener, way in found if way]


def _way_back(name: str, leads: Mapping[str, Sequence[str]]) -> list[str]:
    """The shortest way from a listener to itself; empty where there is none."""
    ways = [[name, other] for other in leads[name]]
    seen: set[str] = set()
    for way in ways:
        if way[-1] == name:
            return way
        if way[-1] not in seen:
            seen.add(way[-1])
            ways.extend([*way, other] for other in leads[way[-1]])
    return []


def _leads(one: Listener, other: Listener) -> bool:
    """Whether a match of one makes an event that a step of the other may take."""
    taken = [each for step in other.sequence if isinstance(step, Step) for each in _taken(step)]
    return any(_may_fit(condition, event) for event in _made(one) for condition in taken)


def _taken(step: Step | Not) -> Iterator[Condition]:
    if isinstance(step, Step):
        for condition in step.all_of or ((step.condition,) if step.condition else ()):
            yield from (each for each in alternatives(condition) if each.action in MEMBERSHIP)


def _made(listener: Listener) -> Iterator[Event]:
    """The events that a match makes; a name that events make stands as it is written."""
    for response in listener.then:
        said = {"account": response.at, "by": SEGMA, "listener": listener.name}
        tagged = TAG_ADDED if response.do is Do.TAG else TAG_REMOVED
        named = ((LIST_JOINED, response.to_list), (LIST_LEFT, response.from_list), (tagged, response.tag))
        for action, name in named:
            if name is not None:
                text, kind = _text(name), "tag" if action == tagged else "list"
                yield Event("", "", "", action, 0, properties={**said, kind: text}, trust=Trust.SERVER)


def _text(name: Template | str) -> str | None:
    """The name; None where events make it: it may be any."""
    if isinstance(name, str):
        return name
    return name.text if all(isinstance(part, str) for part in name.parts) else None


def _may_fit(condition: Condition, event: Event) -> bool:
    """Whether an event may fit, as far as its own properties tell: what is asked beside them is left out."""
    known = [line for line in condition.where if line.path in event.properties and not line.references]
    told = tuple(line for line in known if event.properties[line.path] is not None)
    asked = Condition(condition.action, where=told)
    return compile_condition(asked, ReferenceNumbers({}, {}), 0).plain(event, _SESSION)
