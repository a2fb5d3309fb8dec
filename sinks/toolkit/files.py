"""Files that a platform makes of its people: read in bounds, packed or plain."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from typing import Final

from contracts.reasons import Reason
from sinks.base import Fate, Halt, Trouble

MAX_UNPACKED: Final = 64 * 1024 * 1024
"""Bytes of one file; what comes after them is another's fault than the people's, and no file."""
GZIP: Final = b"\x1f\x8b"


def csv_rows(data: bytes) -> Iterator[Mapping[str, str]]:
    """The rows of a CSV file with a header, in UTF-8, by their columns. Raises :class:`Halt` for one that is none."""
    try:
        reader = csv.DictReader(io.StringIO(_unpacked(data).decode("utf-8-sig")), strict=True)
        yield from reader
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error):
        raise Halt(Trouble(Reason.WRONG_ANSWER, Fate.AWAY, "a file that cannot be read")) from None


def _unpacked(data: bytes) -> bytes:
    if not data.startswith(GZIP):
        return data
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
        found = packed.read(MAX_UNPACKED + 1)
    if len(found) > MAX_UNPACKED:
        raise Halt(Trouble(Reason.WRONG_ANSWER, Fate.AWAY, "a file that is too large"))
    return found
