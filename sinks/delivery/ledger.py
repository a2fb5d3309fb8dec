"""The ledger of one account: which commands have an outcome, and what each changed. Rebuilt from ``outcomes``.

What the log no longer holds is forgotten here as well, as by a restart, but for what was done last at each of a
person's places: memory goes with the log's retention and with people and lists, not with how long a process runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from contracts.accounts import Intent
from contracts.codec import json_reader
from contracts.commands import Command, Outcome, Result, Verb
from contracts.errors import BadRecord
from contracts.log import Log
from contracts.reading import all_of, unread
from contracts.reasons import Reason
from contracts.topics import INTENTS, OUTCOMES
from sinks.base import MADE, Marks
from sinks.delivery.claims import Claims, Entry
from sinks.delivery.links import Link, Links
from sinks.delivery.pages import Pages
from sinks.delivery.places import place, places
from sinks.delivery.touched import LastTouches

Moved = Callable[[str, int, str, bool], None]

_read: Final[Callable[[bytes], Outcome]] = json_reader(Outcome)
_read_intent: Final[Callable[[bytes], Intent]] = json_reader(Intent)


class Ledger:
    """Command id → its end (:class:`Claims`); (person, list or tag) → whether they are in it by us, and since when."""

    def __init__(self, log: Log, workspace: str, account: str, moved: Moved = lambda *_: None) -> None:
        """``moved``: hears of each command that changed something: its listener, when, whose, and if of the past."""
        self._log, self._moved, self._pages = log, moved, Pages()
        self._key = f"{workspace}/{account}".encode()
        self._reader = log.reader(OUTCOMES)
        self.claims = Claims()
        self._touches = LastTouches()
        self._inside: dict[str, dict[str, bool]] = {}
        self._named: dict[str, set[str]] = {}
        self._doubts: dict[str, dict[str, bool]] = {}
        self._asked, self._met, self._made = set[str](), set[str](), set[str]()
        self.links = Links()
        self._behind: dict[tuple[str, str], str] = {}
        self._since: dict[tuple[str, str], int] = {}
        self._list_ids: dict[str, tuple[str, int]] = {}
        self._numbers: dict[str, tuple[str, int]] = {}
        self._oldest = 0
        self.follow()
        self._read_intents(log)

    def follow(self) -> None:
        """Take in what has been published since."""
        read = 0
        for record in unread(self._reader):
            if record.key != self._key or record.value is None:
                continue
            try:
                outcome = _read(record.value)
            except BadRecord:
                continue  # not of ours: outcomes are written by the loop alone
            self.add(outcome)
            command_id = self.claims.entries[outcome.command_id].command_id  # NOTE: the one that is kept already
            self.claims.stands_on(command_id, self._pages.note(record.offset, command_id))
            read += 1
        self._forget(read)

    def _forget(self, read: int) -> None:
        """Let go of what the log has let go, as a restart would; not of the newest at each of a person's places."""
        if self._pages.turned:
            self._oldest, self._pages.turned = min(self._log.start(OUTCOMES).values()), False
        for command_id, page in (*self.claims.covered(), *self._pages.gone(self._oldest, read)):
            entry = self.claims.forget(command_id, page)
            if entry is not None:
                self.links.forget(entry.subscriber, command_id)
                self._touches.forget(entry.undoes)

    def _read_intents(self, log: Log) -> None:
        """What was about to be changed by calls whose outcomes nobody wrote down."""
        for record in all_of(log, INTENTS):
            if record.key != self._key or record.value is None:
                continue
            try:
                intent = _read_intent(record.value)
            except BadRecord:
                continue
            self.intend(intent)

    def intend(self, intent: Intent) -> None:
        """Note what a call is about to change, as far as its commands have no outcome yet."""
        for subscriber, marks in intent.people.items():
            # NOTE: whatever became of the call: its outcome may say no more than that they had been asked before.
            self._note_asked(subscriber, marks)
            if all(each in self.claims.entries for each in intent.command_ids.get(subscriber, ())):
                continue
            # NOTE: the first word counts: a second intent saw what the first call had done already.
            doubt = self._doubts.setdefault(subscriber, {})
            if MADE in marks:
                self._numbers[subscriber] = "", intent.at_ms
                self._made.add(subscriber)
            for name, inside in places(marks).items():
                doubt.setdefault(name, not inside)

    def add(self, outcome: Outcome) -> None:
        """Note an outcome. A second one of the same command changes nothing, unless the first had failed."""
        former = self.claims.entries.get(outcome.command_id)
        if former is not None and former.result is not Result.FAILED:
            return
        subscriber, changed, named = outcome.subscriber, places(outcome.changed), _named_in(outcome)
        asked = any(mark.startswith("?") for mark in outcome.changed)
        self._note_ids(outcome, asked=asked)
        carried_out = outcome.result in {Result.APPLIED, Result.ALREADY} and not asked
        # One that was superseded when it first came stands beneath the later one, should that be taken back.
        given = not outcome.undoes and not outcome.restates
        beneath = outcome.reason == Reason.SUPERSEDED and former is None and given
        carried_out = carried_out and given
        held = {**named, **changed} if carried_out or beneath else changed
        if outcome.undoes and outcome.result is not Result.FAILED:
            if outcome.undoes not in self.claims.entries:
                self._touches.forestall(outcome.undoes)
            self.claims.take_back(outcome.undoes)
        places_held = held.keys() | set(former.places if former is not None else ())
        command_id, result, at_ms = outcome.command_id, outcome.result, outcome.at_ms
        entry = Entry(command_id, subscriber, result, tuple(places_held), at_ms, outcome.undoes)
        self.claims.entries[command_id] = entry
        if outcome.restates and outcome.result in {Result.APPLIED, Result.ALREADY}:
            self.claims.restate(outcome, changed)
        elif given:
            held = self.claims.put(outcome, held, changed)
            named = {name: into for name, into in named.items() if name in held} if carried_out or beneath else named
        self._doubts.pop(subscriber, None)
        self._made.discard(subscriber)
        self._note_asked(subscriber, outcome.changed)
        self._asked |= {subscriber} if outcome.reason == Reason.ASKED else set()
        self._note_link(outcome, changed)
        if outcome.listener and outcome.changed:
            self._moved(outcome.listener, outcome.at_ms, subscriber, outcome.backfill)
        if carried_out and outcome.to_list:
            self.name(outcome.listener, outcome.to_list)
        self._touches.note(outcome, (*named, *changed))
        self._met |= {subscriber} if changed or any(held.values()) else set()
        for name, inside in held.items():
            self._inside.setdefault(subscriber, {})[name] = inside
            self._since[subscriber, name] = outcome.at_ms

    def _note_ids(self, outcome: Outcome, *, asked: bool) -> None:
        """A name that stands for another list now: what was put and seen in the one before is no more."""
        for name, number in outcome.list_ids.items():
            known, since_ms = self._list_ids.get(name, (number, 0))
            if known != number:
                self._end_list(name)
                since_ms = outcome.at_ms
            self._list_ids[name] = number, since_ms
        if outcome.person or asked:  # who was asked to confirm is there under an id that nobody has told yet
            self._numbers[outcome.subscriber] = outcome.person, outcome.at_ms

    def _end_list(self, list_name: str) -> None:
        name = place("", list_name)
        for held in self._inside.values():
            held.pop(name, None)
        self.claims.end_list(list_name)
        self.links.end_list(list_name)

    def list_ids(self, lists: Iterable[str]) -> dict[str, str]:
        """The platform's ids of these lists when something was changed there last, as far as they are known."""
        return {name: self._list_ids[name][0] for name in lists if name in self._list_ids}

    def list_since_ms(self, list_name: str) -> int:
        """From when on a name has stood for the list that it stands for now; 0: always, as far as is known."""
        return self._list_ids.get(list_name, ("", 0))[1]

    def number_of(self, subscriber: str) -> tuple[str, int]:
        """The platform's own id of the person, as it was seen last, and when; empty: not known since (made anew)."""
        return self._numbers.get(subscriber, ("", 0))

    def put_ms(self, subscriber: str, list_name: str) -> int:
        """When the person was put into the list, or found there by a command that wanted them in; 0: never."""
        return self._since.get((subscriber, place("", list_name)), 0)

    def _note_asked(self, subscriber: str, marks: Marks) -> None:
        if any(mark.startswith("?") for mark in marks):
            self._asked.add(subscriber)

    def _note_link(self, outcome: Outcome, changed: Mapping[str, bool]) -> None:
        """Which lists a person's moves led from and to; and whom one that failed has left in both."""
        subscriber, from_list, to_list = outcome.subscriber, outcome.from_list, outcome.to_list
        for name in (from_list, to_list):
            self._behind.pop((subscriber, name), None)
        if outcome.undoes:
            self.links.cut(subscriber, outcome.undoes)
            return
        if not (from_list and to_list):
            return
        if outcome.result is Result.APPLIED and changed.get(place("", to_list)):
            self.links.add(subscriber, outcome.command_id, Link(from_list, to_list, outcome.at_ms))
        half_done = changed.get(place("", to_list)) and place("", from_list) not in changed
        if outcome.result is Result.FAILED and half_done:
            self._behind[subscriber, from_list] = outcome.command_id

    def was_asked(self, subscriber: str) -> bool:
        """Whether the platform was told to ask the person to confirm, be it in a call in doubt."""
        return subscriber in self._asked

    def may_have_made(self, subscriber: str) -> bool:
        """Whether a call whose outcome was lost was about to make the person known to the platform."""
        return subscriber in self._made

    def left_behind(self, list_name: str) -> dict[str, str]:
        """Whom a move of Segma's put into the other list and left in this one when it failed → by which command."""
        return {subscriber: command for (subscriber, name), command in self._behind.items() if name == list_name}

    def taken_out_at_ms(self, subscriber: str, list_name: str) -> int | None:
        """When Segma took the person out of the list, if that is what it did last there."""
        name = place("", list_name)
        if self._inside.get(subscriber, {}).get(name) is not False:
            return None
        return self._since.get((subscriber, name), 0)

    def last_taking_out_ms(self, subscriber: str) -> int:
        """When Segma took the person out of any list last; -1: never, as far as nothing came after it there."""
        return max(self.taken_out_of(subscriber).values(), default=-1)

    def taken_out_of(self, subscriber: str) -> dict[str, int]:
        """The lists out of which Segma took the person, where that is what it did last there → when."""
        names = [name[1:] for name in self._inside.get(subscriber, {}) if name[0] == ":"]
        found = {name: self.taken_out_at_ms(subscriber, name) for name in names}
        return {name: at_ms for name, at_ms in found.items() if at_ms is not None}

    def lists_of(self, subscriber: str) -> list[str]:
        """The lists in which the person is because Segma put them there, or had asked for them to be."""
        return [name[1:] for name, inside in self._inside.get(subscriber, {}).items() if inside and name[0] == ":"]

    def has_met(self, subscriber: str) -> bool:
        """Whether the person was ever in a list of the platform, as a change or its look showed; not: out of one."""
        return subscriber in self._met

    def name(self, listener: str, list_name: str) -> None:
        """Note that a listener has brought a list about."""
        self._named.setdefault(listener, set()).add(list_name)

    def may_name(self, listener: str, list_name: str, most: int) -> bool:
        """Whether a listener may bring this list about, of at most so many different ones."""
        named = self._named.get(listener, set())
        return list_name in named or len(named) < most

    def knows(self, command_id: str) -> bool:
        """Whether the command has an outcome."""
        return command_id in self.claims.entries

    def at_ms(self, command_id: str) -> int:
        """When the command had its outcome; 0: it has none."""
        return self.claims.entries[command_id].at_ms if command_id in self.claims.entries else 0

    def failed(self, command_id: str) -> bool:
        """Whether the command failed for good."""
        entry = self.claims.entries.get(command_id)
        return entry is not None and entry.result is Result.FAILED

    def stands(self, command_id: str) -> bool:
        """Whether the command was carried out."""
        entry = self.claims.entries.get(command_id)
        return entry is not None and entry.result in {Result.APPLIED, Result.ALREADY}

    def overtaken(self, command: Command, names: Iterable[str]) -> bool:
        """Of a command from behind: whether it was taken back before it came, or one of these places was touched since
        it was given, or since it failed.
        """
        return self._touches.overtook(command, names, failed=self.failed(command.command_id))

    def inside(self, subscriber: str, list_name: str) -> bool | None:
        """Whether Segma put the person into the list (True) or took them out (False) last; None: neither."""
        return self._inside.get(subscriber, {}).get(place("", list_name))

    def wanted(self, list_name: str) -> dict[str, bool]:
        """Everybody whom Segma has put into this list (True) or taken out of it (False), as of the newest outcome."""
        name = place("", list_name)
        return {subscriber: held[name] for subscriber, held in self._inside.items() if name in held}

    def doubt(self, subscriber: str) -> dict[str, bool]:
        """Where the person was before a call whose outcome was lost: place → whether they were in it."""
        return self._doubts.get(subscriber, {})

    def close(self) -> None:
        """Stop following."""
        self._reader.close()


def _named_in(outcome: Outcome) -> dict[str, bool]:
    """The lists and the tag that an outcome's command named, and whether it wanted the person in."""
    found = {place("", outcome.from_list): False} if outcome.from_list else {}
    found |= {place("", outcome.to_list): True} if outcome.to_list else {}
    return found | ({place("t", outcome.tag): outcome.verb == Verb.TAG} if outcome.tag else {})
