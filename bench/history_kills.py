"""Kill -9 of loader and embedded ClickHouse, by turns, while rows stream; then the same log loaded in peace.

``./segma bench history_kills --kills 50`` prints each kill and ends with 1 where the contents of any view differ.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cli.output import err, out
from tests.analytics.embedded import Embedded
from tests.analytics.streaming import Killing, contents, load_in_peace, write_home


@click.command(help=__doc__)
@click.option("--kills", default=50, show_default=True)
@click.option("--seed", default=11, show_default=True)
def main(kills: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        log = write_home(Path(name))
        world = Killing(Embedded(Path(name)), log)
        began = time.perf_counter()
        try:
            written = world.run(seed, kills, told=err.print)
            killed, peace = world.embedded.history("segma"), world.embedded.history("peace")
            load_in_peace(log, killed)
            load_in_peace(log, peace, name_again=True)
            after, expected = contents(killed), contents(peace)
        finally:
            world.embedded.stop()
            log.close()
    out.print(f"{kills} kills in {time.perf_counter() - began:.0f} s while {written:,} records were written")
    for view, rows in expected.items():
        same = "same" if after[view] == rows else "OTHER"
        out.print(f"{view:<14} {len(rows):>8,} rows in peace, {len(after[view]):>8,} after the kills: {same}")
    sys.exit(0 if after == expected else 1)


if __name__ == "__main__":
    main()
