"""Numbers with their nouns, as people read them."""

from __future__ import annotations


def counted(count: int, one: str, more: str = "") -> str:
    """A number with its noun: ``1 list``, ``1,200 people``. ``more``: the plural; absent: with an s."""
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"
