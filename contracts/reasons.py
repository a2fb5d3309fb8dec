"""The closed set of reasons: why something was refused, dead-lettered, flagged, or not done.

A reason is a past fact. Each carries the sentence that the documentation prints; a test holds the two together.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why. The value is what stands in rows, answers and metrics (a bounded label)."""

    explanation: str

    def __new__(cls, value: str, explanation: str) -> Reason:
        """Attach the sentence to the value."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.explanation = explanation
        return member

    # At the collector's door.
    TOO_LARGE = "too_large", "The body is larger than the site's limit."
    TOO_MANY_EVENTS = "too_many_events", "The beacon carries more events than the site's limit."
    TOO_DEEP = "too_deep", "The JSON is nested deeper than 32 levels."
    NOT_UTF8 = "not_utf8", "The body is not UTF-8."
    NOT_JSON = "not_json", "The body is not JSON."
    WRONG_TYPE = "wrong_type", "A field has another type, or a value outside its bounds."
    MISSING_FIELD = "missing_field", "A required field is absent."
    UNSUPPORTED_MEDIA = "unsupported_media", "The body is not JSON as UTF-8 text, plain or packed with gzip or deflate."
    UNKNOWN_SITE = "unknown_site", "No site has this key."
    WRONG_ORIGIN = "wrong_origin", "The page's origin is not one of the site's."
    BAD_KEY = "bad_key", "The secret key of a server-side call is wrong or absent."
    RATE_LIMITED = "rate_limited", "The client sent more than its share; try again after the given seconds."
    BAD_DESTINATION = "bad_destination", "The link's destination is neither in its token nor on the site's allow-list."
    LOG_UNAVAILABLE = "log_unavailable", "Neither the log nor the spool could store it; nothing was accepted."
    SPOOL_FULL = "spool_full", "The log is away and the collector's own disk space for waiting beacons is used up."

    BAD_REQUEST = "bad_request", "What came is no HTTP/1.1 request."
    HEADERS_TOO_LARGE = "headers_too_large", "The request has more headers, or bytes of them, than any client sends."
    URL_TOO_LONG = "url_too_long", "The request's address is longer than any link."
    TIMED_OUT = "timed_out", "The request did not come within the time that one may take."

    UNKNOWN_HOOK = "unknown_hook", "No account takes webhooks at this path."
    BAD_SIGNATURE = "bad_signature", "The webhook's signature does not fit its body and time."
    REPLAYED = "replayed", "The webhook is older than signed webhooks may be: somebody sent it again."

    # Tokens.
    TOKEN_MALFORMED = "token_malformed", "The token is cut off or not of a token's form."
    TOKEN_FORGED = "token_forged", "The token's seal does not fit: it was not made with our key or was changed."
    TOKEN_UNKNOWN_KEY = "token_unknown_key", "The token was sealed with a key that is no longer (or never was) ours."
    TOKEN_EXPIRED = "token_expired", "The token is older than the workspace lets tokens live."
    TOKEN_FOREIGN = "token_foreign", "The token belongs to another workspace."

    # In the flows.
    UNDECODABLE = "undecodable", "The record in the log does not decode as what its topic holds."
    NEWER_SCHEMA = "newer_schema", "The record was written by a newer release than this one."
    UNKNOWN_ACTION = "unknown_action", "The action is neither in the vocabulary nor in the site's actions.yaml."
    BAD_EVENT = "bad_event", "The event lacks a field, has a wrong type or a value outside its bounds."
    CLOCK_OFF = (
        "clock_off",
        "The event claims a time more than two years before it came, corrected by what its device's clock is off.",
    )
    LATE = "late", "The event is older than the lateness: recorded, not matched."
    DUPLICATE = "duplicate", "An event of this id was already there; the first to arrive counts."
    PROCESSING_FAILED = "processing_failed", "The flow failed on this record; it was set aside and the flow went on."
    STATE_LOST = (
        "state_lost",
        "What was known of one device or person could not be written; it was dropped and the flow went on.",
    )
    NO_IDENTITY = "no_identity", "The sequence completed for somebody unknown: a row, no list move."
    SHADOWED = "shadowed", "The listener's version is not live yet: a row, no list move."
    LOOP = "loop", "Listeners move the person round in a circle: a row, no list move, from the ninth move in a row on."
    HELD_OUT = "held_out", "The person is held out of the listener: a row, no list move."
    LISTENER_PAUSED = (
        "listener_paused",
        "It completed while the listener was paused: a row, no list move, not made good.",
    )
    CAPPED = "capped", "The person has had as many moves as the workspace's `cap` lets them: a row, no list move."
    TOO_MANY_LISTS = "too_many_lists", "The listener, or the one person, has named as many different lists as it may."
    BAD_LIST_NAME = "bad_list_name", "The list's name, made from the event, is empty."

    # At delivery.
    UNKNOWN_ACCOUNT = "unknown_account", "No account of this name is configured."
    UNKNOWN_SUBSCRIBER = "unknown_subscriber", "The directory has no address for this subscriber."
    UNSUPPORTED = "unsupported", "The platform cannot do this kind of command."
    REFUSED_BY_PLATFORM = "refused_by_platform", "The platform refused it for good."
    BAD_ADDRESS = "bad_address", "The address is none that a platform could take: no @, or control characters."
    REQUIRED_FIELD = (
        "required_field",
        "The platform's list asks for a field that Segma does not know; make it optional there.",
    )
    ARCHIVED = "archived", "Somebody archived the person at the platform; bring them back there if that was wrong."
    FORGOTTEN = (
        "forgotten",
        "The address was deleted for good; only the person can come back, by the platform's own form.",
    )
    COMPLIANCE = (
        "compliance",
        "The platform bars the address after an unsubscription, bounce or review; only the person can come back.",
    )
    MODERATED = "moderated", "A moderator decides who comes into the list; add the person there."
    MISSING_RIGHT = "missing_right", "The account's key lacks a right; `segma accounts check` names it."
    LIST_REFUSED = "list_refused", "The platform would not make a list, tag or field of this name."
    RETRIES_EXHAUSTED = "retries_exhausted", "The platform did not take it within the time that retries may last."
    THROTTLED = "throttled", "The platform, or the account's quota, asks to wait."
    UNREACHABLE = "unreachable", "The platform did not answer in time, or could not be reached."
    WRONG_ANSWER = "wrong_answer", "The platform's answer is not of its documented form, too large, or leads elsewhere."
    BAD_CREDENTIALS = (
        "bad_credentials",
        "The platform does not accept the account's key; the account waits for a person.",
    )
    TOO_MANY_MOVES = (
        "too_many_moves",
        "A listener asked for more moves than the account lets it make, or all together did; the account is paused.",
    )
    PAUSED = (
        "paused",
        "A person has paused the account; or their own paused delivery, which the other list could not keep.",
    )
    GONE = "gone", "The person was at the platform and is there no more; nobody makes them anew."
    COMPLAINED = "complained", "The person complained of mail as spam; nothing adds them any more at that account."
    BLOCKED = "blocked", "The platform blocks the address; while the block stands nothing adds them."
    UNSUBSCRIBED = "unsubscribed", "The person left; nobody is added back against their will."
    PENDING = "pending", "The person has not confirmed yet, and so is in no list: nothing is changed before they do."
    ASKED = "asked", "The person was asked to confirm and has not answered; nobody is asked twice."
    UNCLEAR = "unclear", "Many people of the list are gone at once; adding waits until somebody says why."
    UNDELIVERABLE = "undeliverable", "Mail to the address bounced; it ends when the platform delivers again."
    UNKNOWN = "unknown", "The platform does not know the person, and nothing may bring them in."
    SUPERSEDED = "superseded", "A command for the same person and list whose match comes later stands there."

    # In the history.
    REFUSED_BY_HISTORY = "refused_by_history", "ClickHouse refused the row; its record is still in the log."


def reason_of(value: str) -> Reason:
    """The reason that is written so. Raises ``ValueError`` for a text that is none."""
    found = {each.value: each for each in Reason}.get(value)
    if found is None:
        raise ValueError(f"no reason {value!r}")
    return found
