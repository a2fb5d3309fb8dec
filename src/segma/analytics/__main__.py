"""``python -m segma.analytics server``: the embedded ClickHouse; ``… loader``: rows into ClickHouse, until SIGTERM."""

from __future__ import annotations

import secrets
import signal
import sys
import threading
import time

import click
import structlog
import uvicorn

from segma.analytics.config import AnalyticsSettings, embedded_passwords
from segma.contracts.errors import SegmaError
from segma.transport import open_log
from segma.transport.config import load_installation, settings_of, wall_clock_ms


@click.group()
def main() -> None:
    """The history's processes."""
    structlog.configure(
        processors=[structlog.processors.TimeStamper(fmt="iso"), structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


@main.command("server")
def server_command() -> None:
    """Serve the embedded ClickHouse on loopback."""
    from segma.analytics.desk import Desk  # noqa: PLC0415 - the engine is half a gigabyte: only where it is needed
    from segma.analytics.engine import Engine  # noqa: PLC0415
    from segma.analytics.server import Outside, clickhouse_app  # noqa: PLC0415

    try:
        settings = settings_of(AnalyticsSettings)
        passwords = embedded_passwords(settings)
        engine = Engine(settings.embedded)
    except SegmaError as error:
        click.echo(f"segma.analytics: {error}", err=True)
        sys.exit(1)
    connection = engine.connect()
    version, timezone = connection.query("SELECT version(), timezone()")[0].decode().split()
    connection.close()
    desk = Desk(
        engine,
        elapsed_s=time.monotonic,
        memory_bytes=settings.clickhouse_memory_bytes,
        query_s=settings.clickhouse_query_s,
    )
    outside = Outside(passwords, settings.clickhouse_port, lambda: secrets.token_hex(16))
    app = clickhouse_app(desk, outside, version=version, timezone=timezone)
    # NOTE: no access log: a query's text can hold what somebody looks for.
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=settings.clickhouse_port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=5,
        server_header=False,
    )
    engine.close()


if __name__ == "__main__":
    main()
