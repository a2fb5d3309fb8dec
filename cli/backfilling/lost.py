"""What a platform's list lacks of what the history says, and what stands against putting it there. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from contracts.accounts import Fact, Veto
from contracts.commands import Command, Verb, command_id_of
from sinks.base import Standing

LEAST: Final = 20
PART: Final = 10
"""More than a tenth of a list, and at least so many people, are no leavings one by one (SEMANTICS 8.1, 3)."""


@dataclass
class Difference:
    """Subscriber ids, by what is the matter with them.

    ``lost``: to be put there. ``left``: who has left, as the platform or Segma knows. ``doubtful``: a few that are
    missing while the list is there: they may have left. ``unknown``: nobody in the directory. ``agreeing``: are there.
    ``others``: how many are there of whom the history says nothing; they stay.
    """

    agreeing: int = 0
    lost: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    others: int = 0


def difference(
    wanted: Collection[str],
    found: Mapping[str, Standing] | None,
    *,
    known: Collection[str],
    left: Collection[str],
    strangers: int = 0,
) -> Difference:
    """Hold what the history says against what the platform shows.

    ``found``: who is there; None: there is no such list. ``known``: who is in the directory. ``left``: who has left the
    list, or everything. ``strangers``: members that are nobody in the directory.
    """
    there = {} if found is None else found
    told = Difference(others=strangers + len(there.keys() - set(wanted)))
    missing = []
    for person in sorted(wanted):
        if person not in known:
            told.unknown.append(person)
        elif person in left or there.get(person) is Standing.LEFT:
            told.left.append(person)
        elif person in there:
            told.agreeing += 1
        else:
            missing.append(person)
    many = len(missing) >= LEAST and PART * len(missing) > len(missing) + told.agreeing
    is_lost = found is None or not told.agreeing or many
    (told.lost if is_lost else told.doubtful).extend(missing)
    return told


def putting_back(  # noqa: PLR0917
    workspace: str, account: str, list_name: str, person: str, put_ms: int, now_ms: int
) -> Command:
    """The command that puts a person back. The same for as long as they were not put there anew (``put_ms``)."""
    parts = ["rebuild", workspace, account, list_name, person, put_ms]
    return Command(
        command_id=command_id_of(parts),
        workspace=workspace,
        account=account,
        subscriber=person,
        verb=Verb.ADD,
        listener="rebuild",
        version=0,
        match_id="",
        position=0,
        matched_at_ms=now_ms,
        to_list=list_name,
        backfill=True,
    )


def taken_by_others(workspace: str, account: str, list_name: str, person: str, now_ms: int) -> Veto:
    """The customer's word that the person did not leave the list: the platform lost them."""
    return Veto(workspace, account, person, list_name, now_ms, source="customer", fact=Fact.REMOVED)
