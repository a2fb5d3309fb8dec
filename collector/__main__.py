"""``python -m collector``: gunicorn with uvicorn workers (ADR 0003), until SIGTERM."""

from __future__ import annotations

import fcntl
import functools
import gc
import os
import resource
import secrets
import sys
from pathlib import Path
from typing import Any, ClassVar

import click
import structlog
from gunicorn.app.base import BaseApplication
from prometheus_client import Counter, start_http_server
from uvicorn_worker import UvicornWorker

from collector.app import create_app
from collector.capture_requests import Captured
from collector.config import CollectorSettings, load_bundle, load_proxies, load_sites
from collector.core import ClockAndIds, Core
from collector.front import Bounds, FrontProtocol, Gate
from collector.hooks import load_hooks
from collector.intake import Intake
from collector.platform_ids import Known
from collector.stored_events import StoredEvents
from contracts.errors import SegmaError
from contracts.log import Consumer, Log
from contracts.topics import CAPTURES, SUBSCRIBERS, topics_of
from transport import open_log, open_tracer
from transport.config import load_installation, settings_of, wall_clock_ms
from transport.private import keep_files_private, open_data
from transport.spool import Spool, check_spools
from transport.threads import end_with_any_thread

log_line = structlog.get_logger("collector")
OWN_FILES = 256
"""Of a worker beside its connections."""
GC_THRESHOLD = 50_000
"""Requests make no cycles that matter; looking for some after every 700 objects costs a tenth of the throughput."""


REFUSED = Counter(
    "segma_connections_refused_total", "Hung up on before any request was whole.", ["reason"], registry=None
)


class Worker(UvicornWorker):  # type: ignore[misc]
    """Uvicorn on uvloop and httptools; no access log: an address bar may hold a token."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "uvloop",
        "http": "httptools",
        "lifespan": "on",
        "access_log": False,
        "server_header": False,
        "date_header": False,
        "proxy_headers": False,
    }


class GunicornServer(BaseApplication):
    """Gunicorn, configured here and not from files."""

    def __init__(self, settings: CollectorSettings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Gunicorn's own settings."""
        settings = self._settings
        options: dict[str, Any] = {
            "bind": f"{settings.collector_host}:{settings.collector_port}",
            "workers": settings.collector_workers,
            "worker_class": Worker,
            "graceful_timeout": 10,
            "timeout": 60,
            "loglevel": "warning",
            "proc_name": "segma-collector",
            "control_socket_disable": True,
        }
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:
        """The application of one worker: everything that holds a thread or a file is opened behind the fork."""
        gc.set_threshold(GC_THRESHOLD)
        end_with_any_thread()
        settings = self._settings
        installation = load_installation(settings.config)
        sites = load_sites(installation, beside=settings.config)

        def open_intake() -> Intake:
            log = open_log(settings)
            spool = Spool(free_spool(settings), settings.spool_max_bytes)
            return Intake(log, spool)

        @functools.cache
        def followed() -> Log:
            """The log of what is followed, opened once: readers are opened again and again while brokers are away."""
            return open_log(settings)

        def open_reader() -> Consumer:
            return followed().reader(CAPTURES, strict=False)

        outside = ClockAndIds(wall_clock_ms, lambda: secrets.token_hex(8))

        def open_directory() -> Consumer:
            return followed().reader(SUBSCRIBERS, strict=False)

        hooks = load_hooks(installation, beside=settings.config)
        core = Core(
            sites,
            load_bundle(settings.sdk),
            outside,
            open_intake,
            Captured(open_reader),
            proxies=load_proxies(settings),
            stored_events=StoredEvents(settings.collector_remembered_events),
            tracer=open_tracer(settings, "segma-collector"),
        )
        core.meters.registry.register(REFUSED)
        serve_metrics(core, settings)
        return create_app(core, hooks, Known(hooks, open_directory, secrets=sites.secrets))


def serve_metrics(core: Core, settings: CollectorSettings) -> None:
    """Serve a worker's metrics, on the first free port from the one that the settings name."""
    if not settings.collector_metrics_port:
        return
    for port in range(settings.collector_metrics_port, settings.collector_metrics_port + settings.collector_workers):
        try:
            start_http_server(port, settings.metrics_host, registry=core.meters.registry)
        except OSError:
            continue
        return
    log_line.warning("metrics_not_served", port=settings.collector_metrics_port)


def free_spool(settings: CollectorSettings) -> Path:
    """The first spool that no other worker holds: what a killed worker left is drained by the next one."""
    directory = open_data(settings.data) / "spool"
    directory.mkdir(parents=True, exist_ok=True)
    number = 0
    while True:
        lock = (directory / f"{number}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            number += 1
            continue
        _held.append(lock)
        return directory / f"{number}.spool"


_held: list[Any] = []
"""Locks live as long as the worker."""


def raise_open_files(settings: CollectorSettings) -> None:
    """Let the process hold as many connections as the settings say, where the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.collector_max_connections + OWN_FILES
    if soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        if allowed < wanted:
            log_line.warning("fewer_connections", open_files=allowed, wanted=wanted)


def main() -> None:
    """Run the collector."""
    keep_files_private()
    structlog.configure(
        processors=[structlog.processors.TimeStamper(fmt="iso"), structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        settings = settings_of(CollectorSettings)
        installation = load_installation(settings.config)
        load_sites(installation, beside=settings.config)
        load_bundle(settings.sdk)
        load_proxies(settings)
        check_spools(settings.data / "spool")
        log = open_log(settings)
        log.ensure(topics_of(installation))
        log.close()
    except SegmaError as error:
        click.echo(f"collector: {error}", err=True)
        sys.exit(1)
    os.environ.pop("WEB_CONCURRENCY", None)  # ours decides
    raise_open_files(settings)
    proxies = load_proxies(settings)
    bounds = Bounds(
        connections=settings.collector_max_connections, connections_each=settings.collector_max_connections_each
    )
    gate = Gate(bounds, proxies.trusts, settings.proxy_protocol, lambda reason: REFUSED.labels(str(reason)).inc())
    Worker.CONFIG_KWARGS["http"] = functools.partial(FrontProtocol, gate=gate)
    GunicornServer(settings).run()


if __name__ == "__main__":
    main()
