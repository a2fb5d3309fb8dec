"""Blocks of the format ArrowStream joined into one stream: the engine gives each block as a stream of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

END: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""What ends a stream. A message begins with the same four bytes and the length of its metadata."""


def joined(streams: Iterator[bytes]) -> Iterator[bytes]:
    """Yield one stream's pieces: the schema of the first stream, the batches of all. Nothing where there is none."""
    begun = False
    for stream in streams:
        # NOTE: the schema is a message without a body.
        schema_bytes = 8 + int.from_bytes(stream[4:8], "little")
        yield stream[schema_bytes if begun else 0 : -len(END)]
        begun = True
    if begun:
        yield END
