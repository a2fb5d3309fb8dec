"""What an imitated platform holds: people, lists, who is in which and how; every wrong done to somebody's consent."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

ACTIVE, LEFT, PENDING, UNDELIVERABLE = "active", "left", "pending", "undeliverable"


@dataclass
class Person:
    id: str
    address: str
    name: str = ""
    standing: str = ACTIVE
    tags: set[str] = field(default_factory=set)
    fields: dict[str, str] = field(default_factory=dict)


@dataclass
class MailingList:
    id: str
    name: str
    optin: str = "single"
    members: dict[str, str] = field(default_factory=dict)
    """Person's id → standing in this list."""


class World:
    """``wrongs``: consents destroyed, in words. A test that ends with one has failed, whatever else it says."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.lists: dict[str, MailingList] = {}
        self.tags: dict[str, str] = {}
        """Tag's name → its id, where tags are things of their own."""
        self.bad: set[str] = set()
        """Addresses that the platform takes for none."""
        self.wrongs: list[str] = []
        self.mails: list[str] = []
        """Mails that the platform sent because of a call of Segma's: what each was. Of these there shall be none."""
        self._ids = itertools.count(101)
        self._by_id: dict[str, Person] = {}

    def fresh_id(self) -> str:
        return str(next(self._ids))

    def person(self, address: str) -> Person | None:
        return self.people.get(address.strip().lower())

    def by_id(self, number: str) -> Person | None:
        found = self._by_id.get(number)
        return found if found is not None and self.people.get(found.address.lower()) is found else None

    def enrol(self, address: str, name: str = "") -> Person:
        key = address.strip().lower()
        if key not in self.people:
            self.people[key] = Person(self.fresh_id(), address.strip(), name)
            self._by_id[self.people[key].id] = self.people[key]
        return self.people[key]

    def list_named(self, name: str) -> MailingList | None:
        return next((each for each in self.lists.values() if each.name == name), None)

    def made_list(self, name: str) -> MailingList:
        found = self.list_named(name)
        if found is None:
            found = MailingList(self.fresh_id(), name)
            self.lists[found.id] = found
        return found

    def made_tag(self, name: str) -> str:
        return self.tags.setdefault(name, self.fresh_id())

    def put(self, address: str, list_name: str) -> None:
        """Somebody is in a list before the test begins."""
        self.made_list(list_name).members[self.enrol(address).id] = ACTIVE

    def members(self, list_name: str) -> set[str]:
        """The addresses in a list, those who left it not counted."""
        found = self.list_named(list_name)
        if found is None:
            return set()
        people = ((self.by_id(number), standing) for number, standing in found.members.items())
        out = {LEFT, PENDING}
        return {person.address.lower() for person, standing in people if person is not None and standing not in out}

    def memberships(self) -> dict[str, dict[str, str]]:
        """Who is in which list, and how: a picture."""
        return {each.id: dict(each.members) for each in self.lists.values()}

    def vanish_list(self, name: str) -> None:
        found = self.list_named(name)
        if found is not None:
            del self.lists[found.id]

    def vanish_person(self, address: str) -> None:
        person = self.people.pop(address.lower(), None)
        if person is not None:
            for each in self.lists.values():
                each.members.pop(person.id, None)
