"""GNU Mailman 3 over its REST interface: one member a call, no quota.

Kept apart here: Mailman keeps no trace of somebody who left, so what tells is that Segma had put them into the list
and they are not there any more (``only_if_in``); a subscription is made confirmed and without a welcome mail; 409 is
"already there", 404 on leaving "already gone".
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from contracts.installation import SecretAt
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import Change, Fate, Halt, Member, NoSuchList, Traits, Trouble
from sinks.toolkit.http import Http, Reply, refused, safe_words
from sinks.toolkit.list_ids import Names
from sinks.toolkit.list_sink import Fault, ListGone, ListRefused, ListSink, One, Seen
from sinks.toolkit.options import Around, Options, SafeUrl

PAGE: Final = 500
_LOCAL_PART: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,60}")


class MailmanOptions(Options):
    """``url``: with the version, such as ``http://127.0.0.1:8001/3.1``. ``domain``: of the lists that are made."""

    url: SafeUrl
    user: str
    password: SecretAt
    domain: str


def make(options: MailmanOptions, around: Around) -> ListSink:
    """The sink of an account."""
    login = f"{options.user}:{around.secret(options.password, 'password')}"
    headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    return ListSink(Mailman(around.http(options, options.url, headers, quotas={}, connections=4), options.domain))


def address_of(list_name: str, domain: str) -> str:
    """The posting address of a list: its name where it can be one, else a readable part and six digits of its hash."""
    if "@" in list_name and _LOCAL_PART.fullmatch(list_name.partition("@")[0]):
        return list_name
    if _LOCAL_PART.fullmatch(list_name):
        return f"{list_name}@{domain}"
    slug = re.sub(r"[^a-z0-9]+", "-", list_name.lower()).strip("-")[:40]
    digits = hashlib.sha256(list_name.encode()).hexdigest()[:6]
    return f"{slug}-{digits}@{domain}" if slug else f"list-{digits}@{domain}"


class Mailman:
    """The calls."""

    traits = Traits(batch=20)
    most = 20

    def __init__(self, http: Http, domain: str) -> None:
        self._http, self._domain = http, domain
        self._lists = Names(self._read, self._make)

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """Each person's memberships, in one call each."""
        ids = {address_of(name, self._domain).replace("@", "."): name for name in lists}
        return self._http.together(lambda change: self._look(change, ids), changes)

    def _look(self, change: Change, ids: Mapping[str, str]) -> Seen | Trouble:
        address = normalised_address(change.address)
        reply = self._http.ask("POST", "/members/find", form={"subscriber": address, "role": "member"})
        if not reply.ok:
            return Seen(address) if reply.status == 404 else refused(reply)
        notes = {
            ids[str(each["list_id"])]: str(each["member_id"])
            for each in reply.object().get("entries") or []
            if str(each["list_id"]) in ids
        }
        return Seen(address, lists=frozenset(notes), notes=notes)

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """A member is an address: there is nothing to make before."""
        return [normalised_address(change.address) for change in changes]

    def exists(self, list_name: str) -> bool:
        """Asked, not remembered."""
        return bool(self._lists.fresh(list_name))

    def forget(self, list_name: str) -> None:
        """It vanished."""
        self._lists.forget(list_name)

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[Fault]:
        """Confirmed, and without a welcome mail: the person asked for a newsletter, not for this list's name."""
        list_id = self._lists.made(list_name)
        return self._http.together(lambda one: self._put(list_name, list_id, one), people)

    def _put(self, list_name: str, list_id: str, one: One) -> Fault:
        form = {
            "list_id": list_id,
            "subscriber": one.person,
            "display_name": one.change.name,
            "pre_verified": "true",
            "pre_confirmed": "true",
            "pre_approved": "true",
            "send_welcome_message": "false",
        }
        reply = self._http.ask("POST", "/members", form=form)
        if reply.ok or reply.status == 409:
            return None
        words = _words(reply)
        if reply.status in {400, 404} and "list" in words.lower() and not self._lists.fresh(list_name):
            raise ListGone
        return refused(reply, words)

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[Fault]:
        """By the membership's own id: it can be no other list's."""
        return self._http.together(lambda one: self._remove(one.seen.notes[list_name]), people)

    def _remove(self, member_id: str) -> Fault:
        form = {"pre_approved": "true", "pre_confirmed": "true"}
        reply = self._http.ask("DELETE", f"/members/{member_id}", form=form)
        return None if reply.ok or reply.status == 404 else refused(reply, _words(reply))

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[Fault]:
        """There are no tags."""
        return [Trouble(Reason.UNSUPPORTED, Fate.LASTING)] * len(people)

    def write(self, people: Sequence[One]) -> Sequence[Fault]:
        """There are no fields: the token goes into mails before they reach Mailman."""
        return [Trouble(Reason.UNSUPPORTED, Fate.LASTING)] * len(people)

    def members(self, list_name: str) -> Iterator[Member]:
        """The roster, page by page."""
        list_id = self._lists.fresh(list_name) if list_name else ""
        if not list_id:
            raise NoSuchList(list_name, self._known())
        page = 1
        while True:
            query = {"count": str(PAGE), "page": str(page)}
            reply = self._answer(self._http.ask("GET", f"/lists/{list_id}/roster/member", query=query))
            entries = reply.object().get("entries") or []
            for each in entries:
                yield Member(str(each["email"]), str(each.get("display_name") or ""))
            if len(entries) < PAGE:
                return
            page += 1

    def close(self) -> None:
        """Release the connections."""
        self._http.close()

    def _known(self) -> list[str]:
        entries: list[Any] = self._answer(self._http.ask("GET", "/lists")).object().get("entries") or []
        return sorted(str(each["fqdn_listname"]) for each in entries)

    def _read(self, name: str) -> Mapping[str, str]:
        address = address_of(name, self._domain)
        reply = self._http.ask("GET", f"/lists/{quote(address, safe='@')}")
        if reply.status == 404:
            return {}
        return {name: str(self._answer(reply).object()["list_id"])}

    def _make(self, name: str) -> str:
        address = address_of(name, self._domain)
        reply = self._http.ask("POST", "/lists", form={"fqdn_listname": address})
        if reply.status == 400 and "domain" in _words(reply).lower():
            self._http.ask("POST", "/domains", form={"mail_host": address.partition("@")[2]})
            reply = self._http.ask("POST", "/lists", form={"fqdn_listname": address})
        if not reply.ok:
            raise ListRefused(_words(reply))
        config = {"display_name": name[:100], "send_welcome_message": "false", "send_goodbye_message": "false"}
        self._http.ask("PATCH", f"/lists/{quote(address, safe='@')}/config", form=config)
        return str(self._answer(self._http.ask("GET", f"/lists/{quote(address, safe='@')}")).object()["list_id"])

    @staticmethod
    def _answer(reply: Reply) -> Reply:
        """A reading that was refused: nothing was done, and nobody is at fault."""
        if not reply.ok:
            raise Halt(Trouble(Reason.WRONG_ANSWER, Fate.AWAY, f"{reply.status}"))
        return reply


def _words(reply: Reply) -> str:
    value = reply.json_or_none()
    return safe_words(f"{reply.status} {value.get('description', '') if isinstance(value, dict) else ''}")
