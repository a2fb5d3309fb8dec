"""A person's places at a platform, which are lists and tags, and the marks that say which of them changed. Pure."""

from __future__ import annotations

from sinks.base import Marks


def place(kind: str, name: str) -> str:
    """Return the name of a list (kind empty) or a tag (kind ``t``) among a person's places."""
    return f"{kind}:{name}"


def mark_of(name: str, into: bool) -> str:
    """Return the mark of a place that was entered or left."""
    kind, _, bare = name.partition(":")
    return f"{kind}{'+' if into else '-'}{bare}"


def places(changed: Marks) -> dict[str, bool]:
    """Return the lists and tags of some marks; True: put in, False: taken out. Fields are none."""
    found = {}
    for mark in changed:
        kind = "t" if mark[0] == "t" else ""
        sign = mark[len(kind)]
        if sign in "+-":
            found[place(kind, mark[len(kind) + 1 :])] = sign == "+"
    return found
