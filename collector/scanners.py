"""Signs that a request for a mail's link or picture came from a machine (DESIGN 5). Signs only: the flow decides."""

from __future__ import annotations

import re
from typing import Final

_SCANNERS: Final = re.compile(
    r"(?i)bot\b|crawler|spider|proofpoint|mimecast|barracuda|safelinks|trendmicro|symantec|fortinet|sophos|zscaler"
    r"|urlscan|python-requests|python-urllib|curl/|wget|go-http-client|java/|okhttp|headlesschrome|preview"
)
_PROXIES: Final = re.compile(r"(?i)googleimageproxy|yahoomailproxy|outlook-image|applemail.*proxy|ggpht")


def scanner_sign(method: str, user_agent: str) -> str:
    """Why a click looks like a scanner's; empty where it does not."""
    if method == "HEAD":
        return "head_request"
    if not user_agent.strip():
        return "no_user_agent"
    return "known_agent" if _SCANNERS.search(user_agent) else ""


def is_proxy(user_agent: str) -> bool:
    """Whether a picture was fetched by a mail provider's proxy, not by a person's mail client."""
    return not user_agent.strip() or bool(_PROXIES.search(user_agent) or _SCANNERS.search(user_agent))
