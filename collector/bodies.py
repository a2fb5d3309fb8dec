"""The body of a request, as JSON text may come: compressed, with a byte order mark, under any media type."""

from __future__ import annotations

import codecs
import re
import zlib
from typing import Final

import falcon.asgi

from contracts.errors import BadInput
from contracts.reasons import Reason

_GZIP: Final = zlib.MAX_WBITS | 16
_TEXT: Final = re.compile(r"(?:text/plain|application/json|[\w.-]+/[\w.-]+\+json|)", re.IGNORECASE)
_UTF8: Final = frozenset({"", "utf-8", "utf8", "us-ascii", "ascii"})


async def sent_body(req: falcon.asgi.Request, limit: int) -> bytes:
    """The body as it was sent, at most ``limit`` bytes. Raises :class:`BadInput` (``too_large``)."""
    if (req.content_length or 0) > limit:
        raise BadInput(Reason.TOO_LARGE, f"{req.content_length} bytes")
    body: bytes = await req.stream.read(limit + 1)
    if len(body) > limit:
        raise BadInput(Reason.TOO_LARGE, f"more than {limit} bytes")
    return body


def text_of(body: bytes, encoding: str, limit: int) -> bytes:
    """The text in a body: not compressed, without a mark in front. ``encoding``: the header ``Content-Encoding``.

    Raises :class:`BadInput`: ``unsupported_media``, or ``too_large`` for more than ``limit`` bytes of text.
    """
    names = [name for each in encoding.split(",") if (name := each.strip().lower()) not in {"", "identity"}]
    if names and (len(names) > 1 or names[0] not in {"gzip", "x-gzip"}):
        raise BadInput(Reason.UNSUPPORTED_MEDIA, "send the body as it is, or with Content-Encoding: gzip")
    return (_unpacked(body, limit) if names else body).removeprefix(codecs.BOM_UTF8)


def _unpacked(body: bytes, limit: int) -> bytes:
    reader = zlib.decompressobj(_GZIP)
    try:
        text = reader.decompress(body, limit + 1)
    except zlib.error:
        raise BadInput(Reason.UNSUPPORTED_MEDIA, "Content-Encoding says gzip, and the body is none") from None
    if len(text) > limit:
        raise BadInput(Reason.TOO_LARGE, f"more than {limit} bytes behind gzip")
    if not reader.eof or reader.unused_data:
        raise BadInput(Reason.UNSUPPORTED_MEDIA, "Content-Encoding says gzip, and the body is cut off or followed")
    return text


def media_fault(error: BadInput, content_type: str) -> BadInput:
    """Why a body could not be read: what its media type explains is told so, else the error as it is.

    A wrong type in front of JSON harms nobody, so the type is looked at only where the body is none.
    """
    media, _, parameters = content_type.partition(";")
    found = re.search(r"charset\s*=\s*\"?([\w.:-]*)", parameters, re.IGNORECASE)
    charset = found[1].lower() if found else ""
    if error.reason not in {Reason.NOT_UTF8, Reason.NOT_JSON} or (_TEXT.fullmatch(media.strip()) and charset in _UTF8):
        return error
    return BadInput(Reason.UNSUPPORTED_MEDIA, "the body must be JSON as UTF-8 text, of type application/json")
