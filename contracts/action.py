"""One action of the vocabulary: its words, how pages get it captured and what its event looks like."""

from __future__ import annotations

from typing import Any

from contracts.codec import Value


class Action(Value, frozen=True):
    """One action: what it means, how a page gets it captured, what its event looks like. One row is all it takes."""

    name: str
    phrase: str
    """What a person does, as it stands behind "to": ``segma listeners describe`` says it so."""
    meaning: str
    captured_from: str
    markup: str = ""
    """HTML or script that makes it happen; empty where nothing on a page does."""
    automatic: bool = True
    """Captured from that markup by itself; where not, the markup (if any) is the call that sends it."""
    sample: dict[str, Any] = {}
    """Properties of a sample event."""
    where: str = ""
    """The ``where`` of a sample listener, as one line of YAML flow style; empty for none."""
    asked_by: tuple[str, ...] = ()
    """Properties by whose values a listener says what it asks for: a key, a letter, a selector, a percentage."""
    allowed_as: str = ""
    """Captured only where a live listener asks for it and the site allows this (``capture`` in ``segma.yaml``)."""
