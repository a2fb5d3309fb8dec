"""Whose an address is: of people who change theirs, or stand in the directory twice; by the ids made of addresses."""

from __future__ import annotations

from collections.abc import Mapping

from contracts.rows import DirectoryEntry
from contracts.tokens import is_address, subscriber_id

_Key = tuple[str, str]
"""Workspace and id."""
_Elders = dict[_Key, tuple[tuple[int, str], ...]]
"""An id that an address makes → when each of some people was imported, and their own id, in this order."""


def ids_beside(entry: DirectoryEntry, workspace_secret: bytes) -> list[str]:
    """The ids beside the person's own that are made of their addresses: of the one they have now, and of former ones.

    The person's own id was made of the first.
    """
    made = (subscriber_id(workspace_secret, entry.address), *entry.former)
    return [each for each in dict.fromkeys(made) if each != entry.subscriber]


class Identities:
    """The one id that stands for a person, of all that were ever made of their addresses. No address is kept.

    Every door asks it, so that all of them name a person alike. An id is that of the person who

    1. has the address of which it is made, under an id of another address: they were here before they had it, or
       before the spellings of a domain were one. This goes for the id of a second entry of the same mailbox, too;
    2. else, had that address once;
    3. else it is its own.

    Of several whom this fits the first who was imported counts. Reading needs no lock beside one thread that writes.
    """

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        """``secrets``: workspace → its secret, from which an address's id is made; people of others are left alone."""
        self._secrets = secrets
        self._made: dict[_Key, str] = {}
        self._noted: dict[bytes, tuple[int, _Key, str, list[str]]] = {}
        self._holders: _Elders = {}
        self._former: _Elders = {}

    def current(self, workspace: str, subscriber: str) -> str:
        """The id of the person whom an id means."""
        holder = self._holder(workspace, subscriber)
        if not holder and (elders := self._former.get((workspace, subscriber))):
            subscriber = elders[0][1]
            holder = self._holder(workspace, subscriber)
        return holder or subscriber

    def take(self, key: bytes, entry: DirectoryEntry | None) -> None:
        """Take in the newest entry of a key of the directory; None: it is gone."""
        noted, former = None, self._noted.pop(key, None)
        secret = self._secrets.get(entry.workspace) if entry is not None else None
        if entry is not None and secret is not None and (beside := ids_beside(entry, secret)):
            # NOTE: what is no address makes nobody another's twin.
            made = subscriber_id(secret, entry.address) if is_address(entry.address) else entry.subscriber
            noted = entry.imported_at_s, (entry.workspace, entry.subscriber), made, beside
            self._noted[key] = noted
        if noted == former:
            return
        if former is not None:
            self._leave(*former)
        if noted is not None:
            self._enter(*noted)

    def _holder(self, workspace: str, subscriber: str) -> str:
        """Who has the address of somebody, or of which an id is made, under the id of another; empty: nobody."""
        elders = self._holders.get((workspace, self._made.get((workspace, subscriber), subscriber)))
        return elders[0][1] if elders else ""

    def _enter(self, imported_at_s: int, whose: _Key, made: str, beside: list[str]) -> None:
        workspace, subscriber = whose
        if made != subscriber:
            self._made[whose] = made
        for each in beside:
            elders = self._holders if each == made else self._former
            known = elders.get((workspace, each), ())
            elders[workspace, each] = tuple(sorted({*known, (imported_at_s, subscriber)}))

    def _leave(self, imported_at_s: int, whose: _Key, made: str, beside: list[str]) -> None:
        workspace, subscriber = whose
        self._made.pop(whose, None)
        for each in beside:
            elders = self._holders if each == made else self._former
            left = tuple(one for one in elders.get((workspace, each), ()) if one != (imported_at_s, subscriber))
            if left:
                elders[workspace, each] = left
            else:
                elders.pop((workspace, each), None)
