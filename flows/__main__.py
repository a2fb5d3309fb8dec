"""``python -m flows``: ``recognise`` and ``follow`` in one process, until SIGTERM."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import click
import structlog
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main
from prometheus_client import start_http_server

from contracts.errors import LogUnavailable, SegmaError
from contracts.installation import Installation
from contracts.log import Log
from contracts.topics import BEACONS, EVENTS, topics_of
from flows.config import FlowSettings, check_share, load_shared, with_listeners_of
from flows.dataflow import build
from flows.operators.former_names import know_former_names
from flows.operators.meters import watch_state
from flows.operators.source import ProcessContext
from flows.state.at_work import claim_store
from flows.state.changelog import Changelog
from flows.state.recovery_dir import LAYOUT, StoreShape, directory_of, fingerprint, locked
from flows.versions.retention import check_retention
from transport import open_log, open_tracer
from transport.config import load_installation, read_secret, settings_of, wall_clock_ms
from transport.private import keep_files_private
from transport.threads import end_with_any_thread

COLLECT_EVERY = (100_000, 20, 50)
"""PERF: states hold no cycles, so the collector finds nothing among millions of them; with Python's own thresholds it
took a fifth of the time to look."""
STOP_S = 9.0
"""How long a stop may take: below the ten seconds after which a supervisor kills."""
log_line = structlog.get_logger("flows")


def main() -> None:
    """Run the flow."""
    keep_files_private()
    end_with_any_thread()
    gc.set_threshold(*COLLECT_EVERY)
    structlog.configure(
        processors=[structlog.processors.TimeStamper(fmt="iso"), structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        serve(settings_of(FlowSettings))
    except SegmaError as error:
        click.echo(f"flows: {error}", err=True)
        sys.exit(1)


def serve(settings: FlowSettings) -> None:
    """Run until SIGTERM or SIGINT. Raises what :func:`run` does."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _ask_to_stop(stop))
    run(settings, stop)


def _ask_to_stop(stop: threading.Event) -> None:
    """Let the flow drain; where it cannot (the log is away), end all the same: the last snapshot stands."""
    if not stop.is_set():
        stop.set()
        timer = threading.Timer(STOP_S, _give_up)
        timer.daemon = True
        timer.start()


def _give_up() -> None:
    log_line.error("not_drained", after_s=STOP_S, detail="what came since the last snapshot is read again")
    # NOTE: Bytewax cannot be interrupted from outside; what it holds beyond the snapshot is in the log.
    os._exit(1)


def run(settings: FlowSettings, stop: threading.Event) -> None:
    """Run until ``stop`` is set. A drained flow has saved everything: nothing repeats at the next start."""
    installation = load_installation(settings.config)
    check_share(settings.flow_index, settings.flow_of, installation.partitions)
    shared = load_shared(installation, beside=settings.config)
    with locked(directory_of(settings.data, settings.flow_index, settings.flow_of)) as store:
        log = open_log(settings)
        log.ensure(topics_of(installation))
        check_retention(log, installation, beside=settings.config)
        claim_store(log, store, shape_of(log, installation, settings))
        shared = with_listeners_of(
            log, shared, installation, beside=settings.config, now_ms=wall_clock_ms(), first=settings.flow_index == 0
        )
        if not list(store.glob("part-*.sqlite3")):
            init_db_dir(store, 1)  # type: ignore[no-untyped-call]

        def pause(seconds: float) -> None:
            if stop.wait(seconds):
                raise LogUnavailable("the log is away, so this stop could not drain; the last snapshot stands")

        context = ProcessContext(
            stop.is_set,
            lambda: datetime.now(UTC),
            pause,
            (settings.flow_index, settings.flow_of),
            settings.flow_settle_ms,
        )
        changelog = Changelog(store / "states")
        tracer = open_tracer(settings, "segma-flow")
        shared = replace(shared, tracer=tracer)
        flow = build(log, shared, groups=settings.groups, context=context, changelog=changelog)
        watch_state(changelog, [shared.bounds, *(each.bounds for each in shared.engines.values())])
        if settings.flow_metrics_port:
            start_http_server(settings.flow_metrics_port, settings.metrics_host)
        know_former_names()
        try:
            cli_main(  # type: ignore[no-untyped-call]
                flow,
                epoch_interval=timedelta(milliseconds=settings.epoch_ms),
                recovery_config=RecoveryConfig(str(store)),  # type: ignore[no-untyped-call]
            )
        except Exception as error:
            raise _cause(error) from error
        finally:
            changelog.close()
            log.close()
            if tracer is not None:
                tracer.close()


def _cause(error: BaseException) -> BaseException:
    """Our own error beneath Bytewax's, which only names the step in which it came; else the error itself."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, SegmaError):
        found = found.__cause__ or found.__context__
    return found or error


def shape_of(log: Log, installation: Installation, settings: FlowSettings) -> StoreShape:
    """What a recovery store must have been made for."""
    secrets = {
        name: fingerprint(read_secret(each.secret, beside=settings.config, field=f"workspaces.{name}.secret"))
        for name, each in installation.workspaces.items()
    }
    topics = {name: log.topic_id(name) for name in (BEACONS, EVENTS)}
    share = (settings.flow_index, settings.flow_of)
    return StoreShape(installation.partitions, settings.groups, *share, topics, secrets, LAYOUT)


if __name__ == "__main__":
    main()
