"""The language as JSON Schema, so that editors complete it. Made from the tables that the parser reads by."""

from __future__ import annotations

import json
from typing import Any, Final

from flows.language.conditions import CONDITION_SHAPE, COUNTS, DURATIONS, OPERATOR, SESSION, WHERE
from flows.language.elements import NOT, STEP, SUM, TIMES_SHAPE
from flows.language.memberships import SHAPES as MEMBERSHIP_SHAPES
from flows.language.parse import COOLDOWN, LISTENER
from flows.language.responses import RESPONSE, VERBS

SHAPES: Final = (
    LISTENER, STEP, NOT, CONDITION_SHAPE, OPERATOR, SESSION, DURATIONS, COUNTS, TIMES_SHAPE, SUM, COOLDOWN, RESPONSE,
    *VERBS, *MEMBERSHIP_SHAPES,
)  # fmt: skip
"""Every mapping of the language that has known names."""


def listener_schema() -> dict[str, Any]:
    """The schema of one document (JSON Schema 2020-12).

    It knows forms, names and bounds. What needs the whole listener (references, where a ``not`` may stand, which
    actions there are) only :func:`flows.language.parse.parse_listeners` checks.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Segma listener",
        **LISTENER.schema(),
        "$defs": {**{shape.name: shape.definition() for shape in SHAPES}, "where": WHERE.definition()},
    }


def schema_text() -> str:
    """The schema as it stands in ``docs/listener.schema.json``."""
    return json.dumps(listener_schema(), indent=2, ensure_ascii=False) + "\n"
