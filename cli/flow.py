"""``segma flow``: one flow process in the foreground, for other supervisors; ``segma flow rescale``."""

from __future__ import annotations

import time
from pathlib import Path

import click
from click.core import ParameterSource

from cli.output import Exit, err, fail, out, print_json
from cli.up import home_option, json_option
from contracts.plurals import counted
from flows.__main__ import serve
from flows.config import FlowSettings
from flows.rescale.switch import Plan, rescale
from transport.config import settings_of_kind_at


@click.group(invoke_without_command=True)
@home_option
@click.option("--index", type=click.IntRange(0), default=0, show_default=True, help="Which of the processes this is.")
@click.option("--of", type=click.IntRange(1, 1_024), default=1, show_default=True, help="How many there are.")
@click.pass_context
def flow_command(context: click.Context, home: Path, index: int, of: int) -> None:
    """Run recognise and follow for every OFth partition, from INDEX on, until SIGTERM.

    Processes share nothing but the log: each has its own recovery store under data/recovery, and a crash stops its own
    partitions only. Start OF of them, on any machines. SIGTERM drains and saves: nothing repeats afterwards.
    """
    if context.invoked_subcommand is not None:
        if any(context.get_parameter_source(name) is not ParameterSource.DEFAULT for name in context.params):
            fail(f"options of `segma flow {context.invoked_subcommand}` stand behind its name", Exit.USAGE)
        return
    if index >= of:
        fail("--index counts from 0 and is less than --of", Exit.USAGE)
    serve(settings_of_kind_at(home, FlowSettings).model_copy(update={"flow_index": index, "flow_of": of}))


@flow_command.command("rescale")
@home_option
@click.option("--from", "before", type=click.IntRange(1, 1_024), required=True, help="How many processes there were.")
@click.option("--to", "after", type=click.IntRange(1, 1_024), required=True, help="How many there will be.")
@click.option(
    "--data-of",
    metavar="PATH",
    help="Where each process has its SEGMA_DATA, if not all in this home: {} stands for its number.",
)
@json_option
def rescale_command(home: Path, before: int, after: int, data_of: str | None, as_json: bool) -> None:
    """Move what the flow processes know of everybody to another number of them, without reading the log again.

    Stop them first, and bring the stores of all of them into this home's data/recovery, or say where they are;
    collectors and deliveries go on meanwhile. Start the new number afterwards. Killed at any moment, it has changed
    nothing, or the same command ends what it began; it says which.
    """
    if before == after:
        fail("--from and --to are the same number", Exit.USAGE)
    if data_of is not None and "{}" not in data_of:
        fail("--data-of holds {} where the number of a process stands", Exit.USAGE)
    own = [Path(data_of.replace("{}", str(index))) for index in range(max(before, after))] if data_of else None
    data, began = own or settings_of_kind_at(home, FlowSettings).data, time.monotonic()
    with err.status("looking at the stores …") as status:
        done = rescale(data, Plan(before, after), status.update)
    seconds = time.monotonic() - began
    if as_json:
        print_json({"from": before, "to": after, "keys": done.keys, "seconds": seconds, "already": done.already})
    elif done.already:
        out.print(f"the stores are those of {after} already; nothing was changed")
    else:
        known = (
            counted(done.keys, "subscriber or device", "subscribers and devices")
            if done.keys
            else "the rest of what was cut off"
        )
        out.print(f"from {before} to {after}: {known} in {seconds:.1f} s; start {after} now")
