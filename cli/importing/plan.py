"""The plan of an import, made before anything is written: members, leavings, and rows left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from cli.importing.addresses import NotAnAddress, mailbox_of
from cli.importing.consent import LEFT, ListStatus, gravest
from cli.importing.export_file import ExportFile
from cli.importing.profiles import FieldColumn, Profile, profiles_of
from contracts.tokens import mailbox_key
from sinks.base import Member, Standing

OF_STANDING: Final = {
    Standing.ACTIVE: ListStatus.ACTIVE,
    Standing.PENDING: ListStatus.PENDING,
    Standing.LEFT: ListStatus.UNSUBSCRIBED,
    Standing.UNDELIVERABLE: ListStatus.UNDELIVERABLE,
}
NO_ADDRESS: Final = "no_address"


class FileLeaving(NamedTuple):
    """A leaving. ``at_ms`` None: the file does not say when. ``per_list``: of the list alone, not of the account."""

    address: str
    status: ListStatus
    at_ms: int | None
    per_list: bool


@dataclass
class ImportPlan:
    """``left_out``: status → how many people are no members because of it; ``bad``: rows that are nobody."""

    members: list[Member] = field(default_factory=list)
    leavings: list[FileLeaving] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)
    profiles: dict[str, Profile] = field(default_factory=dict)
    """By mailbox, what the files tell of people besides."""


class _Known(NamedTuple):
    """The facts of one person, gathered from several rows."""

    member: Member
    status: ListStatus
    at_ms: int | None
    per_list: bool


def plan_of_files(files: Sequence[ExportFile], fields: Sequence[FieldColumn] = ()) -> ImportPlan:
    """The plan of the files of one export. Of a person in several rows the gravest status counts.

    Raises:
        ConfigError: a column of ``fields`` is not there, or holds what it should not.
    """
    plan, people = ImportPlan(profiles=profiles_of(files, fields)), dict[str, _Known]()
    for file in files:
        where = f"{file.path}:" if len(files) > 1 else "line "
        plan.bad += [f"{where}{each.line}: {each.reason}" for each in file.bad]
        for person in file.people:
            known = _Known(Member(person.address, person.name), person.status, person.left_at_ms, file.format.per_list)
            key = mailbox_key(person.address)
            people[key] = _together(people[key], known) if key in people else known
    _settle(plan, people.values())
    return plan


def plan_of_members(members: Iterable[Member]) -> ImportPlan:
    """The plan of the people whom a platform shows in a list.

    Who left there makes no veto: the platform is asked again before each adding, and may have them back by then.
    """
    plan, people = ImportPlan(), dict[str, _Known]()
    for member in members:
        try:
            address = mailbox_of(member.address, anywhere=False).address
        except NotAnAddress:
            plan.left_out[NO_ADDRESS] += 1
            continue
        known = _Known(member._replace(address=address), OF_STANDING[member.standing], None, True)
        key = mailbox_key(address)
        people[key] = _together(people[key], known) if key in people else known
    _settle(plan, people.values())
    plan.leavings.clear()
    return plan


def _together(one: _Known, other: _Known) -> _Known:
    status = gravest((one.status, other.status))
    name = one.member.name or other.member.name
    graver = other if other.status is status and one.status is not status else one
    return graver._replace(
        member=one.member._replace(name=name, person=one.member.person or other.member.person),
        per_list=one.per_list and other.per_list,
    )


def _settle(plan: ImportPlan, people: Iterable[_Known]) -> None:
    for each in people:
        if each.status is ListStatus.ACTIVE:
            plan.members.append(each.member)
            continue
        plan.left_out[str(each.status)] += 1
        if each.status in LEFT:
            per_list = each.per_list and each.status is ListStatus.UNSUBSCRIBED
            plan.leavings.append(FileLeaving(each.member.address, each.status, each.at_ms, per_list))
