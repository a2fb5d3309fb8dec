"""The one table of the console's pages: path, method, and the least role that each asks for. Pure.

The application is built from it: a page that is not here does not exist.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple


class Role(IntEnum):
    """What a user may do in a workspace; each role may all that the ones before it may."""

    VIEWER = 1
    MARKETER = 2
    ENGINEER = 3

    @property
    def word(self) -> str:
        """Its name as it is written in files and on the command line."""
        return self.name.lower()


ROLES: Final = {role.word: role for role in Role}


class Page(NamedTuple):
    """One page. ``least`` None: anybody may, without a login. A ``{workspace}`` in the path: the role there counts,
    else the highest role that the user has anywhere.
    """

    name: str
    method: str
    path: str
    least: Role | None
    long: bool = False
    """Whether its form holds a whole listener."""


PAGES: Final = (
    Page("health", "GET", "/health", None),
    Page("login", "GET", "/login", None),
    Page("sign_in", "POST", "/login", None),
    Page("enter_demo", "POST", "/enter", None),
    Page("begin_oidc", "GET", "/oidc", None),
    Page("end_oidc", "GET", "/oidc/return", None),
    Page("sign_out", "POST", "/logout", Role.VIEWER),
    Page("home", "GET", "/", Role.VIEWER),
    Page("inbox", "GET", "/inbox", Role.MARKETER),
    Page("listeners", "GET", "/w/{workspace}/listeners", Role.VIEWER),
    Page("listener", "GET", "/w/{workspace}/listeners/{listener}", Role.VIEWER),
    Page("promote", "POST", "/w/{workspace}/listeners/{listener}/promote", Role.MARKETER),
    Page("end_listener", "POST", "/w/{workspace}/listeners/{listener}/end", Role.MARKETER),
    Page("pause_listener", "POST", "/w/{workspace}/listeners/{listener}/pause", Role.MARKETER),
    Page("resume_listener", "POST", "/w/{workspace}/listeners/{listener}/resume", Role.MARKETER),
    Page("confirm", "GET", "/w/{workspace}/listeners/{listener}/confirm", Role.MARKETER),
    Page("apply", "POST", "/w/{workspace}/listeners/{listener}/apply", Role.MARKETER),
    Page("roll_back", "POST", "/w/{workspace}/listeners/{listener}/roll-back", Role.MARKETER),
    Page("trial", "GET", "/w/{workspace}/listeners/{listener}/trial", Role.MARKETER),
    Page("try_out", "POST", "/w/{workspace}/listeners/{listener}/trial", Role.MARKETER),
    Page("write", "GET", "/w/{workspace}/write", Role.MARKETER),
    Page("rewrite", "POST", "/w/{workspace}/write", Role.MARKETER, long=True),
    Page("record", "GET", "/w/{workspace}/record", Role.MARKETER),
    Page("begin_recording", "POST", "/w/{workspace}/record", Role.MARKETER),
    Page("recording", "GET", "/w/{workspace}/record/{code}", Role.MARKETER),
    Page("recorded", "POST", "/w/{workspace}/record/{code}", Role.MARKETER),
    Page("people", "GET", "/w/{workspace}/people", Role.MARKETER),
    Page("look_up", "POST", "/w/{workspace}/people", Role.MARKETER),
    Page("person", "GET", "/w/{workspace}/people/{person}", Role.MARKETER),
    Page("person_confirm", "GET", "/w/{workspace}/people/{person}/confirm", Role.ENGINEER),
    Page("export", "POST", "/w/{workspace}/people/{person}/export", Role.ENGINEER),
    Page("link", "POST", "/w/{workspace}/people/{person}/link", Role.ENGINEER),
    Page("forget", "POST", "/w/{workspace}/people/{person}/forget", Role.ENGINEER),
    Page("list_sizes", "GET", "/w/{workspace}/lists", Role.VIEWER),
    Page("sites", "GET", "/w/{workspace}/sites", Role.VIEWER),
    Page("accounts", "GET", "/w/{workspace}/accounts", Role.VIEWER),
    Page("pause", "POST", "/w/{workspace}/accounts/{account}/pause", Role.ENGINEER),
    Page("resume", "POST", "/w/{workspace}/accounts/{account}/resume", Role.ENGINEER),
    Page("replay", "POST", "/w/{workspace}/letters/{number:int}/replay", Role.ENGINEER),
    Page("audit", "GET", "/w/{workspace}/audit", Role.ENGINEER),
    Page("lists", "GET", "/lists", Role.VIEWER),
    Page("events", "GET", "/events", Role.VIEWER),
    Page("filter_events", "POST", "/events", Role.VIEWER),
    Page("live_lists", "GET", "/live/lists", Role.VIEWER),
    Page("live_events", "GET", "/live/events", Role.VIEWER),
    Page("live_sites", "GET", "/live/sites", Role.VIEWER),
)
"""Beside them ``/static``: style and scripts, which hold nothing of anybody's."""
