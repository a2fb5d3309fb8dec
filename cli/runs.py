"""``segma runs``: how many runs wait at which step, from the live flow's state."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click
from rich.table import Table

from cli.output import Exit, err, fail, out, print_json
from cli.up import home_option, json_option
from contracts.plurals import counted
from contracts.topics import fixed_topics
from flows.config import load_shared, with_listeners_of
from flows.counts.offline import Waiting, stores, waiting
from flows.state.changelog import StateDamaged
from transport import open_log
from transport.config import load_installation, settings_at, wall_clock_ms

TRIES = 5


@click.command()
@home_option
@click.option("--listener", help="Of this listener alone.")
@json_option
def runs_command(home: Path, listener: str | None, as_json: bool) -> None:
    """Say how many runs of each listener wait at which step, as of the flow's last epoch.

    It reads the state that the flows on this machine keep; nothing is asked of them and nothing is changed.
    """
    config, data = home / "segma.yaml", home / "data"
    directories = stores(data)
    if not directories:
        fail(f"no flow has kept any state in {data}", Exit.PROBLEMS)
    installation = load_installation(config)
    shared = load_shared(installation, beside=config)
    log = open_log(settings_at(home))
    try:
        log.ensure(fixed_topics(installation.partitions))
        with_listeners_of(log, shared, installation, beside=config, now_ms=wall_clock_ms(), writes=False)
    finally:
        log.close()
    with err.status("reading the state …"):
        for left in reversed(range(TRIES)):
            looked_at: Counter[str] = Counter()
            try:
                found = waiting(directories, shared.engines, wall_clock_ms(), looked_at)
                break
            except StateDamaged:
                # The flow removes files that nobody needs; what was looked at may have been one of them.
                if not left:
                    raise
    shown = [each for each in found if listener is None or each.listener == listener]
    if listener is not None and not shown:
        fail(f"no listener {listener} is at work", Exit.PROBLEMS)
    if as_json:
        for each in shown:
            print_json(each._asdict())
        return
    out.print(_table(shown))
    err.print(f"{counted(looked_at['subscribers'], 'subscriber')} with state", markup=False)


def _table(found: list[Waiting]) -> Table:
    table = Table("listener", "waits at", "for", "runs", "subscribers", box=None, pad_edge=False)
    for column in (3, 4):
        table.columns[column].justify = "right"
    for each in found:
        step = f"{each.element} of {each.elements}"
        table.add_row(f"{each.listener}@{each.version}", step, each.name, f"{each.runs:,}", f"{each.subscribers:,}")
    return table
