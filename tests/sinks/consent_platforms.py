"""The platforms of the random histories: every imitation, and those that answer in other ways than over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.sinks.consent_bed import Elsewhere
from tests.sinks.consent_files import FileDialect
from tests.sinks.consent_knowledge import Shows
from tests.sinks.consent_sympa import SympaDialect
from tests.sinks.simulator import rosters
from tests.sinks.simulator.imitation import Imitation, imitations

PLATFORMS: Mapping[str, Imitation] = {
    **imitations(),
    "mailman": Imitation(
        rosters.Mailman,
        rosters.OPTIONS,
        Shows(
            lists_are_left=True,
            leavings=False,
            removals=False,
            other_lists=True,
            numbers=False,
            people=False,
            pending=False,
            asks="list",
        ),
        stands_for_all=False,
        bounces=False,
    ),
    "file": Imitation(
        FileDialect,
        {},
        Shows(lists_are_left=True, leavings=False, removals=False, other_lists=True, numbers=False, people=False),
        stands_for_all=False,
        bounces=False,
    ),
    "sympa": Imitation(
        SympaDialect,
        {},
        Shows(lists_are_left=True, leavings=True, removals=False, other_lists=True, numbers=False, people=False),
        stands_for_all=False,
        bounces=False,
    ),
    **{
        name: Imitation(
            Elsewhere,
            {},
            Shows(True, leavings=False, removals=False, other_lists=False, numbers=False, anything=False),
            stands_for_all=False,
            bounces=False,
        )
        for name in ("webhook", "kafka")
    },
}
READ: Sequence[str] = tuple(name for name, each in PLATFORMS.items() if each.shows.anything)
"""Those of which anything can be read."""
