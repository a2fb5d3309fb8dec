"""What the company's provider says of somebody, as a name and roles here. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from console.access.table import ROLES, Role
from contracts.installation import Oidc

PREFIX: Final = "oidc:"
"""Before the names that a provider gives: no user of the console's own file has a colon."""
_STRANGE: Final = re.compile(r"[^A-Za-z0-9._@-]")


def name_of(claims: Mapping[str, Any], settings: Oidc) -> str:
    """How pages and the trail call somebody: by the claim that the settings name, else by the provider's ``sub``.

    An address that the provider has not verified is nobody's name.
    """
    found = claims.get(settings.name_claim)
    verified = settings.name_claim != "email" or claims.get("email_verified") is True
    name = found if isinstance(found, str) and found.strip() and verified else str(claims["sub"])
    return PREFIX + _STRANGE.sub("-", name.strip())[:64]


def roles_of(claims: Mapping[str, Any], settings: Oidc) -> dict[str, Role]:
    """The highest role in each workspace that somebody's texts lead to; empty: none."""
    held: dict[str, Role] = {}
    for text in _texts_at(claims, settings.roles_claim):
        for workspace, word in settings.roles.get(text, {}).items():
            held[workspace] = max(ROLES[word], held.get(workspace, Role.VIEWER))
    return held


def _texts_at(claims: Mapping[str, Any], name: str) -> list[str]:
    found: Any = claims.get(name)
    if found is None and "." in name:
        found = claims
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    texts = [found] if isinstance(found, str) else found
    return [each for each in texts if isinstance(each, str)] if isinstance(texts, list) else []
