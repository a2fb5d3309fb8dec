"""The body of a request, as JSON text may come: compressed, with a byte order mark, under any media type."""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Mapping
from typing import Final

import falcon.asgi

from contracts.errors import BadInput
from contracts.reasons import Reason

_GZIP: Final = zlib.MAX_WBITS | 16
_RAW: Final = -zlib.MAX_WBITS
_PACKINGS: Final[Mapping[str, str]] = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
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
    if names and (len(names) > 1 or names[0] not in _PACKINGS):
        raise BadInput(Reason.UNSUPPORTED_MEDIA, "send the body as it is, or with Content-Encoding: gzip or deflate")
    return (_unpacked(body, _PACKINGS[names[0]], limit) if names else body).removeprefix(codecs.BOM_UTF8)


def _unpacked(body: bytes, packing: str, limit: int) -> bytes:
    reader = zlib.decompressobj(_window(body, packing))
    try:
        text = reader.decompress(body, limit + 1)
    except zlib.error:
        raise BadInput(Reason.UNSUPPORTED_MEDIA, f"Content-Encoding says {packing}, and the body is none") from None
    if len(text) > limit:
        raise BadInput(Reason.TOO_LARGE, f"more than {limit} bytes behind {packing}")
    if not reader.eof or reader.unused_data:
        raise BadInput(
            Reason.UNSUPPORTED_MEDIA, f"Content-Encoding says {packing}, and the body is cut off or followed"
        )
    return text


def _window(body: bytes, packing: str) -> int:
    """What zlib is told of a body. ``deflate`` is zlib's format by the standard; some senders leave its frame out."""
    if packing == "gzip":
        return _GZIP
    framed = len(body) > 1 and body[0] & 0x0F == zlib.DEFLATED and int.from_bytes(body[:2]) % 31 == 0
    return zlib.MAX_WBITS if framed else _RAW


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
