"""Notices: what the platforms' webhooks say, in one form; and our own words for those who write the body. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

from contracts.codec import MAX_DEPTH, depth_exceeds, json_reader
from contracts.errors import BadInput, BadRecord
from contracts.masking import masked_text
from contracts.numerals import in_ascii
from contracts.reasons import Reason

MOST: Final = 1_000
"""Notices of one call: Klaviyo sends so many, the others far fewer."""
ACTIONS: Final = (
    "email_delivered",
    "email_opened",
    "email_clicked",
    "email_bounced",
    "email_complained",
    "email_unsubscribed",
)
SUBSCRIBED: Final = "subscribed"
"""Not an event: the person came back by themselves, and the veto is lifted."""
ADDRESS_CHANGED: Final = "address_changed"
"""Not an event: the person is the same, under another address."""
UNREADABLE: Final = "unreadable"
"""What names no action or nobody: the others of its call count, and the call is refused so that it is heard of."""
MAX_WORDS: Final = 200

FIRST_MILLIS: Final = 100_000_000_000
"""A number from here on is of milliseconds: as seconds it would be the year 5138."""

FIRST_MICROS: Final = 100_000_000_000_000
"""A number from here on is of microseconds."""
FIRST_NANOS: Final = 100_000_000_000_000_000
"""A number from here on is of nanoseconds."""
MAX_INSTANT_CHARS: Final = 64
MAX_FIELDS: Final = 10_000
"""Of a form: platforms send every field that an account has given its contacts."""
_MAIL_DATE: Final = re.compile(
    r"(?:[A-Z][a-z]{2}, )?[0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{5,8}(?: ?[+-][0-9:]{4,5})?"
)
_MARKS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[][{},]', re.DOTALL)
"""Texts, and the signs between which items stand."""
MAX_DIGITS: Final = 300
"""Of an integer that is read as one."""
_read: Final[Callable[[bytes], Any]] = json_reader(Any)


class Notice(NamedTuple):
    """One thing that a platform tells. ``at`` is what tells it from the next: it makes the event's id.

    ``address`` may be empty where the platform names a record of its own (``person``), or nobody.
    """

    action: str
    address: str
    at: str
    list_name: str = ""
    properties: Mapping[str, Any] = {}
    person: str = ""
    at_ms: int | None = None
    """When it happened, by the platform's clock; None: it does not say."""
    list_id: str = ""
    """The platform's list that was left or joined, where leaving one is a veto for all, lifted for that one alone."""
    new_address: str = ""
    """Of a changed address: what it is now."""


class Told(NamedTuple):
    """A webhook's body, and what the address that it was sent to says it is about (``?action=``)."""

    body: bytes
    action: str = ""
    moves_unsubscribe: bool = False
    """Whether the account's own moves are unsubscriptions there, so that the platform reports them as such."""

    @property
    def is_of_the_people(self) -> bool:
        """Whether the address says that it is told of people's own doing alone, where the body does not say by whom."""
        return self.action == SUBSCRIBED

    @property
    def is_json(self) -> bool:
        """Whether the body is JSON and no form, whatever media type stands in front of it."""
        return self.body.lstrip()[:1] in {b"{", b"["}


def read_form(body: bytes) -> dict[str, str]:
    """A form's fields, of each name the last; a replacement character for each byte that is no UTF-8.

    Raises :class:`BadInput` (``wrong_type``).
    """
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=MAX_FIELDS)
    except ValueError:
        raise BadInput(Reason.WRONG_TYPE, "no form") from None
    return {name: values[-1] for name, values in fields.items()}


def read_json(body: bytes) -> Any:
    """A JSON body. Raises :class:`BadInput` (``too_deep``, ``not_json``).

    What one event of many holds that no reader takes costs the others nothing: a question mark stands for half a
    surrogate pair, a replacement character for a byte that is no UTF-8, infinity for a number that is too large, and
    null for an event that nests too deep.
    """
    if depth_exceeds(body, MAX_DEPTH):
        body = without_deep(body, MAX_DEPTH)
    try:
        return _read(body)
    except BadRecord:
        pass
    try:
        found = json.loads(body.decode("utf-8", "replace"), parse_int=_number)
    except (ValueError, RecursionError):
        raise BadInput(Reason.NOT_JSON) from None
    return json.loads(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))


def without_deep(body: bytes, limit: int) -> bytes:
    """JSON text with null for each item of its outermost arrays that nests deeper than ``limit``.

    Raises :class:`BadInput` (``too_deep``) where that is in no array.
    """
    kept, done, depth, listed, start, deep = list[bytes](), 0, 0, 0, 0, False
    for sign in _MARKS.finditer(body):
        mark = sign[0][:1]
        if mark in b"]," and depth == listed > 0:
            if deep:
                kept += body[done:start], b"null"
                done, deep = sign.start(), False
            start = sign.end()
        if mark in b"[{":
            depth += 1
            if mark == b"[" and not listed:
                listed, start = depth, sign.end()
            deep = deep or depth > limit
            if deep and not listed:
                raise BadInput(Reason.TOO_DEEP)
        elif mark in b"]}":
            listed = 0 if depth == listed else listed
            depth -= 1
    if deep:
        raise BadInput(Reason.TOO_DEEP)
    return b"".join([*kept, body[done:]])


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) < MAX_DIGITS else float(digits)


def instant_ms(value: object) -> int | None:
    """A platform's instant: ISO 8601 (UTC where it names no zone; a zone's name in brackets behind it is left out), as
    mails are dated, or seconds, milliseconds, microseconds or nanoseconds since the epoch.
    """
    text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    if len(text) > MAX_INSTANT_CHARS:
        return None
    text = in_ascii(text)
    if re.fullmatch(r"[0-9]{9,19}(\.[0-9]{1,9})?", text, re.ASCII):
        number = float(text)
        number /= 1_000 if number >= FIRST_NANOS else 1
        return int(number / 1_000 if number >= FIRST_MICROS else number if number >= FIRST_MILLIS else number * 1_000)
    text = re.sub(r"\[[A-Za-z_/+-]+\]$", "", text)
    # NOTE: the plus of a zone is a blank where a form was written without escaping it.
    text = re.sub(r"(?<=[0-9]) ?(?:z|UTC|GMT)$", "+00:00", re.sub(r"(T[0-9:.]+) (?=[0-9]{2}:?[0-9]{2}$)", r"\1+", text))
    try:
        found = parsedate_to_datetime(text) if _MAIL_DATE.fullmatch(text) else datetime.fromisoformat(text)
        at_ms = int((found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp() * 1_000)
    except (ValueError, OverflowError):
        return None
    return at_ms if at_ms >= 0 else None


def is_ours(told: object) -> bool:
    """Whether a body is in our words: its notices have an `address`."""
    first = told[0] if isinstance(told, list) and told else told
    return isinstance(first, dict) and "address" in first


def ours(told: object) -> list[Notice]:
    """``{"action", "address", "at", "list", "campaign", …}`` or a list of such: where one writes the body oneself.

    Raises :class:`BadInput` where none of them can be read.
    """
    found = told if isinstance(told, list) else [told]
    check_count(found)
    notices, faults = [], []
    for each in found:
        try:
            notices.append(_one_of_ours(each))
        except BadInput as error:
            faults.append(error)
    if faults and not notices:
        raise faults[0]
    return [*notices, *(Notice(UNREADABLE, "", "") for _ in faults)]


def check_count(found: list[Any]) -> None:
    """Refuse more notices than one call may tell (``too_many_events``)."""
    if len(found) > MOST:
        raise BadInput(Reason.TOO_MANY_EVENTS, f"{len(found)} notices, {MOST} at most")


def _one_of_ours(each: object) -> Notice:
    if not isinstance(each, dict) or not isinstance(each.get("address"), str):
        raise BadInput(Reason.MISSING_FIELD, "each notice needs `action` and `address`")
    action = each.get("action")
    if not isinstance(action, str) or action not in {*ACTIONS, SUBSCRIBED}:
        raise BadInput(Reason.UNKNOWN_ACTION, "one of the email actions")
    kept = {name: words(each[name]) for name in ("campaign", "kind", "url") if name in each}
    at, list_name = each.get("at", ""), str(each.get("list", ""))[:MAX_WORDS]
    return Notice(action, each["address"], str(at)[:40], list_name, kept, at_ms=instant_ms(at))


def without_address(notice: Notice, domain: str) -> Notice:
    """The notice with its list's name as Segma has it: a list of ``domain`` by its own part, and never an address.

    Whoever left a list whose name is an address of elsewhere has left everything: which list that was cannot be kept,
    and they are mailed by none. Whoever joined such a one is refused.
    """
    name = notice.list_name
    if domain and name.lower().endswith(f"@{domain}"):
        name = name[: -len(domain) - 1]
    if masked_text(name) == name:
        return notice._replace(list_name=name)
    return notice._replace(list_name="") if notice.action != SUBSCRIBED else Notice(UNREADABLE, "", "")


def words(value: object) -> str:
    """What a notice keeps of a text: without addresses and tokens, taken out before it is cut, so no half is left."""
    return masked_text(str(value))[:MAX_WORDS]


def listed(value: object) -> list[Any]:
    """A list's items; of a single object that one, as relays hand a platform's events on; else none."""
    return value if isinstance(value, list) else [value] if isinstance(value, dict) else []


def is_yes(value: object) -> bool:
    """Whether a switch is on: as such, or as a text or number that a relay made of it."""
    return value is True or str(value).strip().lower() in {"true", "1"}


def mapping(value: object) -> Mapping[str, Any]:
    """The value where it is an object; else an empty one."""
    return value if isinstance(value, dict) else {}
