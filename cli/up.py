"""``segma up`` and ``segma down``: the whole installation on this machine."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import click
from rich.table import Table

from analytics.config import analytics_settings_at
from cli.flow_readiness import FlowReadiness
from cli.local_kafka import choose_kafka, kafka_program
from cli.output import Exit, err, fail, out, print_json
from cli.supervise import STOP_TIMEOUT_S, ManagedProcess, Supervised, await_stopped, running, supervise
from collector.config import CollectorSettings
from contracts.errors import ConfigError, Problem
from contracts.installation import Installation
from flows.config import check_share
from transport.config import environment_of, load_installation, settings_at, settings_of

DEFAULT_PORT_BASE = 8400
METRICS_OFFSET = 4
"""From the base to the port of the collector's metrics."""
DOWN_PATIENCE_S = 3 * STOP_TIMEOUT_S
"""What drains, the log that it needs until then, and the supervisor itself end one after the other."""


@dataclass(frozen=True, slots=True)
class LocalAddresses:
    """The addresses of the running parts."""

    collector: str
    console: str
    shop: str | None
    clickhouse: str | None = None
    """The embedded ClickHouse; None where the history goes to a server."""

    @classmethod
    def at(cls, port_base: int, *, shop: bool, embedded: bool = True) -> LocalAddresses:
        """Collector, console, shop and the embedded ClickHouse on four ports in a row, on loopback."""
        host = "http://127.0.0.1"
        return cls(
            f"{host}:{port_base}",
            f"{host}:{port_base + 1}",
            f"{host}:{port_base + 2}" if shop else None,
            f"{host}:{port_base + 3}" if embedded else None,
        )


def sdk_bundle() -> Path:
    """The built browser SDK: beside the checkout that ``./segma`` runs from, else in the working directory."""
    return Path(os.environ.get("SEGMA_ROOT", ".")).resolve() / "js-sdk" / "dist" / "segma.js"


def programs_of(
    home: Path, installation: Installation, addresses: LocalAddresses, flows: int = 1
) -> list[ManagedProcess]:
    """The processes of an installation: a local Kafka where the home has one, collector, flows, delivery, console."""
    python = sys.executable
    common = {
        **environment_of(analytics_settings_at(home)),
        "SEGMA_CONFIG": str(home.resolve() / "segma.yaml"),
        "SEGMA_DATA": str(home.resolve() / "data"),
        "SEGMA_SDK": str(sdk_bundle()),
        "SEGMA_COLLECTOR_URL": addresses.collector,
        "SEGMA_COLLECTOR_PORT": addresses.collector.rpartition(":")[2],
        "SEGMA_CONSOLE_PORT": addresses.console.rpartition(":")[2],
        **metrics_of(addresses),
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "PYTHONUNBUFFERED": "1",
    }
    if addresses.shop:
        common["SEGMA_CONSOLE_SHOP_PORT"] = addresses.shop.rpartition(":")[2]
    if addresses.clickhouse:
        common["SEGMA_CLICKHOUSE_PORT"] = addresses.clickhouse.rpartition(":")[2]
    accounts = [
        f"{workspace}/{account}" for workspace, each in installation.workspaces.items() for account in each.accounts
    ]
    return [
        *kafka_program(home),
        ManagedProcess("collector", [python, "-m", "collector"], f"{addresses.collector}/ready", common),
        *(
            ManagedProcess(
                "flow" if flows == 1 else f"flow-{index}",
                [python, "-m", "flows"],
                FlowReadiness(settings_at(home), index, flows),
                common | {"SEGMA_FLOW_INDEX": str(index), "SEGMA_FLOW_OF": str(flows)},
            )
            for index in range(flows)
        ),
        *(
            ManagedProcess(
                f"deliver-{account.replace('/', '-')}",
                [python, "-m", "sinks", "--account", account],
                None,
                common,
            )
            for account in accounts
        ),
        ManagedProcess("console", [python, "-m", "console"], f"{addresses.console}/health", common),
        *history_programs(addresses, common),
    ]


def metrics_of(addresses: LocalAddresses) -> dict[str, str]:
    """Where the collector serves its metrics, and where the console reads them: what the environment says counts."""
    asked = settings_of(CollectorSettings)
    beside = int(addresses.collector.rpartition(":")[2]) + METRICS_OFFSET
    port = asked.collector_metrics_port if "SEGMA_COLLECTOR_METRICS_PORT" in os.environ else beside
    urls = ",".join(f"http://127.0.0.1:{port + worker}/metrics" for worker in range(asked.collector_workers))
    given = os.environ.get("SEGMA_COLLECTOR_METRICS_URLS", urls if port else "")
    return {"SEGMA_COLLECTOR_METRICS_PORT": str(port), "SEGMA_COLLECTOR_METRICS_URLS": given}


def history_programs(addresses: LocalAddresses, common: dict[str, str]) -> list[ManagedProcess]:
    """The embedded ClickHouse, where the history has no server, and the loader."""
    module = [sys.executable, "-m", "analytics"]
    server = [ManagedProcess("clickhouse", [*module, "server"], f"{addresses.clickhouse}/ping", common)]
    return [*(server if addresses.clickhouse else []), ManagedProcess("loader", [*module, "loader"], None, common)]


def check_ports(addresses: LocalAddresses, kafka: int | None = None) -> None:
    """Raise :class:`ConfigError` where a port is taken by somebody else. ``kafka``: the port of a local one."""
    problems = []
    urls = {name: getattr(addresses, name) for name in ("collector", "console", "shop", "clickhouse")}
    ports = {name: int(url.rpartition(":")[2]) for name, url in urls.items() if url is not None}
    if kafka is not None:
        ports |= {"kafka": kafka, "kafka's controller": kafka + 1}
    for name, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                problems.append(Problem("--port-base", name, f"port {port} is taken", "choose another base"))
    if problems:
        raise ConfigError(problems)


def print_addresses(supervised: Supervised, addresses: LocalAddresses, *, as_json: bool) -> None:
    """Say what runs and where."""
    if as_json:
        processes = {state.name: state.pid for state in supervised.states()}
        print_json({"addresses": addresses, "processes": processes, "home": str(supervised.home)})
        return
    table = Table("process", "state", "pid", "log", box=None, pad_edge=False)
    for state in supervised.states():
        table.add_row(state.name, state.state, str(state.pid), state.log)
    err.print(table)
    out.print(f"collector  {addresses.collector}")
    out.print(f"console    {addresses.console}")
    if addresses.shop:
        out.print(f"shop       {addresses.shop}")
    if addresses.clickhouse:
        out.print(
            f"clickhouse {addresses.clickhouse}  (users segma and analyst, passwords in data/clickhouse-*.password)"
        )


def wait_for_stop(supervised: Supervised) -> bool:
    """Return on Ctrl-C or SIGTERM, or once the supervisor has ended: whether it was that, as after `segma down`."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    def follow() -> None:
        supervised.ended.wait()
        stop.set()

    threading.Thread(target=follow, daemon=True).start()
    stop.wait()
    return supervised.ended.is_set()


home_option = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    show_default="this directory",
    help="Directory with segma.yaml; data, logs and run files go there too.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
ports_option = click.option(
    "--port-base", type=click.IntRange(1024, 65_000), default=DEFAULT_PORT_BASE, show_default=True, help="First port."
)


kafka_option = click.option(
    "--kafka",
    is_flag=True,
    help="Run a local Kafka as the log (its jars and a Java come at first use). The home stays with it.",
)


@click.command()
@home_option
@ports_option
@kafka_option
@click.option(
    "--flows",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Flow processes; each owns its partitions.",
)
@json_option
def up_command(home: Path, port_base: int, kafka: bool, flows: int, as_json: bool) -> None:
    """Start collector, flow, delivery, console and history, and keep them running until Ctrl-C."""
    installation = load_installation(home / "segma.yaml")
    check_share(flows - 1, flows, installation.partitions)
    addresses = LocalAddresses.at(port_base, shop=False, embedded=not analytics_settings_at(home).clickhouse_url)
    if running(home) is None:
        local = choose_kafka(home, port_base, wanted=kafka)
        check_ports(addresses, local)
    with supervise(home, programs_of(home, installation, addresses, flows), say=err.print) as supervised:
        print_addresses(supervised, addresses, as_json=as_json)
        err.print("Ctrl-C stops everything.")
        elsewhere = wait_for_stop(supervised)
        err.print("stopped from elsewhere" if elsewhere else "stopping …")
    err.print("stopped; the data stay in", str(home / "data"), markup=False)


@click.command()
@home_option
def down_command(home: Path) -> None:
    """Stop what runs in a home, and return when nothing of it runs any more."""
    supervised = running(home)
    if supervised is None:
        fail(f"nothing runs in {home}", Exit.PROBLEMS)
    err.print("stopping …")
    supervised.shutdown()
    if not await_stopped(home, DOWN_PATIENCE_S):
        fail(f"something still runs in {home}: `segma doctor` says what", Exit.PROBLEMS)
    err.print("stopped; the data stay in", str(home / "data"), markup=False)
