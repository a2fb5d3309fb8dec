"""What a person changed in the form, written into the YAML: nothing else of it changes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from console.writing.cells import ENTRIES, HEAD, LISTENER, STEP, Form, form_of, meant, only_document, scalar, slots
from console.writing.yaml_edit import NotEditable, Place, append, remove, rename, set_value, swap
from flows.language.source import Report

MAX_BYTES: Final = 128 * 1024
"""Of a text that is edited."""
NEW_STEP: Final = {"action": "page_viewed"}
_NUMBERS: Final = frozenset({"version"})


def form_in(text: str) -> Form:
    """The form of a text. Raises :class:`NotEditable` where it is no YAML of one listener."""
    if len(text.encode()) > MAX_BYTES:
        raise NotEditable(f"the text is longer than {MAX_BYTES} bytes")
    node = only_document(text, Report(""))
    if node is None:
        raise NotEditable("the text is not the YAML of one listener")
    return form_of(node)


def merged(text: str, shown: Form, given: Mapping[str, str]) -> str:
    """The text with the cells that were changed since they were shown.

    Raises :class:`NotEditable` where the text no longer has what the form was about.
    """
    now = {name: given.get(name, former).replace("\r\n", "\n") for name, former in shown.cells.items()}
    changed = {name for name, former in shown.cells.items() if now[name] != former and not name.endswith(".kept")}
    if not changed:
        return text
    there = form_in(text)
    if (there.steps, there.responses) != (shown.steps, shown.responses):
        raise NotEditable("the text has other steps than the form")
    for name in HEAD:
        if name in changed:
            text = _entered(text, (name,), _plain(name, now[name]), LISTENER)
    if changed & {"repeat", "cooldown"}:
        text = _entered(text, ("repeat",), _repeat(now["repeat"], now["cooldown"]), LISTENER)
    for number in range(1, shown.steps + 1):
        text = _step(text, number, shown, now, changed)
    for number in range(1, shown.responses + 1):
        if any(name.startswith(f"r{number}.") for name in changed):
            text = _response(text, number, shown.cells[f"r{number}.do"], now)
    return text


def reshaped(text: str, change: str, number: int, account: str) -> str:
    """The text with a step or a response more, less, or elsewhere. ``account``: of a new response."""
    if change == "add_step":
        return _appended(text, "sequence", NEW_STEP)
    if change == "add_response":
        return _appended(text, "then", {"add": {"to": "a-list", "at": account}})
    if change in ("drop_step", "drop_response"):
        return remove(text, ("sequence" if change == "drop_step" else "then", number - 1))
    if change in ("raise_step", "lower_step"):
        return swap(text, ("sequence",), number - 2 if change == "raise_step" else number - 1)
    return text


def _appended(text: str, name: str, value: Mapping[str, Any]) -> str:
    document = only_document(text, Report(""))
    node = document.get(name) if document is not None else None
    if node is None or node.items is None:
        text = set_value(text, (name,), [], LISTENER)
    return append(text, (name,), value)


def _plain(name: str, text: str) -> Any:
    return scalar(text) if name in _NUMBERS and text else text


def _entered(text: str, place: Place, value: Any, order: tuple[str, ...]) -> str:
    """An entry's new value; without one the entry goes."""
    if value not in ("", None, {}):
        return set_value(text, place, value, order)
    try:
        return remove(text, place)
    except NotEditable:
        return text


def _repeat(repeat: str, cooldown: str) -> Any:
    return {"cooldown": cooldown} if repeat == "cooldown" else repeat


def _step(text: str, number: int, shown: Form, now: Mapping[str, str], changed: set[str]) -> str:
    here, place = f"s{number}.", ("sequence", number - 1)
    if f"{here}kind" in changed:
        text = rename(text, (*place, shown.cells[f"{here}kind"]), "not" if now[f"{here}kind"] == "not" else "action")
    if f"{here}action" in changed:
        kind = "not" if now[f"{here}kind"] == "not" else "action"
        text = set_value(text, (*place, kind), now[f"{here}action"], ENTRIES)
    for name in STEP:
        if here + name in changed:
            text = _entered(text, (*place, name), now[here + name], ENTRIES)
    if changed & {f"{here}often", f"{here}times"}:
        text = _entered(text, (*place, "times"), _times(now[f"{here}often"], now[f"{here}times"]), ENTRIES)
    for row in shown.rows(number):
        text = _condition(text, (*place, "where"), f"{here}w{row}.", shown, now)
    return text


def _times(often: str, times: str) -> Any:
    if not times.strip():
        return None
    return scalar(times) if often == "exactly" else {often or "at_least": scalar(times)}


def _condition(text: str, place: Place, row: str, shown: Form, now: Mapping[str, str]) -> str:
    was, became = (tuple(of[f"{row}{part}"] for part in ("property", "test", "value")) for of in (shown.cells, now))
    former, name = was[0], became[0].strip()
    if was == became or (not former and not name):
        return text
    if name:
        value = meant(became[1], became[2])
        try:
            text = set_value(text, (*place, name), value)
        except NotEditable:
            text = set_value(text, place, {name: value}, ENTRIES)
    if former and former != name:
        text = remove(text, (*place, former))
    if not name and not form_has_conditions(text, place):
        text = remove(text, place)
    return text


def form_has_conditions(text: str, place: Place) -> bool:
    """Whether a ``where`` of the text still asks anything."""
    document = only_document(text, Report(""))
    sequence = document.get("sequence") if document is not None else None
    step = (sequence.items or [])[int(place[1])] if sequence is not None else None
    where = step.get("where") if step is not None else None
    return where is not None and bool(where.pairs)


def _response(text: str, number: int, verb: str, now: Mapping[str, str]) -> str:
    here, place = f"r{number}.", ("then", number - 1)
    wanted = now[f"{here}do"]
    given = {entry: now[here + cell] for cell, entry in slots(wanted).items()}
    if wanted != verb:
        text = rename(text, (*place, verb), wanted)
        return set_value(text, (*place, wanted), given)
    for entry, value in given.items():
        text = set_value(text, (*place, verb, entry), value, ("from", "add", "remove", "to", "at"))
    return text
