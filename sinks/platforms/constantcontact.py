"""Constant Contact (v3): contacts by their ids in lists, looked at one a call, put in and taken out as activities.

Kept apart here: an activity is only queued by its 201, so it is asked about until it ends, and whom it does not account
for is looked at again. Consent is the contact's (``permission_to_send``); ``sign_up_form`` would make it explicit anew
and restore whom somebody deleted, and is never called. A ``PUT`` empties what it leaves out, but for the parts of a
contact (lists, tags): it carries what was read right before it, and is never sent for somebody who left. A refresh
token is used once (:mod:`sinks.toolkit.refreshed_login`). The quota is the application's, 10,000 calls a day.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field

from contracts.installation import SecretAt
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import Change, Fate, Member, Right, Standing, Traits, Trouble
from sinks.toolkit.answers import Unreadable, linked_pages, one_of, rows, table, text, words
from sinks.toolkit.consent import Seen
from sinks.toolkit.http import Http, Reply, refused, usual
from sinks.toolkit.jobs import finished
from sinks.toolkit.list_ids import NamedLists, Names
from sinks.toolkit.list_sink import ListSink
from sinks.toolkit.options import Around, Kind, Options, SafeUrl
from sinks.toolkit.platform import BatchRefused, ListGone, ListRefused, NoOptIn, One, PersonFault
from sinks.toolkit.refreshed_login import RefreshedLogin, by_refresh_token

DAY_MS: Final = 86_400_000
QUOTAS: Final = {"all": [(4, 1_000), (10_000, DAY_MS)]}
"""Of an application, whichever accounts it calls for."""
HOST: Final = "https://api.cc.email"
LOGIN_HOST: Final = "https://authz.constantcontact.com"
TOKEN: Final = "/oauth2/default/v1/token"  # noqa: S105
CONTACTS: Final = "/v3/contacts"
LISTS: Final = "/v3/contact_lists"
TAGS: Final = "/v3/contact_tags"
FIELDS: Final = "/v3/contact_custom_fields"
ACTIVITIES: Final = "/v3/activities"
PARTS: Final = "custom_fields,list_memberships,taggings"
PAGE: Final = 500
FIELDS_PAGE: Final = 100
BATCH: Final = 50
LONGEST_ADDRESS: Final = 80
TOO_LONG: Final = Trouble(Reason.BAD_ADDRESS, Fate.LASTING, "longer than the platform takes")
THROTTLED_S: Final = 1.0
"""The platform names no time."""
TRIED: Final = frozenset({403})
REFUSED_LOGIN: Final = frozenset({401})
UUID: Final = re.compile(r"[0-9a-f-]{36}")
UNFINISHED: Final = frozenset({"initialized", "processing"})
ENDED: Final = {each: each for each in (*UNFINISHED, "completed", "cancelled", "failed", "timed_out")}
STANDINGS: Final = {
    "explicit": Standing.ACTIVE,
    "implicit": Standing.ACTIVE,
    "not_set": Standing.ACTIVE,
    "pending_confirmation": Standing.PENDING,
    "temp_hold": Standing.UNDELIVERABLE,
    "unsubscribed": Standing.LEFT,
}
KEPT: Final = (
    "first_name",
    "last_name",
    "job_title",
    "company_name",
    "birthday_month",
    "birthday_day",
    "anniversary",
)
"""What a ``PUT`` would empty if it left it out."""


class ConstantContactOptions(Options):
    """``client``: the application's API key; ``secret``: its secret, where it has one.

    ``refresh_token``: of the account's authorisation, as it was given; those that follow are kept below the data.
    ``url``: instead of the platform's two hosts.
    """

    client: str
    refresh_token: SecretAt
    secret: SecretAt | None = None
    url: SafeUrl | None = None
    token_field: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,50}$")] = "segma_token"  # noqa: S105


def make(options: ConstantContactOptions, around: Around) -> ListSink:
    """The sink of an account."""

    def judge(reply: Reply) -> Trouble | None:
        """A 429 has no header: its word says whether the second or the day is used up, which ends at 00:00 UTC."""
        trouble = usual(reply)
        if trouble is None or reply.status != 429:
            return trouble
        left_s = (DAY_MS - around.now_ms() % DAY_MS) / 1_000
        soon_s = max(trouble.wait_s, THROTTLED_S)
        return trouble._replace(wait_s=left_s if _error_key(reply) == "quota_exceeded" else soon_s)

    http = around.http(options, options.url or HOST, {}, quotas=QUOTAS, connections=4, judge=judge)
    secret = around.secret(options.secret, "secret") if options.secret is not None else ""
    login = RefreshedLogin(
        by_refresh_token(http.beside(options.url or LOGIN_HOST, {}), TOKEN, options.client, secret),
        seed=around.secret(options.refresh_token, "refresh_token"),
        path=around.data / f"login.{around.name.replace('/', '.')}.json",
        now_ms=around.now_ms,
        pause=around.pause,
    )
    return ListSink(ConstantContact(http, login, options, around), strangers=around.strangers, known=around.known)


class ConstantContact(NoOptIn, NamedLists):
    """The calls."""

    overwrites = False
    numbers = True
    most = BATCH

    def __init__(self, http: Http, login: RefreshedLogin, options: ConstantContactOptions, around: Around) -> None:
        super().__init__(http, Names(lambda name: self._read_lists(), self._make_list))
        self._login, self._pause = login, around.pause
        self._tags = Names(lambda name: self._named(TAGS, "tags", "tag_id", PAGE), self._make_tag)
        self._fields = Names(
            lambda name: self._named(FIELDS, "custom_fields", "custom_field_id", FIELDS_PAGE), self._make_field
        )
        link = f"[[{options.token_field}]]"
        self.traits = Traits(batch=BATCH, tags=True, tells_removals=True, fields=True, token_link=link)

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """Each contact by address, in one call each; also whom somebody deleted, who is there all the same."""
        tags = {name for change in changes for name in (*change.tag, *change.untag)}
        written = {name for change in changes for name, _ in change.fields}
        lists_of, tags_of, fields_of = (
            {number: name for name in names if (number := known.find(name))}
            for names, known in ((lists, self._lists), (tags, self._tags), (written, self._fields))
        )

        def look(change: Change) -> Seen | Trouble:
            contact = self._contact(normalised_address(change.address))
            if contact is None or isinstance(contact, Trouble):
                return contact or Seen()
            standing, because = _standing(contact)
            number = _uuid(contact, "contact_id")
            inside = frozenset(lists_of[each] for each in _ids(contact, "list_memberships") & lists_of.keys())
            marked = frozenset(tags_of[each] for each in _ids(contact, "taggings") & tags_of.keys())
            shown = _values(contact) if standing is not Standing.LEFT else {}
            values = {fields_of[each]: value for each, value in shown.items() if each in fields_of}
            return Seen(number, standing, inside, tags=marked, fields=values, because=because, number=number)

        return self._http.apart(look, changes)

    def _contact(self, address: str) -> Mapping[str, Any] | Trouble | None:
        """The contact of an address; None: there is none."""
        if len(address) > LONGEST_ADDRESS:
            return TOO_LONG
        query = {"email": address, "status": "all", "include": PARTS}
        reply = self._ask("GET", CONTACTS, query=query)
        if not reply.ok:
            return refused(reply, _error_key(reply))
        found = [each for each in rows(reply.object(), "contacts") if _address(each) == address]
        return found[0] if found else None

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """A contact each, in no list, whose permission is implied; who is there meanwhile is looked at again (409)."""
        return self._http.apart(self._enrol, changes)

    def _enrol(self, change: Change) -> str | Trouble:
        email = {"address": normalised_address(change.address), "permission_to_send": "implicit"}
        named = {"first_name": change.name[:50]} if change.name else {}
        reply = self._ask("POST", CONTACTS, {"email_address": email, "create_source": "Account", **named})
        return _uuid(reply.object(), "contact_id") if reply.ok else refused(reply, _error_key(reply))

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Put people into a list, which takes them out of none."""
        number = self._lists.made(list_name)
        return self._in_list("add_list_memberships", list_name, number, people)

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Take people out of a list; they stay contacts, with the permission that they gave."""
        return self._in_list("remove_list_memberships", list_name, self._there(list_name), people)

    def _in_list(self, kind: str, list_name: str, number: str, people: Sequence[One]) -> Sequence[PersonFault]:
        inside = kind == "add_list_memberships"
        try:
            faults = self._changed(kind, {"list_ids": [number]}, people, ("list_memberships", number, inside))
        except BatchRefused:
            if self._lists.fresh(list_name) == number:
                raise
            raise ListGone from None
        if any(faults) and self._lists.fresh(list_name) != number:
            raise ListGone
        return faults

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[PersonFault]:
        """Set or take away a tag, which is made if missing."""
        number = self._tags.made(tag) if on else self._tags.find(tag)
        if not number:
            return [None] * len(people)
        kind = "contacts_taggings_add" if on else "contacts_taggings_remove"
        return self._changed(kind, {"tag_ids": [number]}, people, ("taggings", number, on))

    def _changed(
        self, kind: str, what: Mapping[str, object], people: Sequence[One], wanted: tuple[str, str, bool]
    ) -> list[PersonFault]:
        """An activity, waited for; whom it does not account for is looked at: they may be as wanted or not."""
        body = {"source": {"contact_ids": [one.person for one in people]}, **what}
        reply = self._ask("POST", f"{ACTIVITIES}/{kind}", body)
        if not reply.ok:
            raise BatchRefused(f"{reply.status} {_error_key(reply)}")
        at = f"{ACTIVITIES}/{_uuid(reply.object(), 'activity_id')}"
        said: dict[str, Any] = {}

        def state() -> str:
            said.update(self._ask("GET", at).read())
            return one_of(said, "state", ENDED)

        ended = finished(state, self._pause, unfinished=UNFINISHED)
        if ended == "completed" and _accounts_for(said, len(people)):
            return [None] * len(people)
        return self._http.apart(lambda one: self._unless(one, ended, *wanted), people)

    def _unless(self, one: One, ended: str, part: str, number: str, inside: bool) -> PersonFault:
        """What somebody met who is not as was wanted after the activity."""
        contact = self._contact(_address_of(one))
        if isinstance(contact, Trouble):
            return contact
        there = contact is not None and number in _ids(contact, part)
        if there == inside:
            return None
        return Trouble(Reason.REFUSED_BY_PLATFORM, Fate.PASSING, f"not so after the activity: {ended}")

    def write(self, people: Sequence[One]) -> Sequence[PersonFault]:
        """Custom fields, one contact a call."""
        for name in {name for one in people for name, _ in one.change.fields}:
            self._fields.made(name)
        return self._http.apart(self._write, people)

    def _write(self, one: One) -> PersonFault:
        contact = self._contact(_address_of(one))
        if contact is None or isinstance(contact, Trouble):
            return contact or Trouble(Reason.GONE, Fate.LASTING)
        standing, because = _standing(contact)
        if standing is Standing.LEFT:
            return Trouble(because, Fate.LASTING, "nothing is written over a leaving")
        if _uuid(contact, "contact_id") != one.person:
            return Trouble(Reason.REFUSED_BY_PLATFORM, Fate.PASSING, "another contact since the look")
        reply = self._ask("PUT", f"{CONTACTS}/{one.person}", self._with_fields(contact, one.change.fields))
        if not reply.ok:
            return refused(reply, _error_key(reply))
        if _uuid(reply.object(), "contact_id") != one.person:
            raise Unreadable("contact_id")
        return None

    def _with_fields(self, contact: Mapping[str, Any], fields: Iterable[tuple[str, str]]) -> dict[str, object]:
        """The contact as it was read, with its fields, some of them new; its lists and tags stay by being left out."""
        own = {self._fields.find(name): value for name, value in fields}
        others = [each for each in rows(contact, "custom_fields", null=True) if each.get("custom_field_id") not in own]
        kept = [{name: each[name] for name in FIELD_PARTS if each.get(name) is not None} for each in others]
        email = table(contact, "email_address")
        permission = {name: text(email, name) for name in ("address", "permission_to_send")}
        return {
            **{name: contact[name] for name in KEPT if contact.get(name) is not None},
            "email_address": permission,
            "update_source": "Account",
            "custom_fields": [*kept, *({"custom_field_id": each, "value": value} for each, value in own.items())],
        }

    def members(self, list_name: str) -> Iterator[Member]:
        """The contacts of a list page by page; whoever has a telephone number alone is passed over."""
        number = self._read(list_name)
        for each in self._pages(CONTACTS, "contacts", {"lists": number, "status": "all", "limit": str(PAGE)}):
            if each.get("email_address") is None:
                continue
            address = text(table(each, "email_address"), "address")
            yield Member(address, words(each, "first_name"), _standing(each)[0], _uuid(each, "contact_id"))

    def rights(self) -> Iterator[Right]:
        """Reading is tried as it is, changing by calls that are refused as they stand: of nobody, without a name."""
        for name, path in (("contacts", CONTACTS), ("lists", LISTS), ("tags", TAGS), ("custom fields", FIELDS)):
            yield Right(f"reading {name}", self._ask("GET", path, query={"limit": "1"}, hear=TRIED).ok)
        for name, path, nothing in (
            ("making contacts", CONTACTS, {"create_source": "Account"}),
            ("making lists", LISTS, {"name": ""}),
            ("putting into lists", f"{ACTIVITIES}/add_list_memberships", NOBODY),
            ("taking out of lists", f"{ACTIVITIES}/remove_list_memberships", NOBODY),
        ):
            yield Right(name, self._ask("POST", path, nothing, hear=TRIED).status != 403)
        yield Right("automations", None, "a path whose trigger is the list starts; it is not asked which")

    def _ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, str] | None = None,
        hear: frozenset[int] = frozenset(),
    ) -> Reply:
        """One call; and once more by a new access token where the platform does not take the one that is known."""
        token = self._login.token()
        reply = self._http.ask(method, path, body, query=query, headers=_bearer(token), hear=hear | REFUSED_LOGIN)
        if reply.status != 401:
            return reply
        anew = _bearer(self._login.token(refused=token))
        return self._http.ask(method, path, body, query=query, headers=anew, hear=hear)

    def _pages(self, path: str, name: str, query: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        """Every item of every page; of the link to the next one its query alone is followed."""

        def read(after: str) -> tuple[Sequence[Mapping[str, Any]], str]:
            found = self._ask("GET", path, query=dict(parse_qsl(after)) or query).read()
            links = table(found, "_links", null=True)
            return rows(found, name), urlsplit(words(table(links, "next", null=True), "href")).query

        return linked_pages(read)

    def _named(self, path: str, name: str, number: str, size: int) -> Iterable[tuple[str, str]]:
        return [(text(each, "name"), _uuid(each, number)) for each in self._pages(path, name, {"limit": str(size)})]

    def _read_lists(self) -> Iterable[tuple[str, str]]:
        found = self._pages(LISTS, "lists", {"limit": str(PAGE)})
        return [(text(each, "name"), _uuid(each, "list_id")) for each in found if not words(each, "deleted_at")]

    def _make_list(self, name: str) -> str:
        return self._made("list_id", LISTS, {"name": name})

    def _make_tag(self, name: str) -> str:
        return self._made("tag_id", TAGS, {"name": name})

    def _make_field(self, name: str) -> str:
        return self._made("custom_field_id", FIELDS, {"label": name, "type": "string"})

    def _made(self, number: str, path: str, body: object) -> str:
        reply = self._ask("POST", path, body)
        if not reply.ok:
            raise ListRefused(f"{reply.status} {_error_key(reply)}")
        return _uuid(reply.object(), number)


NOBODY: Final = {"source": {"contact_ids": list[str]()}, "list_ids": list[str]()}
FIELD_PARTS: Final = ("custom_field_id", "value", "choice_ids")


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _uuid(value: object, name: str) -> str:
    found = text(value, name)
    if not UUID.fullmatch(found):
        raise Unreadable(name)
    return found


def _error_key(reply: Reply) -> str:
    """The platform's own word for a refusal, one of a few; errors come as an object or as a list of them."""
    said = reply.json_or_none()
    first = said[0] if isinstance(said, list) and said else said
    return str(first.get("error_key", ""))[:60] if isinstance(first, dict) else ""


def _address(contact: Mapping[str, Any]) -> str:
    email = contact.get("email_address")
    return normalised_address(text(email, "address")) if email is not None else ""


def _address_of(one: One) -> str:
    return normalised_address(one.change.address)


def _standing(contact: Mapping[str, Any]) -> tuple[Standing, Reason]:
    """Whom somebody deleted is gone, though the platform would restore them; consent is a permission."""
    if words(contact, "deleted_at"):
        return Standing.LEFT, Reason.GONE
    return one_of(table(contact, "email_address"), "permission_to_send", STANDINGS), Reason.UNSUBSCRIBED


def _ids(contact: Mapping[str, Any], part: str) -> set[str]:
    found = contact.get(part)
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise Unreadable(part)
    return set(found)


def _values(contact: Mapping[str, Any]) -> dict[str, str]:
    fields = rows(contact, "custom_fields", null=True)
    return {text(each, "custom_field_id"): each["value"] for each in fields if isinstance(each.get("value"), str)}


def _accounts_for(said: Mapping[str, Any], people: int) -> bool:
    """Whether an activity says of as many as were named that they are done, and of nobody that they are not."""
    status = table(said, "status", null=True)
    counts = [status.get(each) for each in ("items_total_count", "items_completed_count")]
    return counts == [people, people] and not said.get("activity_errors")


KIND: Final = Kind(ConstantContactOptions, make, tags=True, quotas=QUOTAS)
