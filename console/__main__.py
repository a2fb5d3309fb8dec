"""``python -m console``: the console, and the demo's shop on a port of its own."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading

import structlog
import uvicorn
from prometheus_client import start_http_server
from starlette.types import ASGIApp

from analytics.config import AnalyticsSettings, connect
from console.access.provider import Provider
from console.access.users import Users
from console.app import PageLinks, Site, console_app
from console.audit import Audit
from console.board import Board
from console.commands import Commands
from console.config import ConsoleSettings, secret_of, unguessable
from console.desk import Desk
from console.history import SILENT_S, History
from console.picture import Picture
from console.shop import shop_app
from console.site_loads import LoadCounts, each_behind
from console.trials import Trials
from console.view import View
from console.watch import Watch
from console.writing.drafts import Drafts
from contracts.errors import LogError
from contracts.installation import Installation
from contracts.log import Log
from contracts.rows import DirectoryEntry
from contracts.tokens import Claims
from contracts.topics import topics_of
from flows.language.files import load_actions
from transport import open_log
from transport.config import load_installation, load_keyring, read_secret, settings_of, wall_clock_ms
from transport.private import keep_files_private
from transport.threads import end_with_any_thread

logger = structlog.get_logger()


class SignallessServer(uvicorn.Server):
    """One of two servers in a process: the process's signals are handled once, for both."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        """Leave the signals alone."""
        yield


async def serve(apps: list[tuple[ASGIApp, int]], host: str) -> None:
    """Serve until SIGTERM or SIGINT; open streams get a second to end."""
    servers = [
        SignallessServer(uvicorn.Config(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=1))
        for app, port in apps
    ]

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await asyncio.gather(*(server.serve() for server in servers))


def first_site_key(installation: Installation) -> str:
    """The key that the demo's shop uses: the first site's."""
    keys = [site.key for workspace in installation.workspaces.values() for site in workspace.sites.values()]
    return keys[0] if keys else ""


def desk_of(settings: ConsoleSettings, installation: Installation, log: Log) -> Desk:
    """What the pages are made with."""
    history = settings_of(AnalyticsSettings)
    workspaces = installation.workspaces
    beside = settings.config
    commands = Commands([sys.executable, "-m", "cli"], beside.parent)
    actions = {name: load_actions(beside.parent / each.actions) for name, each in workspaces.items()}
    secrets = {name: read_secret(each.secret, beside=beside, field="secret") for name, each in workspaces.items()}
    return Desk(
        View(demo=settings.console_shop_port is not None),
        log,
        History(lambda: connect(history, SILENT_S), wall_clock_ms),
        Board(log, actions, wall_clock_ms),
        Audit(log, wall_clock_ms, unguessable),
        workspaces,
        secrets,
        {name: Drafts(beside.parent / each.listeners) for name, each in workspaces.items()},
        commands,
        Trials(commands, wall_clock_ms),
        wall_clock_ms,
    )


def read_ahead(desk: Desk) -> None:
    """Read the listeners' texts, which takes seconds where there are hundreds, before somebody waits for them."""
    try:
        for workspace in desk.workspaces:
            desk.board.newest(workspace)
    except LogError as error:
        logger.warning("the listeners are read when they are asked for", error=str(error))


def provider_of(settings: ConsoleSettings, installation: Installation) -> Provider | None:
    """The company's login, where the installation has one. Raises :class:`ConfigError`."""
    oidc = installation.login.oidc
    if oidc is None:
        return None
    return Provider(oidc, secret_of(oidc, settings), settings.console_url, wall_clock_ms)


def main() -> None:
    """Run."""
    keep_files_private()
    end_with_any_thread()
    settings = settings_of(ConsoleSettings)
    installation = load_installation(settings.config)
    if settings.console_metrics_port:
        start_http_server(settings.console_metrics_port, settings.metrics_host)
    keyring = load_keyring(installation, beside=settings.config)
    provider = provider_of(settings, installation)

    def token_of(entry: DirectoryEntry) -> str:
        return keyring.seal(Claims(entry.workspace, entry.subscriber, entry.imported_at_s))

    shop_port = settings.console_shop_port
    shop_url = f"http://127.0.0.1:{shop_port}" if shop_port else None
    log = open_log(settings)
    log.ensure(topics_of(installation))
    # NOTE: the demo's few people and lists are shown from its beginning; elsewhere only what happens while one looks.
    watch = Watch(log, Picture(demo=shop_port is not None), from_end=shop_port is None)
    watch.start()
    desk = desk_of(settings, installation, log)
    threading.Thread(target=read_ahead, args=(desk,), daemon=True).start()
    site = Site(
        Users(settings.config),
        wall_clock_ms,
        unguessable,
        host=settings.console_name,
        secure=settings.console_secure,
        local=installation.login.local,
        provider=provider,
    )
    links = PageLinks(settings.collector_url, shop_url, LoadCounts(settings.metrics_urls, behind=each_behind))
    apps: list[tuple[ASGIApp, int]] = [(console_app(watch, links, token_of, site, desk), settings.console_port)]
    if shop_port:
        site_key = first_site_key(installation)
        own = frozenset(installation.workspaces)
        shop = shop_app(collector=settings.collector_url, site=site_key, watch=watch, workspaces=own)
        apps.append((shop, shop_port))
    try:
        asyncio.run(serve(apps, settings.console_host))
    finally:
        watch.stop()
        desk.close()
        log.close()


if __name__ == "__main__":
    main()
