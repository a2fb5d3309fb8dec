"""``python -m segma.flows``: ``recognise`` and ``follow`` in one process, until SIGTERM."""

from __future__ import annotations

import fcntl
import signal
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import structlog
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from segma.contracts.codec import to_json
from segma.contracts.errors import AlreadyRunning, ConfigError, Problem, SegmaError
from segma.contracts.topics import account_topic, fixed_topics
from segma.flows.changelog import Changelog
from segma.flows.config import FlowSettings, load_shared
from segma.flows.dataflow import build
from segma.flows.source import Outside
from segma.transport import open_log
from segma.transport.config import load_installation, settings_of


def main() -> None:
    """Run the flow."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    structlog.configure(
        processors=[structlog.processors.TimeStamper(fmt="iso"), structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        run(settings_of(FlowSettings), stop)
    except SegmaError as error:
        click.echo(f"segma.flows: {error}", err=True)
        sys.exit(1)


def run(settings: FlowSettings, stop: threading.Event) -> None:
    """Run until ``stop`` is set. A drained flow has saved everything: nothing repeats at the next start."""
    installation = load_installation(settings.config)
    shared = load_shared(installation, beside=settings.config)
    store = settings.data / "recovery"
    store.mkdir(parents=True, exist_ok=True)
    lock = (store / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise AlreadyRunning(f"another flow uses {store}") from None
    check_shape(store, installation.partitions, settings.groups)
    if not list(store.glob("part-*.sqlite3")):
        init_db_dir(store, 1)  # type: ignore[no-untyped-call]
    log = open_log(settings)
    accounts = [account_topic(name, own) for name, each in installation.workspaces.items() for own in each.accounts]
    log.ensure([*fixed_topics(installation.partitions), *accounts])

    def pause(seconds: float) -> None:
        threading.Event().wait(seconds)

    outside = Outside(stop.is_set, lambda: datetime.now(UTC), pause)
    changelog = Changelog(store / "states")
    flow = build(log, shared, groups=settings.groups, outside=outside, changelog=changelog)
    try:
        cli_main(  # type: ignore[no-untyped-call]
            flow,
            epoch_interval=timedelta(milliseconds=settings.epoch_ms),
            recovery_config=RecoveryConfig(str(store)),  # type: ignore[no-untyped-call]
        )
    finally:
        changelog.close()
        log.close()


def check_shape(store: Path, partitions: int, groups: int) -> None:
    """Partitions and groups are frozen for the life of a recovery store. Raises :class:`ConfigError`."""
    path = store / "shape.json"
    shape = to_json({"groups": groups, "partitions": partitions})
    if not path.exists():
        path.write_bytes(shape)
    found = path.read_bytes()
    if found != shape:
        raise ConfigError(
            [Problem(str(path), "", f"the store was made for {found.decode()}", f"not {shape.decode()}: set it back")]
        )


if __name__ == "__main__":
    main()
