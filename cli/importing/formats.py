"""The exports that are known by their columns: one entry each. What none of them knows is read by the usual names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cli.importing.consent import ListStatus
from cli.importing.tables import column_of


def _columns(text: str) -> frozenset[str]:
    return frozenset(column_of(header) for header in text.split(","))


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """The particulars of one platform's export.

    ``marks``: columns that this platform's file has, and no other; ``exact``: whether it has no others. ``ignored``:
    columns that tell nothing of consent here, whatever their name. ``words``: of its status column, beside the usual.
    ``whole``: what everybody in such a file is. ``leaving_time``: columns that tell when, where one left. ``per_list``:
    whether a leaving is of one list; else it is of the whole account, as most platforms keep it.
    """

    name: str
    marks: frozenset[str]
    exact: bool = False
    ignored: frozenset[str] = frozenset()
    words: Mapping[str, ListStatus] = field(default_factory=dict)
    whole: ListStatus | None = None
    leaving_time: frozenset[str] = frozenset()
    per_list: bool = False


FORMATS: Final = (
    ExportFormat("mailchimp", _columns("Email Address,LEID,EUID"), leaving_time=_columns("LAST_CHANGED")),
    ExportFormat(
        "klaviyo",
        _columns("Email,Klaviyo ID"),
        leaving_time=_columns("Email Marketing Consent Timestamp"),
        words={"list suppressed": ListStatus.UNSUBSCRIBED},
    ),
    ExportFormat(
        "klaviyo",
        _columns("Email,Email Marketing Consent"),
        leaving_time=_columns("Email Marketing Consent Timestamp"),
    ),
    ExportFormat("hubspot", _columns("Record ID,Email"), ignored=_columns("Status,State,Estado,Consent")),
    ExportFormat("hubspot", _columns("Datensatz-ID,E-Mail"), ignored=_columns("Status,Bundesland")),
    ExportFormat("hubspot", _columns("ID del registro,Correo"), ignored=_columns("Estado")),
    ExportFormat("hubspot", _columns("ID de fiche d'info,E-mail"), ignored=_columns("Statut")),
    ExportFormat(
        "activecampaign",
        _columns("Contact ID,Email,IP,Status"),
        words={
            "0": ListStatus.PENDING,
            "1": ListStatus.ACTIVE,
            "2": ListStatus.UNSUBSCRIBED,
            "3": ListStatus.UNDELIVERABLE,
        },
        per_list=True,
    ),
    ExportFormat("brevo", _columns("CONTACT ID,EMAIL,ADDED_TIME")),
    ExportFormat("brevo", _columns("EMAIL,ADDED_TIME,MODIFIED_TIME")),
    ExportFormat(
        "mailerlite", _columns("Subscriber,Sent,Opens,Clicks,Subscribed"), ignored=_columns("State,Subscribed")
    ),
    ExportFormat("mailerlite", _columns("Email,Sent,Opens,Clicks,Subscribed"), ignored=_columns("State,Subscribed")),
    ExportFormat("campaign monitor", _columns("Email Address,Name,Date"), leaving_time=_columns("Date"), per_list=True),
    ExportFormat(
        "constant contact",
        _columns("Email status,Email permission status,Email update source"),
        words={"temp hold": ListStatus.UNDELIVERABLE},
    ),
    ExportFormat(
        "kit",
        _columns("email_address,first_name,state,created_at"),
        words={"inactive": ListStatus.NOT_MEMBER, "cancelled": ListStatus.UNSUBSCRIBED},
    ),
    ExportFormat("customer.io", _columns("cio_id,email")),
    ExportFormat("iterable", _columns("email,unsubscribedChannelIds")),
    ExportFormat(
        "dotdigital",
        _columns("Email,OptInType,EmailType"),
        words={
            "softbounced": ListStatus.ACTIVE,
            "hardbounced": ListStatus.UNDELIVERABLE,
            "ispcomplained": ListStatus.COMPLAINED,
            "directcomplaint": ListStatus.COMPLAINED,
            "pendingoptin": ListStatus.PENDING,
            "nosubscription": ListStatus.NOT_MEMBER,
            "mailblocked": ListStatus.BLOCKED,
            "sharedsuppression": ListStatus.BLOCKED,
            "domainsuppression": ListStatus.BLOCKED,
        },
    ),
    ExportFormat(
        "sendgrid bounces",
        _columns("status,reason,email,created"),
        exact=True,
        ignored=_columns("status,reason"),
        whole=ListStatus.UNDELIVERABLE,
    ),
    ExportFormat(
        "sendgrid invalid emails",
        _columns("reason,email,created"),
        exact=True,
        ignored=_columns("reason"),
        whole=ListStatus.UNDELIVERABLE,
    ),
    ExportFormat(
        "sendgrid spam reports",
        _columns("ip,email,created"),
        exact=True,
        whole=ListStatus.COMPLAINED,
        leaving_time=_columns("created"),
    ),
    ExportFormat("sendgrid", _columns("EMAIL,CONTACT_ID,CREATED_AT,UPDATED_AT"), ignored=_columns("STATE")),
    ExportFormat("listmonk", _columns("uuid,email,name,attributes,status")),
    ExportFormat("mautic", _columns("id,firstname,email,last_active,attribution"), ignored=_columns("state")),
    ExportFormat("ghost", _columns("email,subscribed_to_emails,complimentary_plan")),
    ExportFormat("mailman", _columns("Subscribed Addresses"), per_list=True),
)
"""The first whose marks a file has."""

UNKNOWN: Final = ExportFormat("by its columns", frozenset())
ADDRESS_LIST: Final = ExportFormat("mailman", frozenset(), per_list=True)
"""A file without a header: one address a line, as a list manager writes them."""


def format_of(header: Sequence[str]) -> ExportFormat:
    """The export that a file is, by its header."""
    columns = frozenset(column_of(name) for name in header if name.strip())
    for each in FORMATS:
        if each.marks <= columns and (not each.exact or columns == each.marks):
            return each
    return UNKNOWN


FILE_NAMES: Final = (
    ("unsubscrib", ListStatus.UNSUBSCRIBED),
    ("opt-out", ListStatus.UNSUBSCRIBED),
    ("optout", ListStatus.UNSUBSCRIBED),
    ("opted-out", ListStatus.UNSUBSCRIBED),
    ("cleaned", ListStatus.UNDELIVERABLE),
    ("bounce", ListStatus.UNDELIVERABLE),
    ("spam", ListStatus.COMPLAINED),
    ("complain", ListStatus.COMPLAINED),
    ("blocklist", ListStatus.BLOCKED),
    ("blacklist", ListStatus.BLOCKED),
    ("suppress", ListStatus.BLOCKED),
    ("nonsubscribed", ListStatus.NOT_MEMBER),
    ("abgemeldet", ListStatus.UNSUBSCRIBED),
)
"""Parts of a file's name by which platforms tell what everybody in it is."""


def whole_of(file_name: str) -> ListStatus | None:
    """Return the status of all people in a file, by the file's name; None: the name holds none."""
    name = file_name.casefold().replace("_", "-")
    return next((status for part, status in FILE_NAMES if part in name), None)
