"""From commands to wanted states, and from what changed back to commands. Pure.

Commands of one person that arrive together become one :class:`~sinks.base.Change`: add, remove, add is add, and a
platform is asked once. What each command would have changed, had they come one by one, is told apart again, so that an
undo takes back what its command did and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from contracts.accounts import Fact, Intent
from contracts.codec import to_builtins
from contracts.commands import Command, MatchPlace, Verb
from contracts.reasons import Reason
from contracts.rows import DirectoryEntry
from sinks.base import MADE, Answer, Change, Done, Fate, Leaving, Marks, Traits, Trouble
from sinks.delivery.leavings import Leavings
from sinks.delivery.ledger import Ledger
from sinks.delivery.places import mark_of, place, places


class Wish(NamedTuple):
    """One command as wanted places: list or tag → whether to be in it. ``if_in``: lists they must still be in.

    ``outdone``: the places that it names and that a later command stands at: they stay as they are.
    """

    command: Command
    places: dict[str, bool]
    if_in: tuple[str, ...] = ()
    outdone: tuple[str, ...] = ()

    @property
    def untouched(self) -> tuple[str, ...]:
        """The places that must not have been touched since: what is of the past is done whole, or not at all."""
        return (*self.places, *self.outdone) if self.command.backfill else tuple(self.places)


class Group(NamedTuple):
    """One person's commands that go together: their places in the round, what they wish, the change they come to."""

    indexes: tuple[int, ...]
    wishes: tuple[Wish, ...]
    change: Change


def able_to(traits: Traits, verb: Verb) -> bool:
    """Whether a platform can do this kind of command; one without lists is told everything, and does what it likes."""
    able = {Verb.TAG: traits.tags, Verb.UNTAG: traits.tags, Verb.TOKEN: traits.fields, Verb.WEBHOOK: False}
    return not traits.lists or able.get(verb, True)


def wish_of(command: Command, known: Known) -> Wish | None:
    """What a command wants; None: there is nothing (more) to take back (SEMANTICS 8), or later commands stand at all of
    its places (SEMANTICS 9).

    A platform without lists is told everything: of an undo, that what it was told holds no more. A list that the person
    joined by themselves since the command stays as it is.
    """
    ledger, told = known.ledger, not known.traits.lists
    if told and command.undoes and command.verb is not Verb.WEBHOOK:
        return Wish(command, {}) if ledger.stands(command.undoes) else None
    if command.undoes and command.verb is not Verb.WEBHOOK:
        joined_ms = known.leavings.joined_in(command.subscriber)
        since_ms = ledger.at_ms(command.undoes)
        changed = tuple(
            mark
            for mark in ledger.claims.to_undo(command.undoes)
            if mark[0] != "+" or joined_ms.get(mark[1:], -1) <= since_ms
        )
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
        moved = None if told else ledger.claims.restated(command, wanted)
        return None if moved is None else Wish(command, moved)
    outdone = set() if told else ledger.claims.outdone(command, wanted)
    if outdone and outdone == wanted.keys():
        return None
    left = {name: inside for name, inside in wanted.items() if name not in outdone}
    return Wish(command, left, outdone=tuple(sorted(outdone)))


class Known(NamedTuple):
    """What is known at an account beside its commands: the ledger, the leavings, and how its platform shows them."""

    ledger: Ledger
    leavings: Leavings
    traits: Traits
    account: str


def change_of(wishes: Sequence[Wish], entry: DirectoryEntry, known: Known, fields: Mapping[str, str]) -> Change:
    """One change of one person's wishes, in their order: of each list and tag the last word counts."""
    ledger = known.ledger
    newest = wishes[-1].command
    lists, tags = _last_words(wishes)
    into = (name for wish in wishes for name, inside in wish.places.items() if inside and name.startswith(":"))
    first = dict.fromkeys(name[1:] for name in into)
    add = tuple(name for name in first if lists.get(name))
    bound = bound_lists(wishes, known)
    met_in = held_lists(entry, known)
    doubt = ledger.doubt(newest.subscriber)
    expected = expected_lists(entry, known)
    if_in = [name for wish in wishes for name in wish.if_in]
    taken_by_others = _taken_by_others(newest.subscriber, known)
    # NOTE: a call in doubt may have taken them out of where they are not found: that is no leaving of theirs.
    certain = {each for each in (*expected, *if_in) if place("", each) not in doubt and each not in taken_by_others}
    must_be_in = [
        name for name in dict.fromkeys([*(each for each in expected if each in bound), *if_in]) if name in certain
    ]
    # NOTE: of all lists, for a platform may show more than what the change is about.
    taken_out = ledger.taken_out_of(newest.subscriber)
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
        taken_out=tuple(sorted({*taken_out, *(name[1:] for name, was in doubt.items() if was and name[0] == ":")})),
        taken_out_ms=taken_out,
        name=entry.name,
        url=newest.url,
        about=about(newest),
        commands=tuple(wish.command.command_id for wish in wishes),
        evidence=tuple(wish.command.evidence for wish in wishes),
        consent_in=tuple(sorted(bound - {*add})),
        met_in=tuple(met_in),
        met=bool(met_in or entry.seen_in.get(known.account)) or ledger.has_met(newest.subscriber),
        asked=ledger.was_asked(newest.subscriber),
        made=ledger.may_have_made(newest.subscriber),
        also_adds=bool(bound),
        unless_in=_unsure(newest.subscriber, bound, tags, known),
        unclear=tuple(sorted(known.leavings.unclear(newest.subscriber) & bound)),
        list_ids=ledger.list_ids({*lists, *bound, *met_in}),
        platform_id=_platform_id(entry, known),
        known_there=bool(_number(entry, known)[0]),
        erased=any(each.leaving.reason is Reason.GONE for each in known.leavings.standing(newest.subscriber, ())),
        expected_in=tuple(
            each for each in expected if each in certain and (known.traits.shows_all or each in {*lists, *bound})
        ),
        not_last=frozenset(_not_last(newest.subscriber, known)),
        first_add=next(iter(first), ""),
    )


def _last_words(wishes: Sequence[Wish]) -> tuple[dict[str, bool], dict[str, bool]]:
    """Whether the person is to be in each list, and to have each tag, after the last wish that says so."""
    wanted: dict[str, bool] = {}
    for wish in wishes:
        wanted |= wish.places
    lists = {name[1:]: inside for name, inside in wanted.items() if name.startswith(":")}
    return lists, {name[2:]: inside for name, inside in wanted.items() if name.startswith("t:")}


def _not_last(subscriber: str, known: Known) -> Iterator[str]:
    """The lists that the person left while they were in others: as a look showed, or as Segma took them out of one."""
    taken_out_ms = known.ledger.last_taking_out_ms(subscriber)
    for veto in known.leavings.of(subscriber):
        if veto.fact is Fact.LEFT and veto.list_name and (veto.source == "look" or veto.at_ms < taken_out_ms):
            yield veto.list_name


def _unsure(
    subscriber: str, bound: set[str], tags: Mapping[str, bool], known: Known
) -> tuple[tuple[Leaving, str], ...]:
    """The leavings that a look decides on: the person is said to have joined again, at no known time."""
    if not bound and not any(tags.values()):
        return ()
    standing = known.leavings.standing(subscriber, vetoing_lists(bound, tags, known.traits))
    return tuple((each.leaving, each.unless_in) for each in standing if each.unless_in is not None)


def forbidding_lists(wish: Wish, known: Known) -> set[str]:
    """The lists whose leaving forbids the wish; empty where it adds nothing."""
    bound = bound_lists([wish], known)
    tags = {name[2:]: on for name, on in wish.places.items() if name.startswith("t:")}
    return vetoing_lists(bound, tags, known.traits) if bound or any(tags.values()) else set()


def vetoing_lists(bound: Iterable[str], tags: Mapping[str, bool], traits: Traits) -> set[str]:
    """The lists whose leaving forbids a wish: where lists are tags, those that it tags too; and always everything."""
    return {"", *bound, *((name for name, on in tags.items() if on) if traits.lists_are_tags else ())}


def _taken_by_others(subscriber: str, known: Known) -> set[str]:
    """The lists out of which others took the person since Segma put them there, as the customer says; or may have."""
    removed = known.leavings.removed(subscriber)
    since = {name for name, at_ms in removed.items() if at_ms >= known.ledger.put_ms(subscriber, name)}
    return since | known.leavings.unclear(subscriber)


def _platform_id(entry: DirectoryEntry, known: Known) -> str:
    """The id under which the platform must show the person; empty where they have joined anew since."""
    number, at_ms = _number(entry, known)
    return "" if known.leavings.joined_ms(entry.subscriber) >= at_ms else number


def _number(entry: DirectoryEntry, known: Known) -> tuple[str, int]:
    """The platform's own id of the person as it was seen last, and when; empty: they were never seen there."""
    number, at_ms = known.ledger.number_of(entry.subscriber)
    sighted_ms = _sighted_ms(entry, known.account)
    if not number and sighted_ms >= at_ms:
        number, at_ms = entry.platform_ids.get(known.account, ""), sighted_ms
    return number, at_ms


def _sighted_ms(entry: DirectoryEntry, account: str) -> int:
    return max(entry.seen_in.get(account, {}).values(), default=entry.imported_at_s * 1_000)


def bound_lists(wishes: Sequence[Wish], known: Known) -> set[str]:
    """The lists whose leaving forbids what these wishes add: added to, moved from, and what is linked to them."""
    named: set[str] = set()
    for wish in wishes:
        into = {name[1:] for name, inside in wish.places.items() if inside and name.startswith(":")}
        if into:
            named |= {name[1:] for name in (*wish.places, *wish.outdone) if name.startswith(":")}
    subscriber = wishes[-1].command.subscriber
    return known.ledger.links.linked(subscriber, named, known.leavings.joined_in(subscriber)) if named else set()


def held_lists(entry: DirectoryEntry, known: Known) -> list[str]:
    """The lists in which Segma put the person, or saw them at an import, and has not taken them out since."""
    ledger = known.ledger
    held = dict.fromkeys(ledger.lists_of(entry.subscriber))
    for name, at_ms in entry.seen_in.get(known.account, {}).items():
        out_ms = ledger.taken_out_at_ms(entry.subscriber, name)
        if at_ms >= ledger.list_since_ms(name) and (out_ms is None or at_ms > out_ms):
            held[name] = None
    return list(held)


def expected_lists(entry: DirectoryEntry, known: Known) -> list[str]:
    """The lists that the person has left if a look does not show them there."""
    subscriber, seen_in = entry.subscriber, entry.seen_in.get(known.account, {})
    if known.traits.tells_removals:
        return []
    return [
        name
        for name in held_lists(entry, known)
        if not known.leavings.rejoined(
            subscriber, name, max(known.ledger.put_ms(subscriber, name), seen_in.get(name, 0))
        )
    ]


def about(command: Command) -> Mapping[str, Any]:
    """What a webhook and a reader of moves are told: the command, without what is empty and without an address."""
    told: dict[str, Any] = to_builtins(command)
    told["retracted"] = bool(command.undoes)
    told.pop("beside", None)
    return told


def with_outcomes(command: Command, outcomes: Sequence[Mapping[str, Any]], change: Change) -> Change:
    """The change of a ``webhook``: with the outcomes of the match's other commands (SEMANTICS 8.1, 16)."""
    return change._replace(about={**change.about, "outcomes": outcomes}) if command.beside else change


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


def intent_of(groups: Mapping[str, Group], marks: Mapping[str, Marks], at_ms: int) -> Intent:
    """What a call is about to change, as it is written down. ``marks``: change id → of that group."""
    told = {each: groups[each] for each in marks}
    first = next(iter(told.values())).wishes[0].command
    return Intent(
        first.workspace,
        first.account,
        at_ms,
        {each.change.subscriber: tuple(wish.command.command_id for wish in each.wishes) for each in told.values()},
        {group.change.subscriber: marks[each] for each, group in told.items()},
    )


def made_anew(group: Group, marks: Marks) -> Group:
    """The group, when its call is repeated: whom the call was about to make is there under an id that is not known."""
    return group._replace(change=group.change._replace(platform_id="", made=True)) if MADE in marks else group


def answers_of(group: Group, answer: Answer, doubt: Mapping[str, bool], *, lists: bool) -> list[Answer]:
    """What a group's answer means for each of its commands; ``lists``: whether the platform has any."""
    asked = tuple(mark for mark in answer.changed if mark.startswith("?"))
    if asked:
        return _of_asked(group, answer)
    if not (isinstance(answer, Done) and lists):
        return [*(answer._replace(changed=()) for _ in group.wishes[:-1]), answer]
    marks = marks_of(group.wishes, before(group.wishes, answer.changed, doubt))
    fields = tuple(mark for mark in answer.changed if mark.startswith("="))
    return [answer._replace(changed=(*own, *fields)) for own in marks]


def _of_asked(group: Group, answer: Answer) -> list[Answer]:
    """The first command that adds the person has asked them, the others come too late; nobody is anywhere before."""
    adding = [any(wish.places.values()) for wish in group.wishes]
    first, later = adding.index(True), Trouble(Reason.ASKED, Fate.LASTING)
    others: list[Answer] = [later if adds else Done((), "already so") for adds in adding]
    return [*others[:first], answer, *others[first + 1 :]]


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
