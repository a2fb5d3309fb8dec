"""The console as a Starlette application: the pages of the table, and their changes as server-sent events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import Response

from console.access.begun_logins import BegunLogins
from console.access.gate import PAGE_ASKED, Gate, Handler, Visit
from console.access.provider import Provider
from console.access.sessions import Sessions
from console.access.users import Users
from console.account_pages import AccountPages
from console.change_pages import ChangePages
from console.company_doors import CompanyDoors
from console.desk import Desk
from console.doors import Doors
from console.headers import SecurityHeaders
from console.inbox import Recipient, mails_for
from console.list_pages import ListPages
from console.listener_pages import ListenerPages
from console.live_pages import LivePages
from console.login_page import LoginPage
from console.meters import MeteredAnswers
from console.people_pages import PeoplePages
from console.person_changes import PersonChanges
from console.record_pages import RecordPages
from console.site_loads import LoadCounts
from console.site_pages import SitePages
from console.static_files import static_files
from console.trial_pages import TrialPages
from console.view import View
from console.watch import Watch
from console.write_pages import WritePages
from contracts.rows import DirectoryEntry

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HOSTS: Final = ("127.0.0.1", "localhost")
"""Under these names, and the one that the installation gives it: a foreign name that its owner lets point at this
machine opens nothing (DNS rebinding)."""


@dataclass(frozen=True, slots=True)
class PageLinks:
    """The targets of the pages' links. ``shop`` None: this is not the demo. ``metrics``: the collector's."""

    collector: str
    shop: str | None
    metrics: LoadCounts = field(default_factory=lambda: LoadCounts(()))


@dataclass(frozen=True, slots=True)
class Site:
    """Where the console is reached, and what it is given: its users, its clock, its chance.

    ``host``: the name of the public address, beside those of loopback. ``secure``: browsers come by HTTPS alone.
    """

    users: Users
    now_ms: Callable[[], int]
    unique: Callable[[], str]
    host: str = ""
    secure: bool = False
    local: bool = True
    """Whether name and password are a way in."""
    provider: Provider | None = None
    """The company's login."""


def console_app(
    watch: Watch, links: PageLinks, token_of: Callable[[DirectoryEntry], str], site: Site, desk: Desk
) -> Starlette:
    """The application. ``token_of`` seals a person's link token."""
    view, workspaces = desk.view, frozenset(desk.workspaces)
    gate = Gate(site.users, Sessions(site.now_ms, site.unique), view.refused, workspaces, secure=site.secure)
    company = CompanyDoors(
        gate,
        page := login_page(view, site, workspaces if links.shop is not None else frozenset()),
        desk.audit,
        BegunLogins(site.now_ms, site.unique),
        site.provider,
    )
    doors = Doors(gate, page, desk.audit, company.farewell)

    def today() -> date:
        return datetime.fromtimestamp(site.now_ms() / 1_000, UTC).date()

    writing = WritePages(desk)
    handlers = {
        **doors.handlers(),
        **company.handlers(),
        **demo_handlers(view, watch, links, token_of),
        **LivePages(desk, watch, gate).handlers(),
        **ListPages(desk).handlers(),
        **ListenerPages(desk, today).handlers(),
        **ChangePages(desk).handlers(),
        **TrialPages(desk, today).handlers(),
        **writing.handlers(),
        **RecordPages(desk, watch.picture.recordings, site.unique, writing.unsaved).handlers(),
        **PeoplePages(desk).handlers(),
        **PersonChanges(desk, links.collector).handlers(),
        **SitePages(desk, links.collector, links.metrics).handlers(),
        **AccountPages(desk).handlers(),
    }
    return Starlette(
        routes=[*gate.routes(handlers), static_files()],
        middleware=[
            Middleware(MeteredAnswers, now_ms=site.now_ms, page_key=PAGE_ASKED),
            Middleware(SecurityHeaders, policy=POLICY, referrer="same-origin"),
            Middleware(
                TrustedHostMiddleware,
                allowed_hosts=[*HOSTS, *([site.host] if site.host else [])],
                www_redirect=False,
            ),
        ],
    )


def login_page(view: View, site: Site, demo: frozenset[str]) -> LoginPage:
    """The login's page with the installation's ways in."""
    called = site.provider.settings.label if site.provider is not None else ""
    return LoginPage(view, demo, local=site.local, company=called)


def demo_handlers(
    view: View, watch: Watch, links: PageLinks, token_of: Callable[[DirectoryEntry], str]
) -> Mapping[str, Handler]:
    """The first page, and the demo's inbox: the one page that has anybody's link."""

    async def home(visit: Visit) -> Response:
        return view.page(visit, "home", shop=links.shop)

    async def inbox(visit: Visit) -> Response:
        if links.shop is None:
            return view.page(visit, "inbox", demo=False, mails=[])
        with watch.lock:
            entries = sorted(watch.picture.people.values(), key=lambda entry: entry.name)
        people = [Recipient(entry.name, token_of(entry)) for entry in entries[:50]]
        mails = mails_for(people, shop_url=links.shop, collector_url=links.collector)
        answer = view.page(visit, "inbox", demo=True, mails=mails)
        if not mails:
            # The directory is read from the log after the start: an inbox without anybody looks again by itself.
            answer.headers["refresh"] = "1"
        return answer

    return {"home": home, "inbox": inbox}
