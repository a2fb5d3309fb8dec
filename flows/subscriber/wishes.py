"""What a match wants: its listener's ``then`` for the person's variant, with the names of lists filled in. Pure."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from contracts.reasons import Reason
from contracts.tokens import is_anonymous
from flows.language.model import Listener, Reference, Response, Template
from flows.language.shares import is_held_out, variant_of
from flows.machine.machine import Match

MAX_PART: Final = 60
"""Characters that one value may bring into a list's name."""


class Wanted(NamedTuple):
    """One resolved response."""

    position: int
    response: Response
    to_list: str
    from_list: str

    @property
    def what(self) -> tuple[str, str, str, str, str, str]:
        """What it does, whatever it rests on."""
        at, tag, url = self.response.at or "", self.response.tag or "", self.response.url or ""
        return (self.response.do.value, at, self.to_list, self.from_list, tag, url)


def mark_of(listener: Listener, match: Match, workspace: str) -> str:
    """The reason why a known subscriber's match makes no command; empty where it makes some."""
    held_out = is_held_out(listener.holdout, workspace, listener.name, match.subscriber)
    return str(Reason.HELD_OUT) if held_out and not is_anonymous(match.subscriber) else ""


def is_made_name(wanted: Wanted) -> bool:
    """Whether events make the name of the list that is added to."""
    to_list = wanted.response.to_list
    return to_list is not None and to_list.is_made


def wanted_by(listener: Listener, match: Match, workspace: str) -> tuple[list[Wanted], list[str]]:
    """The responses for the person's variant with their lists resolved, and the templates that came to nothing."""
    found, unnamed = [], []
    variant = variant_of(dict(listener.variants), workspace, listener.name, match.subscriber)
    for position, response in enumerate(listener.then):
        if response.only is not None and response.only != variant:
            continue
        names = [_resolved(template, match, variant) for template in (response.to_list, response.from_list)]
        if None in names:
            unnamed.append((response.to_list or response.from_list or Template("", ())).text)
        else:
            found.append(Wanted(position, response, names[0] or "", names[1] or ""))
    return found, unnamed


def _resolved(template: Template | None, match: Match, variant: str) -> str | None:
    """A list's name; None where a value that it needs is missing or leaves nothing of itself."""
    if template is None:
        return ""
    parts = []
    for part in template.parts:
        if isinstance(part, str):
            text = part
        else:
            text = _slug(match.values.get(part)) if isinstance(part, Reference) else variant
        if not text:
            return None
        parts.append(text)
    return "".join(parts)


def _slug(value: object) -> str:
    """SEMANTICS 8: lower-case letters, digits and hyphens, at most 60."""
    if value is None or isinstance(value, (list, dict)):
        return ""
    return re.sub(r"[^a-z0-9]+", "-", str(value).lower()).strip("-")[:MAX_PART].strip("-")
