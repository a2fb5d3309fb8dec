"""Who joined a list by themselves, as a mail's link or the customer's server says (SEMANTICS 8.1, 5). Pure.

An event ``list_joined`` with ``account`` and ``list`` lifts what the person had left there before. It is believed where
a link or the server vouches for it, and where it says nothing else of who did it than ``by: person``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.accounts import Fact, Veto
from contracts.events import Event, Trust
from contracts.membership import LIST_JOINED, PERSON


def joining_fault(properties: Mapping[str, Any]) -> str:
    """What is wrong with the properties of such an event, for a person to read; empty: nothing."""
    account, list_name, by = (properties.get(name, "") for name in ("account", "list", "by"))
    if not isinstance(account, str) or not account:
        return "list_joined: account: the account's name is missing"
    return "" if isinstance(list_name, str) and isinstance(by, str) else "list_joined: list, by: not a text"


def joining_of(event: Event) -> Veto | None:
    """The joining that an event tells; None: it is another event, or nobody vouches that the person did it.

    Without a list it is one of the account as a whole, and opens no list that they had left.
    """
    told = event.properties
    if event.action != LIST_JOINED or event.stitched or event.trust.level < Trust.TOKEN.level:
        return None
    if joining_fault(told) or told.get("by", PERSON) != PERSON:
        return None
    return Veto(
        event.workspace,
        str(told["account"]),
        event.subscriber,
        str(told.get("list", "")),
        event.occurred_at_ms,
        source="server",
        fact=Fact.JOINED,
    )
