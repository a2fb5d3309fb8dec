"""Reads one email address out of a cell: an address that can be mailed, or the reason why it cannot."""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple
from urllib.parse import unquote

from email_validator import EmailNotValidError, validate_email

from contracts.tokens import INVISIBLE

MAX_CHARS: Final = 1_000
"""A cell longer than that is no address, whatever it holds; an address has at most 254 characters (RFC 5321)."""
_NAMED: Final = re.compile(r"^(?P<name>[^<>]*)<(?P<address>[^<>]*)>$")
_GUARDED: Final = re.compile(r"=?\"(?P<double>[^\"]*@[^\"]*)\"|'(?P<single>[^']*@[^']*)'")
_MAILTO: Final = re.compile(r"^mailto:([^?]*)(?:\?.*)?$", re.IGNORECASE | re.DOTALL)
_DIVIDING: Final = ",; \t\r\n"
"""Signs that stand behind an address in a list of them."""


class NotAnAddress(ValueError):
    """A cell without a usable address. The text says why and never repeats the cell."""


class Mailbox(NamedTuple):
    """An address and the name that stood beside it (``Zoe Z <zoe@example.org>``), else an empty one."""

    address: str
    name: str = ""


def mailbox_of(text: str, *, anywhere: bool = True) -> Mailbox:
    """The one address in a cell.

    Args:
        text: The cell: an address, ``Name <address>``, or a ``mailto:`` link.
        anywhere: Whether mail from anywhere must be able to reach it. False takes domains that only a network of its
            own knows (``corp.local``): what a platform holds as a member, it can send to.

    Raises:
        NotAnAddress: no address, more than one, or one that no mailbox can have.
    """
    text = _without_guard(text.translate(INVISIBLE).strip().strip("\u200c\u200d")).rstrip(_DIVIDING)
    if not text:
        raise NotAnAddress("no address")
    if len(text) > MAX_CHARS:
        raise NotAnAddress("longer than any address")
    name = ""
    if found := _NAMED.match(text):
        name, text = plain_text(found["name"]).strip("\"' "), found["address"].strip()
    if found := _MAILTO.match(text):
        text = unquote(found[1]).strip()
    text = text.rstrip(_DIVIDING).removesuffix(".")
    if "@" in name and name.casefold() != text.casefold():
        raise NotAnAddress("more than one address")
    # NOTE: the library refuses names of private networks; below a public one it checks only how they are written.
    suffix = "" if anywhere else ".example"
    try:
        valid = validate_email(text + suffix, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise NotAnAddress(_why_not(text)) from None
    local: str = valid.local_part
    if not any(sign.isalnum() for sign in local):
        raise NotAnAddress("a pattern, no mailbox")
    # NOTE: a domain written in its ASCII form stays so: webhooks and the platform's API name the person by that.
    domain: str = valid.ascii_domain if "@xn--" in text.lower() or ".xn--" in text.lower() else valid.domain
    return Mailbox(f"{local}@{domain.removesuffix(suffix)}", name)


def _without_guard(text: str) -> str:
    """A cell without what keeps a spreadsheet from reckoning with it: quotes, ``="…"``, an apostrophe in front."""
    if found := _GUARDED.fullmatch(text):
        return (found["double"] or found["single"]).strip()
    return text.removeprefix("'")


def plain_text(text: str) -> str:
    """A name without control characters, on one line, at most 200 characters."""
    kept = "".join(" " if unicodedata.category(sign) in {"Cc", "Zl", "Zp"} else sign for sign in text)
    return " ".join(kept.translate(INVISIBLE).split())[:200]


def _why_not(text: str) -> str:
    """The reason in a few words of ours: the library's own text repeats parts of the address."""
    if text.count("@") > 1:
        return "more than one address"
    local, at, domain = text.rpartition("@")
    if not at:
        return "no email address"
    if not local.strip() or not domain.strip(" >"):
        return "half an address"
    return "no address that mail could reach"
