"""What a match's ``webhook`` lines are told beside themselves: which other commands the match has made. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from contracts.codec import replaced
from contracts.commands import Command, Verb


def with_beside(commands: Iterable[Command]) -> list[Command]:
    """The commands of one match; each ``webhook`` of them names all that move or mark the person, with their accounts.

    So whoever carries it out can tell their outcomes (SEMANTICS 8.1, 16).
    """
    made = list(commands)
    others = {each.command_id: each.account for each in made if each.verb is not Verb.WEBHOOK}
    return [replaced(each, beside=others) if each.verb is Verb.WEBHOOK and others else each for each in made]
