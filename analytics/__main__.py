"""``python -m analytics server``: the embedded ClickHouse; ``… loader``: rows into ClickHouse, until SIGTERM."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
import time
import uuid
from pathlib import Path

import click
import structlog
import uvicorn
from prometheus_client import start_http_server

from analytics.config import AnalyticsSettings, connect, embedded_passwords, port_file
from analytics.loader import Loader, holds_nothing, watch_history
from analytics.migrate import migrate_patiently
from contracts.errors import AlreadyRunning, SegmaError
from contracts.topics import fixed_topics
from transport import open_log
from transport.config import load_installation, settings_of, wall_clock_ms
from transport.private import keep_files_private, open_data
from transport.threads import end_with_any_thread


@click.group()
def main() -> None:
    """The history's processes."""
    keep_files_private()
    end_with_any_thread()
    structlog.configure(
        processors=[structlog.processors.TimeStamper(fmt="iso"), structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


@main.command("server")
def server_command() -> None:
    """Serve the embedded ClickHouse on loopback."""
    from analytics.embedded.directory import DataDirectory  # noqa: PLC0415

    try:
        settings = settings_of(AnalyticsSettings)
        passwords = embedded_passwords(settings)
        directory = DataDirectory(settings.embedded)
        port_file(settings).write_text(f"{settings.clickhouse_port}\n", "ascii")
    except SegmaError as error:
        click.echo(f"analytics: {error}", err=True)
        sys.exit(1)
    _close_in(directory.path, settings.clickhouse_port)
    os.environ["TMPDIR"] = str(directory.temporary)

    from analytics.embedded.engine import Engine  # noqa: PLC0415 - the import starts threads: after the walls stand
    from analytics.embedded.long_urls import LongUrls  # noqa: PLC0415
    from analytics.embedded.server import KEEP_ALIVE_S, ServerOptions, clickhouse_app  # noqa: PLC0415
    from analytics.embedded.sessions import Sessions  # noqa: PLC0415

    engine = Engine(directory.path, directory.grants)
    connection = engine.connect()
    # NOTE: before anybody asks: a client that names a database which is not there yet is refused.
    connection.query(f"CREATE DATABASE IF NOT EXISTS {settings.clickhouse_database}")
    version, timezone = connection.query("SELECT version(), timezone()")[0].decode().split()
    connection.close()
    limits = {
        "max_memory_usage": str(settings.clickhouse_memory_bytes),
        "max_execution_time": str(settings.clickhouse_query_s),
    }
    sessions = Sessions(engine, elapsed_s=time.monotonic, database=settings.clickhouse_database, limits=limits)
    options = ServerOptions(passwords, settings.clickhouse_port, lambda: str(uuid.uuid4()))
    app = clickhouse_app(sessions, options, version=version, timezone=timezone)
    # NOTE: no access log: a query's text can hold what somebody looks for.
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=settings.clickhouse_port,
        log_level="warning",
        access_log=False,
        http=LongUrls,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=5,
        server_header=False,
    )
    engine.close()
    directory.close()


def _close_in(path: Path, port: int) -> None:
    """Leave this process the system's and Python's files to read, ``path`` to write and ``port`` to serve."""
    from analytics.embedded.cage import landlock  # noqa: PLC0415

    rooms = Path(__file__).resolve().parents[1]
    system = ("/usr", "/lib", "/lib64", "/proc", "/sys", "/etc/ld.so.cache", "/etc/localtime", "/etc/timezone")
    devices = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
    read: list[str | Path] = [
        *system,
        sys.prefix,
        sys.base_prefix,
        *(rooms / room for room in ("analytics", "contracts", "transport")),
    ]
    applied = landlock.restrict([Path(each) for each in read], [path, *(Path(each) for each in devices)], [port])
    if not applied:
        structlog.get_logger("server").warning("landlock_unavailable", detail="the kernel holds nothing back")


@main.command("loader")
def loader_command() -> None:
    """Load the log's rows into ClickHouse; the database is brought up to date first."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = settings_of(AnalyticsSettings)
        if settings.loader_metrics_port:
            start_http_server(settings.loader_metrics_port, settings.metrics_host)
        _load(settings, stop)
    except SegmaError as error:
        click.echo(f"analytics: {error}", err=True)
        sys.exit(1)


def _load(settings: AnalyticsSettings, stop: threading.Event) -> None:
    open_data(settings.data)
    lock = (settings.data / "history.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise AlreadyRunning("another process loads the history of this installation") from None

    def pause(seconds: float) -> None:
        stop.wait(seconds)

    clickhouse = connect(settings)
    if not migrate_patiently(clickhouse, settings, pause=pause, stopping=stop.is_set):
        return
    log = open_log(settings)
    log.ensure(fixed_topics(load_installation(settings.config).partitions))
    from_start = holds_nothing(clickhouse)
    loader = Loader(log, clickhouse, now_ms=wall_clock_ms, pause=pause, stopping=stop.is_set, from_start=from_start)
    watch_history(loader.behind_s)
    try:
        loader.run()
    finally:
        loader.close()
        log.close()


if __name__ == "__main__":
    main()
