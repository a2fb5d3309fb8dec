"""What a request says of where it came from and where it wants to go, and what is believed of it. Pure, but for the
reading of a form's body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

MAX_FORM_BYTES: Final = 65_536
MAX_FIELDS: Final = 100
LONG_FORM_BYTES: Final = 1024 * 1024
LONG_FIELDS: Final = 3_000
"""Of a form that holds a whole listener, twice as YAML and once as cells."""
FORM: Final = "application/x-www-form-urlencoded"
_PLACE: Final = re.compile(r"/(?!/)[A-Za-z0-9_.~/@%+-]*(?:\?[A-Za-z0-9_.~=&%+-]*)?")


class BadForm(ValueError):
    """The body is no form of ours: another type, too long, or not UTF-8."""


def place_here(wanted: str) -> str:
    """A path of this console to go on to; whatever is not plainly one becomes the first page."""
    return wanted if len(wanted) <= 2_000 and _PLACE.fullmatch(wanted) else "/"


def is_from_here(headers: Mapping[str, str], scheme: str) -> bool:
    """Whether a request that changes something was sent by a page of this console, as the browser says itself.

    Browsers say it in ``Sec-Fetch-Site`` where they trust the connection, else in ``Origin``; one that says neither is
    not believed.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return headers.get("origin") == f"{scheme}://{headers.get('host', '')}"


async def form_of(request: Request, *, long: bool = False) -> dict[str, str]:
    """The fields of a form; of a name that stands twice the last. Raises :class:`BadForm`.

    ``long``: it may be one of :data:`LONG_FORM_BYTES` and :data:`LONG_FIELDS`.
    """
    most_bytes, most_fields = (LONG_FORM_BYTES, LONG_FIELDS) if long else (MAX_FORM_BYTES, MAX_FIELDS)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise BadForm("not a form")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most_bytes:
            raise BadForm("too long")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=most_fields, errors="strict"))
    except ValueError as error:
        raise BadForm("not a form") from error
