"""GNU Mailman 3 over its REST interface: one member a call, no quota.

Kept apart here: Mailman keeps no trace of somebody who left, so what tells is that Segma had put or seen them in the
list and they are not there any more (``only_if_in``). A subscription is made without a welcome mail; taking out by the
membership sends a goodbye mail wherever the list says so, so the roster is asked instead, which sends none. The search
for members takes ``*`` as any text: addresses with one are asked for list by list. Who a list moves on goes as they
were: digest, suspended by themselves; a list that asks for confirmation or a moderator is not entered past them by
whom the platform does not know.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from pydantic import Field

from contracts.installation import SecretAt
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import Change, Fate, Halt, Member, NoSuchList, Right, Standing, Traits, Trouble
from sinks.toolkit.answers import Unreadable, pages, rows, text, whole_number, words
from sinks.toolkit.consent import Seen
from sinks.toolkit.http import Http, Reply, refused, safe_words
from sinks.toolkit.list_ids import Names
from sinks.toolkit.list_sink import ListSink
from sinks.toolkit.options import Around, Kind, Options, SafeUrl
from sinks.toolkit.platform import ListGone, ListRefused, One, PersonFault

PAGE: Final = 500
ASKING: Final = frozenset({"confirm", "confirm_then_moderate"})
MODERATED: Final = frozenset({"moderate", "confirm_then_moderate"})
CLOSED: Final = {
    "advertised": "false",
    "archive_policy": "never",
    "subscription_policy": "moderate",
    "default_member_action": "reject",
    "default_nonmember_action": "reject",
    "send_welcome_message": "false",
    "send_goodbye_message": "false",
    "admin_notify_mchanges": "false",
    "admin_immed_notify": "false",
    "info": "Made by Segma, whose listeners put people in. Without these words its moderator is asked about strangers.",
}
"""How a list is made: seen, read, entered and written to by nobody whom its owner has not let. By ``info`` a later
process knows it for Segma's own."""
SUSPENDED: Final = frozenset({"by_user", "by_moderator"})
DIGESTS: Final = frozenset({"regular", "plaintext_digests", "mime_digests", "summary_digests"})
ALREADY: Final = "Member already subscribed"
WAITING: Final = "already pending"
"""What Mailman says with a 409."""
_LOCAL_PART: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,60}")


class MailmanOptions(Options):
    """``url``: with the version, such as ``http://127.0.0.1:8001/3.1``. ``domain``: of the lists that are made."""

    url: SafeUrl
    user: str
    password: SecretAt
    domain: str
    new_lists: dict[str, str] = Field(default_factory=dict)
    """Settings of lists that are made, instead of private, closed and announce-only: Mailman's own names and values."""


def make(options: MailmanOptions, around: Around) -> ListSink:
    """The sink of an account."""
    login = f"{options.user}:{around.secret(options.password, 'password')}"
    headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    http = around.http(options, options.url, headers, quotas={}, connections=4)
    mailman = Mailman(http, options.domain, {**CLOSED, **options.new_lists})
    return ListSink(mailman, strangers=around.strangers, known=around.known)


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

    traits = Traits(batch=20, shows_all=True)
    most = 20
    knows_opt_in = True
    overwrites = False
    numbers = False

    def __init__(self, http: Http, domain: str, new_lists: Mapping[str, str] = CLOSED) -> None:
        self._http, self._domain, self._new_lists = http, domain, new_lists
        self._lists = Names(self._read, self._make)
        self._made: set[str] = set()
        self._policies: dict[str, str] = {}

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """Each person's memberships, in one call each."""
        ids = {address_of(name, self._domain).replace("@", "."): name for name in lists}
        return self._http.together(lambda change: self._look(change, ids), changes)

    def _look(self, change: Change, ids: Mapping[str, str]) -> Seen | Trouble:
        address = normalised_address(change.address)
        entries = self._entries(address, ids)
        if isinstance(entries, Trouble):
            return entries
        own = [each for each in entries if normalised_address(text(each, "email")) == address]
        members = {text(each, "list_id"): each for each in own if words(each, "role") in {"", "member"}}
        inside = {ids[number]: each for number, each in members.items() if number in ids}
        source = next((inside[name] for name in (*change.remove, *change.consent_in) if name in inside), None)
        entering = [name for name in change.add if name not in inside]
        status = self._delivery_status(source) if source is not None and entering else ""
        notes = {"mode": words(source, "delivery_mode") if source is not None else "", "status": status}
        standing = Standing.UNDELIVERABLE if status == "by_bounces" else Standing.ACTIVE
        stranger = not members and not change.met
        moderated = stranger and any(self._policy(name) in MODERATED for name in entering)
        digest = notes["mode"] in DIGESTS - {"regular"}
        return Seen(
            address,
            standing,
            frozenset(inside),
            notes=notes,
            elsewhere=len(members) > len(inside),
            refusal=Reason.MODERATED if moderated else None,
            never_there=stranger,
            paused=digest and not all(self._takes_digests(name) for name in entering),
        )

    def _entries(self, address: str, ids: Mapping[str, str]) -> list[Mapping[str, Any]] | Trouble:
        """The memberships that may be the person's; asked list by list where the search would take a pattern."""
        if "*" in address:
            found = [self._http.ask("GET", f"/lists/{each}/member/{quote(address, safe='')}") for each in ids]
            wrong = next((each for each in found if not each.ok and not _is_nothing(each)), None)
            return refused(wrong) if wrong is not None else [each.object() for each in found if each.ok]
        reply = self._http.ask("POST", "/members/find", form={"subscriber": address, "role": "member"})
        if not reply.ok:
            if reply.status == 404:  # NOTE: whoever is in no list is answered with none: this is no Mailman's door
                raise Halt(Trouble(Reason.WRONG_ANSWER, Fate.AWAY, "404"))
            return refused(reply)
        return rows(reply.object(), "entries") if whole_number(reply.object(), "total_size") else []

    def _delivery_status(self, member: Mapping[str, Any]) -> str:
        """Return who suspended the membership: ``enabled`` or empty (not suspended), ``by_user``, ``by_bounces`` …"""
        reply = self._http.ask("GET", f"/members/{text(member, 'member_id')}/all/preferences")
        return words(self._answer(reply).object(), "delivery_status")

    def _policy(self, list_name: str) -> str:
        """Return the list's subscription policy; empty where it does not exist yet, or is closed by Segma itself."""
        number = self._lists.find(list_name)
        if number and list_name not in self._made and number not in self._policies:
            policy = text(self._setting(number, "subscription_policy"), "subscription_policy")
            own = policy == self._new("subscription_policy") and self._is_own(number)
            self._policies[number] = "" if own else policy
        return self._policies.get(number, "")

    def _is_own(self, number: str) -> bool:
        """Whether a list was made by Segma, in whatever process, and nobody has taken it over since."""
        return bool(self._new("info")) and words(self._setting(number, "info"), "info") == self._new("info")

    def _new(self, name: str) -> str:
        return self._new_lists.get(name, "")

    def _setting(self, number: str, name: str) -> Mapping[str, Any]:
        return self._answer(self._http.ask("GET", f"/lists/{number}/config/{name}")).object()

    def _takes_digests(self, list_name: str) -> bool:
        """Whether a list sends digests; one that is made does."""
        number = self._lists.find(list_name)
        if not number:
            return True
        reply = self._answer(self._http.ask("GET", f"/lists/{number}/config/digests_enabled"))
        return reply.object().get("digests_enabled") is not False

    def asks(self, list_name: str, *, known: bool) -> bool:
        """Return whether the list asks new members to confirm."""
        return self._policy(list_name) in ASKING

    def invite(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Subscribed but not confirmed: Mailman asks them."""
        number = self._there(list_name)
        return self._http.apart(lambda one: self._put(list_name, number, one, confirmed=False), people)

    def rights(self) -> Iterator[Right]:
        """The one login of Mailman may do everything; what a move would mail is said by each list."""
        self._answer(self._http.ask("GET", "/system/versions"))
        yield Right("REST login", True, "Mailman's own administrator: it may do everything")
        for entry in self._all_lists():
            name = text(entry, "fqdn_listname")
            reply = self._answer(self._http.ask("GET", f"/lists/{text(entry, 'list_id')}/config/admin_notify_mchanges"))
            if reply.object().get("admin_notify_mchanges") is True:
                yield Right(
                    f"mail of {name}", None, "its owners get a mail for each member put in (admin_notify_mchanges)"
                )

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """A member is an address: there is nothing to make before; it is the list that lets them in."""
        return [normalised_address(change.address) for change in changes]

    def exists(self, list_name: str) -> bool:
        """Asked, not remembered."""
        return bool(self._lists.fresh(list_name))

    def id_of(self, list_name: str) -> str:
        """Remembered, or asked; made of the list's address, so a list made anew has it again."""
        return self._lists.find(list_name)

    def forget(self, list_name: str) -> None:
        """Forget a list that vanished."""
        self._lists.forget(list_name)

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Confirmed, and without a welcome mail: the person asked for a newsletter, not for this list's name."""
        list_id = self._lists.made(list_name)
        return self._http.apart(lambda one: self._put(list_name, list_id, one), people)

    def _put(self, list_name: str, list_id: str, one: One, *, confirmed: bool = True) -> PersonFault:
        mode, status = str(one.seen.notes.get("mode", "")), str(one.seen.notes.get("status", ""))
        form = {
            "list_id": list_id,
            "subscriber": normalised_address(one.change.address),
            "display_name": one.change.name,
            "pre_verified": "true",
            "pre_confirmed": "true" if confirmed else "false",
            "pre_approved": "true",
            "send_welcome_message": "false",
            **({"delivery_mode": mode} if mode in DIGESTS else {}),
            **({"delivery_status": status} if status in SUSPENDED else {}),
        }
        reply = self._http.ask("POST", "/members", form=form)
        said = _words(reply)
        if reply.status == 201 or (reply.status == 409 and ALREADY in said) or (reply.ok and not confirmed):
            return None
        if reply.status == 202 or (reply.status == 409 and WAITING in said):
            # NOTE: they were asked and have not answered; Mailman shows that by this alone, and lets nobody in before.
            waits = Trouble(Reason.ASKED if one.change.asked else Reason.PENDING, Fate.LASTING)
            return waits if confirmed else None
        if "banned" in said.lower():
            return Trouble(Reason.BLOCKED, Fate.LASTING, said)
        if reply.status in {400, 404} and "list" in said.lower() and not self._lists.fresh(list_name):
            raise ListGone
        return refused(reply, said)

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Take people out by the roster, which sends no goodbye mail whatever the list's settings."""
        number = self._there(list_name)
        return self._http.apart(lambda one: self._remove(list_name, number, one), people)

    def _remove(self, list_name: str, number: str, one: One) -> PersonFault:
        form = {"emails": normalised_address(one.change.address)}
        reply = self._http.ask("DELETE", f"/lists/{number}/roster/member", form=form)
        if reply.status == 404 and not self._lists.fresh(list_name):
            raise ListGone
        if reply.ok and not isinstance(reply.object().get(form["emails"]), bool):
            raise Unreadable("emails")
        return None if reply.ok else refused(reply, _words(reply))

    def _there(self, list_name: str) -> str:
        """Its id; :class:`ListGone` where there is none."""
        number = self._lists.find(list_name)
        if not number:
            raise ListGone
        return number

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[PersonFault]:
        """There are no tags."""
        return [Trouble(Reason.UNSUPPORTED, Fate.LASTING)] * len(people)

    def write(self, people: Sequence[One]) -> Sequence[PersonFault]:
        """There are no fields: the token goes into mails before they reach Mailman."""
        return [Trouble(Reason.UNSUPPORTED, Fate.LASTING)] * len(people)

    def members(self, list_name: str) -> Iterator[Member]:
        """The roster, page by page."""
        list_id = self._lists.fresh(list_name) if list_name else ""
        if not list_id:
            raise NoSuchList(list_name, self._known())

        def read(page: int) -> Sequence[Mapping[str, Any]]:
            query = {"count": str(PAGE), "page": str(page + 1)}
            reply = self._answer(self._http.ask("GET", f"/lists/{list_id}/roster/member", query=query)).object()
            return rows(reply, "entries") if "entries" in reply or whole_number(reply, "total_size") else []

        for each in pages(read, PAGE):
            yield Member(text(each, "email"), words(each, "display_name"))

    def close(self) -> None:
        """Release the connections."""
        self._http.close()

    def _known(self) -> list[str]:
        return sorted(text(each, "fqdn_listname") for each in self._all_lists())

    def _all_lists(self) -> list[Mapping[str, Any]]:
        reply = self._answer(self._http.ask("GET", "/lists")).object()
        return rows(reply, "entries") if whole_number(reply, "total_size") else []

    def _read(self, name: str) -> Iterable[tuple[str, str]]:
        reply = self._http.ask("GET", f"/lists/{quote(address_of(name, self._domain), safe='@')}")
        if _is_nothing(reply):
            return []
        return [(name, text(self._answer(reply).object(), "list_id"))]

    def _make(self, name: str) -> str:
        address = address_of(name, self._domain)
        reply = self._http.ask("POST", "/lists", form={"fqdn_listname": address})
        if reply.status == 400 and "domain" in _words(reply).lower():
            self._http.ask("POST", "/domains", form={"mail_host": address.partition("@")[2]})
            reply = self._http.ask("POST", "/lists", form={"fqdn_listname": address})
        if not reply.ok:
            raise ListRefused(_words(reply))
        path = f"/lists/{quote(address, safe='@')}"
        closed = self._http.ask("PATCH", f"{path}/config", form={"display_name": name[:100], **self._new_lists})
        if not closed.ok:
            # NOTE: a list that stays open is worse than none; it is empty still.
            self._http.ask("DELETE", path)
            raise ListRefused(_words(closed))
        self._made.add(name)
        return text(self._answer(self._http.ask("GET", path)).object(), "list_id")

    @staticmethod
    def _answer(reply: Reply) -> Reply:
        """A reading that was refused: nothing was done, and nobody is at fault."""
        if not reply.ok:
            raise Halt(Trouble(Reason.WRONG_ANSWER, Fate.AWAY, f"{reply.status}"))
        return reply


def _is_nothing(reply: Reply) -> bool:
    """Whether Mailman itself says that there is no such thing; a proxy in front of it may say 404 of anything."""
    value = reply.json_or_none() if reply.status == 404 else None
    return isinstance(value, dict) and value.get("title") == "404 Not Found"


def _words(reply: Reply) -> str:
    value = reply.json_or_none()
    return safe_words(f"{reply.status} {value.get('description', '') if isinstance(value, dict) else ''}")


KIND: Final = Kind(MailmanOptions, make)
