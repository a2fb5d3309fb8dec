"""Short forms for tests of the machine: ``"a@1 b@2{k:1}"`` is a stream, ``"1,2@2"`` a match of its events 1 and 2."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from contracts.events import Event, Trust
from flows.derived.sessions import Session, extended
from flows.language.model import Listener
from flows.language.parse import parse_listeners
from flows.machine.machine import Machine, MachineState, Match

ACTIONS = frozenset({*"abcdmnx", "ab", "email_opened", "email_clicked", "page_clicked", "button_clicked"})
GAP_MS = 1_800_000

_EVENT = re.compile(r"(\w+)@(-?[\d.]+)(\{.*?\}(?= |$))?(!?[a-z:]*)")


def listener(text: str, name: str = "l") -> Listener:
    """The listener of a sequence (the YAML below ``listener:``), its steps one a line with ``- ``."""
    document = f"listener: {name}\n{text.strip()}\n"
    return parse_listeners([("l.yaml", document.encode())], known_actions=ACTIONS)[0]


def sequence(*steps: str, more: str = "") -> Listener:
    """The listener of these steps in YAML's flow form, without the braces."""
    lines = "\n".join(f"  - {{{step}}}" for step in steps)
    return listener(f"{more}\nsequence:\n{lines}")


def stream(text: str) -> list[Event]:
    """Events of one subscriber, ids from 1. ``@`` seconds, then properties as JSON, then a mark: ``!stitched``,
    ``!provisional``, ``!machine``, ``!server``, ``!browser``.
    """
    found = []
    for number, (action, at, properties, mark) in enumerate(_EVENT.findall(text), start=1):
        found.append(_event(number, action, float(at), json.loads(properties or "{}"), mark[1:]))
    return found


def _event(number: int, action: str, at_s: float, properties: dict[str, Any], mark: str) -> Event:
    return Event(
        workspace="w",
        subscriber="s",
        event_id=str(number),
        action=action,
        occurred_at_ms=round(at_s * 1_000),
        order=number,
        properties=properties,
        trust=Trust(mark) if mark in set(Trust) else Trust.TOKEN,
        stitched=mark == "stitched",
        provisional=mark == "provisional",
        verdict="machine:agent" if mark == "machine" else "",
    )


def told(match: Match) -> str:
    """``"1,2@3"``: the ids of its events, and when it was complete, in seconds."""
    return f"{','.join(match.events)}@{match.matched_at_ms / 1_000:g}"


def run(machine: Machine, events: Sequence[Event], until: float | None = None) -> tuple[MachineState, list[Match]]:
    """The machine over events in order, then time up to ``until`` (seconds)."""
    state, session, found = machine.start("s"), None, list[Match]()
    for event in events:
        session = extended(session, event, gap_ms=GAP_MS)
        state, matches = machine.apply(state, event, session)
        found.extend(matches)
    if until is not None:
        state, matches = machine.advance(state, round(until * 1_000))
        found.extend(matches)
    return state, found


def matches(of: Listener, text: str, until: float | None = None) -> list[str]:
    """What the machine says of a stream, in short form."""
    return [told(match) for match in run(Machine([of]), stream(text), until)[1]]


def evidence(of: Listener, text: str, until: float | None = None) -> list[dict[str, str]]:
    """The steps of each match, in short form: step → ids with commas."""
    _, found = run(Machine([of]), stream(text), until)
    return [{name: ",".join(event.event_id for event in refs) for name, refs in match.steps.items()} for match in found]


def session_of(events: Sequence[Event], gap_ms: int = GAP_MS) -> list[Session]:
    """The session up to and including each event."""
    found: list[Session] = []
    for event in events:
        found.append(extended(found[-1] if found else None, event, gap_ms=gap_ms))
    return found
