"""Whose an address is, when people change theirs: by the ids that are made of addresses."""

from __future__ import annotations

from contracts.rows import DirectoryEntry
from contracts.tokens import subscriber_id


def ids_beside(entry: DirectoryEntry, workspace_secret: bytes) -> list[str]:
    """The ids beside the person's own that are made of their addresses: of the one they have now, and of former ones.

    The person's own id was made of the first.
    """
    made = (subscriber_id(workspace_secret, entry.address), *entry.former)
    return [each for each in dict.fromkeys(made) if each != entry.subscriber]
