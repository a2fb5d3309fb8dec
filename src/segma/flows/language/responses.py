"""``then``: what a match does (SEMANTICS 8). Accounts and their abilities are not looked up here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from segma.flows.language.conditions import Earlier, reference_of
from segma.flows.language.grammar import MAX_RESPONSES, RESPONSES
from segma.flows.language.model import Do, Reference, Response, Template
from segma.flows.language.reader import Spot

_ACCOUNT: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
MAX_LIST_NAME: Final = 100
_FORMS: Final = "move, add, remove, tag, untag or webhook"


def read_then(spot: Spot, steps: Earlier) -> tuple[Response, ...]:
    """The lines of ``then``. ``steps``: those that templates may name."""
    items = spot.items("a list of what to do", least=0, most=MAX_RESPONSES)
    read = [_read_response(item, steps) for item in items or ()]
    return tuple(response for response in read if response is not None)


def _read_response(spot: Spot, steps: Earlier) -> Response | None:
    entries = spot.entries(RESPONSES, f"one of {_FORMS}")
    if entries is None:
        return None
    if len(entries) != 1:
        if not spot.sheet.problems or entries:
            spot.bad(f"one of {_FORMS} in each line", f"{len(entries)} of them")
        return None
    verb, value = entries[0]
    words = RESPONSES[verb]
    form = "{" + ", ".join(f"{name}: …" for name in words) + "}"
    inner = value.entries(words, form)
    if inner is None:
        return None
    fields = {entry.name: entry.spot for entry in inner}
    missing = [name for name in words if name not in fields]
    if missing:
        value.bad(form, f"no `{missing[0]}`")
        return None
    return _response(Do(verb), fields, steps)


def _response(do: Do, fields: Mapping[str, Spot], steps: Earlier) -> Response | None:
    if do is Do.WEBHOOK:
        url = _url(fields["url"])
        return None if url is None else Response(do, url=url)
    at = fields["at"].text("an account's name")
    if at is not None and not _ACCOUNT.fullmatch(at):
        fields["at"].bad("an account's name: lower-case letters, digits and hyphens")
        at = None
    if do in {Do.TAG, Do.UNTAG}:
        tag = _list_name(fields["add" if do is Do.TAG else "remove"])
        return None if at is None or tag is None else Response(do, at=at, tag=tag)
    to_list = _template(fields["to"], steps) if "to" in fields else None
    from_list = _template(fields["from"], steps) if "from" in fields else None
    if at is None or ("to" in fields and to_list is None) or ("from" in fields and from_list is None):
        return None
    if to_list is not None and from_list is not None and to_list.text == from_list.text:
        fields["to"].bad("another list than `from`", f"the same list `{to_list.text}`")
        return None
    return Response(do, at=at, to_list=to_list, from_list=from_list)


def _list_name(spot: Spot) -> str | None:
    text = spot.text("a name")
    if text is not None and (len(text) > MAX_LIST_NAME or not text.isprintable()):
        spot.bad(f"a printable name of at most {MAX_LIST_NAME} characters")
        return None
    return text


def _template(spot: Spot, steps: Earlier) -> Template | None:
    text = _list_name(spot)
    if text is None:
        return None
    parts: list[str | Reference] = []
    for piece in re.split(r"(\{[^{}]*\})", text):
        if piece.startswith("{") and piece.endswith("}"):
            reference = reference_of(spot, piece[1:-1].strip(), steps, lists=False)
            if reference is None:
                return None
            parts.append(reference)
        elif "{" in piece or "}" in piece:
            spot.bad("braces in pairs around step.property, such as viewed-{looked.category}")
            return None
        elif piece:
            parts.append(piece)
    return Template(text, tuple(parts))


def _url(spot: Spot) -> str | None:
    text = spot.text("an address that starts with https://")
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None
    except ValueError:
        fine = False
    if not fine or not text.isprintable() or " " in text:
        spot.bad("an address that starts with https://, without a name or password in it")
        return None
    return text
