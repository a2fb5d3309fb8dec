"""``segma flow``: one flow process in the foreground, for supervisors other than Segma's own."""

from __future__ import annotations

from pathlib import Path

import click

from cli.output import Exit, fail
from cli.up import home_option
from flows.__main__ import serve
from flows.config import FlowSettings
from transport.config import settings_of_kind_at


@click.command()
@home_option
@click.option("--index", type=click.IntRange(0), default=0, show_default=True, help="Which of the processes this is.")
@click.option("--of", type=click.IntRange(1, 1_024), default=1, show_default=True, help="How many there are.")
def flow_command(home: Path, index: int, of: int) -> None:
    """Run recognise and follow for every OFth partition, from INDEX on, until SIGTERM.

    Processes share nothing but the log: each has its own recovery store under data/recovery, and a crash stops its own
    partitions only. Start OF of them, on any machines. SIGTERM drains and saves: nothing repeats afterwards.
    """
    if index >= of:
        fail("--index counts from 0 and is less than --of", Exit.USAGE)
    serve(settings_of_kind_at(home, FlowSettings).model_copy(update={"flow_index": index, "flow_of": of}))
