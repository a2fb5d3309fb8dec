"""From commands to wanted states, and from what changed back to commands. Pure.

Commands of one person that arrive together become one :class:`~sinks.base.Change`: add, remove, add is add, and a
platform is asked once. What each command would have changed, had they come one by one, is told apart again, so that an
undo takes back what its command did and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from contracts.accounts import Veto
from contracts.codec import to_builtins, to_json
from contracts.commands import Command, MatchPlace, Verb
from contracts.reasons import Reason
from contracts.rows import DirectoryEntry
from sinks.base import Answer, Change, Done, Fate, Marks, Traits, Trouble
from sinks.delivery.ledger import Ledger, mark_of, place, places


class Wish(NamedTuple):
    """One command as wanted places: list or tag → whether to be in it. ``if_in``: lists they must still be in.

    ``outdone``: the places that it names and that a later command stands at: they stay as they are.
    """

    command: Command
    places: dict[str, bool]
    if_in: tuple[str, ...] = ()
    outdone: tuple[str, ...] = ()


class Group(NamedTuple):
    """One person's commands that go together: their places in the round, what they wish, the change they come to."""

    indexes: tuple[int, ...]
    wishes: tuple[Wish, ...]
    change: Change


def able_to(traits: Traits, verb: Verb) -> bool:
    """Whether a platform can do this kind of command; one without lists is told everything, and does what it likes."""
    able = {Verb.TAG: traits.tags, Verb.UNTAG: traits.tags, Verb.TOKEN: traits.fields, Verb.WEBHOOK: False}
    return not traits.lists or able.get(verb, True)


def wish_of(command: Command, ledger: Ledger, *, told: bool = False) -> Wish | None:
    """What a command wants; None: there is nothing (more) to take back (SEMANTICS 8), or later commands stand at all of
    its places (SEMANTICS 9).

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
        if command.from_list == command.to_list:
            return Wish(command, {})
        wanted |= {place("", command.from_list): False} if command.from_list else {}
        wanted |= {place("", command.to_list): True} if command.to_list else {}
    elif command.verb in {Verb.TAG, Verb.UNTAG}:
        wanted[place("t", command.tag)] = command.verb is Verb.TAG
    if command.restates:
        moved = None if told else ledger.restated(command, wanted)
        return None if moved is None else Wish(command, moved)
    outdone = set() if told else ledger.outdone(command, wanted)
    if outdone and outdone == wanted.keys():
        return None
    left = {name: inside for name, inside in wanted.items() if name not in outdone}
    return Wish(command, left, outdone=tuple(sorted(outdone)))


def change_of(
    wishes: Sequence[Wish], entry: DirectoryEntry, ledger: Ledger, fields: Mapping[str, str], account: str = ""
) -> Change:
    """One change of one person's wishes, in their order: of each list and tag the last word counts."""
    newest = wishes[-1].command
    wanted: dict[str, bool] = {}
    for wish in wishes:
        wanted |= wish.places
    lists = {name[1:]: inside for name, inside in wanted.items() if name.startswith(":")}
    tags = {name[2:]: inside for name, inside in wanted.items() if name.startswith("t:")}
    add = tuple(name for name, inside in lists.items() if inside)
    bound = bound_lists(wishes, ledger)
    met_in = held_lists(entry, ledger, account)
    doubt = ledger.doubt(newest.subscriber)
    # NOTE: a call in doubt may have taken them out of where they are not found: that is no leaving of theirs.
    expected = [name for name in met_in if name in bound]
    if_in = [name for wish in wishes for name in wish.if_in]
    must_be_in = [name for name in dict.fromkeys([*expected, *if_in]) if place("", name) not in doubt]
    taken_out = {
        name: at_ms for name in bound if (at_ms := ledger.taken_out_at_ms(newest.subscriber, name)) is not None
    }
    return Change(
        change_id=newest.command_id,
        subscriber=newest.subscriber,
        address=entry.address,
        add=add,
        remove=tuple(name for name, inside in lists.items() if not inside),
        only_if_in=tuple(must_be_in) if bound else (),
        tag=tuple(name for name, inside in tags.items() if inside),
        untag=tuple(name for name, inside in tags.items() if not inside),
        fields=tuple(fields.items()),
        taken_out=tuple(name for name in bound if name in taken_out or doubt.get(place("", name))),
        taken_out_ms=taken_out,
        name=entry.name,
        url=newest.url,
        about=about(newest),
        commands=tuple(wish.command.command_id for wish in wishes),
        consent_in=tuple(sorted(bound - {*add})),
        met_in=tuple(met_in),
        met=bool(met_in) or ledger.has_met(newest.subscriber),
        asked=ledger.was_asked(newest.subscriber),
        also_adds=bool(bound),
    )


def bound_lists(wishes: Sequence[Wish], ledger: Ledger) -> set[str]:
    """The lists whose leaving forbids what these wishes add: added to, moved from, and what is linked to them."""
    named: set[str] = set()
    for wish in wishes:
        into = {name[1:] for name, inside in wish.places.items() if inside and name.startswith(":")}
        if into:
            named |= {name[1:] for name in (*wish.places, *wish.outdone) if name.startswith(":")}
    return ledger.linked(wishes[-1].command.subscriber, named) if named else set()


def held_lists(entry: DirectoryEntry, ledger: Ledger, account: str) -> list[str]:
    """The lists in which Segma put the person, or saw them at an import, and has not taken them out since."""
    held = dict.fromkeys(ledger.lists_of(entry.subscriber))
    for name, at_ms in entry.seen_in.get(account, {}).items():
        out_ms = ledger.taken_out_at_ms(entry.subscriber, name)
        if out_ms is None or at_ms > out_ms:
            held[name] = None
    return list(held)


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


def answers_of(group: Group, answer: Answer, doubt: Mapping[str, bool], *, lists: bool) -> list[Answer]:
    """What a group's answer means for each of its commands; ``lists``: whether the platform has any."""
    asked = tuple(mark for mark in answer.changed if mark.startswith("?"))
    if asked:  # nobody is anywhere before they have confirmed
        earlier = Trouble(Reason.ASKED, Fate.LASTING)
        return [*(earlier for _ in group.wishes[:-1]), answer]
    if not (isinstance(answer, Done) and lists):
        return [*(answer._replace(changed=()) for _ in group.wishes[:-1]), answer]
    marks = marks_of(group.wishes, before(group.wishes, answer.changed, doubt))
    fields = tuple(mark for mark in answer.changed if mark.startswith("="))
    return [Done((*own, *fields), answer.answer) for own in marks]


def waves(wishes: Sequence[tuple[int, Command]], *, most: int, apart: bool) -> list[list[int]]:
    """Which commands go together: at most ``most`` people at once, in order; ``apart``: each command by itself.

    An undo needs the outcome of what came before of the same person, and so does a command whose match has an earlier
    place; whatever follows an undo or a webhook call needs the outcome of that.
    """
    found: list[list[int]] = []
    people: set[str] = set()
    newest: dict[str, MatchPlace] = {}
    unsettled: set[str] = set()
    for index, command in wishes:
        alone = bool(apart or command.undoes or command.restates or command.verb is Verb.WEBHOOK)
        if (place := command.place) is not None:
            alone = alone or place < newest.get(command.subscriber, place)
            newest[command.subscriber] = place
        alone = alone or command.subscriber in unsettled
        full = command.subscriber not in people and len(people) >= most
        if not found or full or (alone and command.subscriber in people):
            found.append([])
            people, unsettled = set(), set()
        found[-1].append(index)
        people.add(command.subscriber)
        if command.undoes or command.restates:
            unsettled.add(command.subscriber)
    return found


def taking_out(veto: Veto, ledger: Ledger) -> list[Command]:
    """The commands that take whoever left a list out of those that moves from it put them in.

    Their ids are made of the leaving, so that they are given once, however often it is read.
    """
    lists = ledger.led_to(veto.subscriber, veto.list_name) if veto.list_name else set()
    return [
        Command(
            command_id=hashlib.sha256(
                to_json(["left", veto.workspace, veto.account, veto.subscriber, veto.list_name, name, veto.at_ms])
            ).hexdigest()[:32],
            workspace=veto.workspace,
            account=veto.account,
            subscriber=veto.subscriber,
            verb=Verb.REMOVE,
            listener="consent",
            version=0,
            match_id="",
            position=0,
            matched_at_ms=veto.at_ms,
            from_list=name,
        )
        for name in sorted(lists)
    ]
