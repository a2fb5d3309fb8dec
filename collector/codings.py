"""Which content coding an answer has, by the request's ``Accept-Encoding`` (RFC 9110, 12.5.3)."""

from __future__ import annotations

import re
from collections.abc import Collection

IDENTITY = "identity"
_ASKED = re.compile(r"\s*([!#$%&'*+.^_`|~\w-]+)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?", re.ASCII | re.IGNORECASE)


def coding_for(accepted: str | None, offered: Collection[str]) -> str:
    """The coding of ``offered`` that the client likes best, the first of equals; ``identity`` where it takes none.

    What is not well-formed accepts nothing, and without the header nothing is coded: whoever says nothing may not be
    able to unpack.
    """
    weights = {}
    for part in (accepted or "").split(","):
        if asked := _ASKED.fullmatch(part):
            weights[asked[1].lower().removeprefix("x-")] = float(asked[2] or 1)
    liked = {coding: weights.get(coding, weights.get("*", 0.0)) for coding in offered}
    best = max(liked, key=liked.__getitem__, default=IDENTITY)
    weight = liked.get(best, 0.0)
    return best if weight and weight >= weights.get(IDENTITY, 0.0) else IDENTITY
