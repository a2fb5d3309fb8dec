"""From commands to wanted states, and from what changed back to commands. Pure.

Commands of one person that arrive together become one :class:`~sinks.base.Change`: add, remove, add is add, and a
platform is asked once. What each command would have changed, had they come one by one, is told apart again, so that an
undo takes back what its command did and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from contracts.codec import to_builtins
from contracts.commands import Command, Verb
from contracts.rows import DirectoryEntry
from sinks.base import Change, Marks, Traits
from sinks.delivery.ledger import Ledger, mark_of, place, places


class Wish(NamedTuple):
    """One command as wanted places: list or tag → whether to be in it. ``if_in``: lists they must still be in."""

    command: Command
    places: dict[str, bool]
    if_in: tuple[str, ...] = ()


def able_to(traits: Traits, verb: Verb) -> bool:
    """Whether a platform can do this kind of command; one without lists is told everything, and does what it likes."""
    able = {Verb.TAG: traits.tags, Verb.UNTAG: traits.tags, Verb.TOKEN: traits.fields, Verb.WEBHOOK: False}
    return not traits.lists or able.get(verb, True)


def wish_of(command: Command, ledger: Ledger, *, told: bool = False) -> Wish | None:
    """What a command wants; None: there is nothing (more) to take back (SEMANTICS 8).

    ``told``: the platform has no lists and is told everything: of an undo, that what it was told holds no more.
    """
    if told and command.undoes and command.verb is not Verb.WEBHOOK:
        return Wish(command, {}) if ledger.stands(command.undoes) else None
    if command.undoes and command.verb is not Verb.WEBHOOK:
        changed = ledger.to_undo(command.undoes)
        # Whoever is no longer in the list that they were moved to has left by themselves, or was taken out by a person.
        if_in = tuple(mark[1:] for mark in changed if mark.startswith("+"))
        back = {name: not inside for name, inside in places(changed).items()}
        return Wish(command, back, if_in) if back else None
    wanted: dict[str, bool] = {}
    if command.verb in {Verb.MOVE, Verb.ADD, Verb.REMOVE}:
        wanted |= {place("", command.from_list): False} if command.from_list else {}
        wanted |= {place("", command.to_list): True} if command.to_list else {}
    elif command.verb in {Verb.TAG, Verb.UNTAG}:
        wanted[place("t", command.tag)] = command.verb is Verb.TAG
    held = (command.to_list,) if command.to_list and ledger.inside(command.subscriber, command.to_list) else ()
    return Wish(command, wanted, held)


def change_of(wishes: Sequence[Wish], entry: DirectoryEntry, ledger: Ledger, fields: Mapping[str, str]) -> Change:
    """One change of one person's wishes, in their order: of each list and tag the last word counts."""
    newest = wishes[-1].command
    wanted: dict[str, bool] = {}
    taken: set[str] = set()
    for wish in wishes:
        taken |= {name for name, inside in wish.places.items() if not inside}
        wanted |= wish.places
    lists = {name[1:]: inside for name, inside in wanted.items() if name.startswith(":")}
    tags = {name[2:]: inside for name, inside in wanted.items() if name.startswith("t:")}
    add = tuple(name for name, inside in lists.items() if inside)
    adds = bool(add) or any(tags.values())
    return Change(
        change_id=newest.command_id,
        subscriber=newest.subscriber,
        address=entry.address,
        add=add,
        remove=tuple(name for name, inside in lists.items() if not inside),
        only_if_in=tuple(dict.fromkeys(name for wish in wishes for name in wish.if_in)) if adds else (),
        tag=tuple(name for name, inside in tags.items() if inside),
        untag=tuple(name for name, inside in tags.items() if not inside),
        fields=tuple(fields.items()),
        taken_out=tuple(n for n in add if ledger.inside(newest.subscriber, n) is False or place("", n) in taken),
        name=entry.name,
        url=newest.url,
        about=about(newest),
        commands=tuple(wish.command.command_id for wish in wishes),
    )


def about(command: Command) -> Mapping[str, Any]:
    """What a webhook and a reader of moves are told: the command, without what is empty and without an address."""
    told: dict[str, Any] = to_builtins(command)
    told["retracted"] = bool(command.undoes)
    return told


def before(wishes: Sequence[Wish], changed: Marks, doubt: Mapping[str, bool]) -> dict[str, bool]:
    """Where the person was before these wishes were carried out: from what was changed, and from a call in doubt.

    What was not changed was as wanted already.
    """
    wanted: dict[str, bool] = {}
    for wish in wishes:
        wanted |= wish.places
    return wanted | {name: not inside for name, inside in places(changed).items()} | dict(doubt)


def marks_of(wishes: Sequence[Wish], at_first: Mapping[str, bool]) -> list[Marks]:
    """What each wish would have changed if they had been carried out one after another."""
    now, found = dict(at_first), []
    for wish in wishes:
        marks = []
        for name, inside in wish.places.items():
            if now.get(name) != inside:
                marks.append(mark_of(name, inside))
            now[name] = inside
        found.append(tuple(sorted(marks, key=lambda mark: "-" in mark[:2])))
    return found


def waves(wishes: Sequence[tuple[int, Command]], *, most: int, apart: bool) -> list[list[int]]:
    """Which commands go together: at most ``most`` people at once, in order; ``apart``: each command by itself.

    An undo needs the outcome of what came before of the same person, and so does whatever follows a webhook call.
    """
    found: list[list[int]] = []
    people: set[str] = set()
    for index, command in wishes:
        alone = apart or command.undoes or command.verb is Verb.WEBHOOK
        full = command.subscriber not in people and len(people) >= most
        if not found or full or (alone and command.subscriber in people):
            found.append([])
            people = set()
        found[-1].append(index)
        people.add(command.subscriber)
    return found
