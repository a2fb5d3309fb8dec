"""``python -m sinks --account workspace/account``: the delivery loop of one account, until SIGTERM."""

from __future__ import annotations

import fcntl
import signal
import sys
import threading

import click
import structlog
from prometheus_client import start_http_server

from contracts.errors import AlreadyRunning, SegmaError
from contracts.installation import Installation
from contracts.topics import topics_of
from sinks.config import SinkSettings, tokens_of
from sinks.delivery.guard import limits_of
from sinks.delivery.loop import Delivery
from sinks.delivery.traced import TracedSink
from sinks.registry import account_of, sink_of
from sinks.toolkit.rate_limit import RateLimit
from transport import open_log, open_tracer
from transport.config import Settings, load_installation, settings_of, wall_clock_ms
from transport.private import keep_files_private, open_data
from transport.threads import end_with_any_thread


@click.command()
@click.option("--account", required=True, help="workspace/account, as in segma.yaml.")
def main(account: str) -> None:
    """Deliver the commands of one account."""
    keep_files_private()
    end_with_any_thread()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    structlog.configure(
        processors=[structlog.processors.TimeStamper(fmt="iso"), structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        settings = settings_of(SinkSettings)
        if settings.sink_metrics_port:
            start_http_server(settings.sink_metrics_port, settings.metrics_host)
        deliver_account(settings, account, stop)
    except SegmaError as error:
        click.echo(f"sinks: {error}", err=True)
        sys.exit(1)


def deliver_account(settings: Settings, account: str, stop: threading.Event) -> None:
    """Deliver for an account until told to stop. Raises :class:`AlreadyRunning` where another process does."""
    installation = load_installation(settings.config)
    workspace, name, _ = account_of(installation, account)
    open_data(settings.data)
    with (settings.data / f"deliver.{workspace}.{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRunning(f"another process delivers for {account}") from None
        _deliver(settings, installation, account, stop)


def _deliver(settings: Settings, installation: Installation, account: str, stop: threading.Event) -> None:
    workspace, name, own = account_of(installation, account)

    def pause(seconds: float) -> None:
        stop.wait(seconds)

    log = open_log(settings)
    log.ensure(topics_of(installation))
    paces: list[RateLimit] = []
    sink = sink_of(installation, account, data=settings.data, pause=pause, config=settings.config, log=log, paces=paces)
    tracer = open_tracer(settings, "segma-deliver")
    delivery = Delivery(
        log,
        sink if tracer is None else TracedSink(sink, tracer, workspace=workspace, account=name, kind=own.sink),
        workspace=workspace,
        account=name,
        now_ms=wall_clock_ms,
        pause=pause,
        stopping=stop.is_set,
        limits=limits_of(own),
        token_of=tokens_of(installation, settings.config, own),
        spare=lambda: all(pace.spare() for pace in paces),
    )
    try:
        delivery.run()
    finally:
        delivery.close()
        log.close()
        if tracer is not None:
            tracer.close()


if __name__ == "__main__":
    main()
