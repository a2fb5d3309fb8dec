"""Random requests against the embedded ClickHouse's door, by several clients at once, beside a model that knows how
many rows there are.

::

    python -m tests.clients.door_fuzz --seed 7 --tries 200000

Each try is drawn from the seed, its client and its number. What is sent is harmless (numbers, in and out), and how it
is sent is anything: methods, headers, encodings, bodies cut short, doubled or never ended, sessions, parameters. It
prints what was tried and answered, wrong counts (0), answers that took more than half a minute (0), the memory of the
server, and ends with 1 where anything was seen that must not be.
"""

from __future__ import annotations

import re
import sys
import tempfile
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Final

import click
import psutil

from tests.analytics.embedded import Embedded
from tests.clients.door_client import Client, Seen

_RAISED: Final = re.compile(r"^Traceback .*\n(?: .*\n)+([A-Za-z][\w.]*)", re.MULTILINE)
"""The last line of a traceback: what was raised."""


def fuzz(server: Embedded, seed: int, tries: int, clients: int, seen: Seen) -> tuple[int, int]:
    """Run so many tries, shared among so many clients; the server's memory in bytes after a tenth, and at the end."""
    with server.client() as owner:
        owner.command("DROP DATABASE IF EXISTS fuzz")
        owner.command("CREATE DATABASE fuzz")
    made = [Client(server, seed, number, seen) for number in range(clients)]
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    sizes, each, begun = list[int](), tries // clients, 0
    for tenth in range(1, 11):
        until = each * tenth // 10
        threads = [threading.Thread(target=client.run, args=(range(begun, until),)) for client in made]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        begun = until
        sizes.append(process.memory_info().rss)
        told = f"{until * clients:,} of {tries:,} tried, {len(seen.wrong)} wrong, {sizes[-1] / 2**20:.0f} MiB"
        click.echo(told, err=True)
    for client in made:
        client.close()
    with suppress(psutil.NoSuchProcess):
        if process.status() == psutil.STATUS_ZOMBIE or server.process.poll() is not None:
            seen.fault("dead", "the server ended")
    return sizes[0], sizes[-1]


@click.command()
@click.option("--seed", default=1, show_default=True)
@click.option("--tries", default=10_000, show_default=True)
@click.option("--clients", default=6, show_default=True)
def main(seed: int, tries: int, clients: int) -> None:
    """Try the door of a server of its own."""
    seen = Seen()
    with tempfile.TemporaryDirectory() as directory:
        server = Embedded(Path(directory))
        server.start()
        try:
            early, late = fuzz(server, seed, tries, clients, seen)
        finally:
            server.stop()
        log = (Path(directory) / "server.log").read_text("utf-8", "replace")
    for fault in seen.wrong[:50]:
        click.echo(fault)
    for name in ("wrong", "slow", "dead"):
        seen.counts[name] += 0
    for name, count in sorted(seen.counts.items()):
        click.echo(f"{count:>9}  {name}")
    click.echo(f"memory: {early / 2**20:.0f} MiB after a tenth, {late / 2**20:.0f} MiB at the end")
    told = Counter(found[1] for found in _RAISED.finditer(log))
    for name, count in sorted(told.items()):
        click.echo(f"{count:>9}  raised in the server: {name}")
    grown = late > 1.5 * early + 256 * 2**20
    sys.exit(bool(seen.wrong) or grown)


if __name__ == "__main__":
    main()
