"""How fast ``segma backtest`` is beside ``segma match`` over the same events as a file.

``./segma bench backtest`` makes a shop's events (seeded), loads them into an embedded ClickHouse of its own, and runs
both commands, each in processes of its own: for a listener that one person in a hundred can start, and for one that
everybody starts. It prints seconds and seconds of the processor, the ratios, and the memory of the largest process; it
ends with an error where the two do not find the same matches.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click

from analytics.clickhouse import ClickHouse
from analytics.columns import Inserts
from analytics.config import AnalyticsSettings, embedded_passwords
from analytics.migrate import migrate, read_migrations
from analytics.tables import TableRow, rows_of
from bench.match import event_lines
from cli.match import event_of
from contracts.codec import replaced
from contracts.log import Record
from contracts.rows import EventRow

ROOT: Final = Path(__file__).resolve().parents[1]
PORT: Final = 18_923
FEW: Final = "".join(
    f"      - {{action: email_clicked, where: {{campaign: campaign-{number}}}}}\n" for number in range(4)
)
LISTENERS: Final = {
    "one person in a hundred": (
        f"sequence:\n  - any_of:\n{FEW}  - {{action: page_viewed}}\n  - {{action: product_added}}\n"
    ),
    "everybody": "sequence:\n  - {action: page_viewed}\n  - {action: product_added}\n  - {action: product_bought}\n",
}
CONFIG: Final = "token_keys: {file: keys}\nworkspaces: {demo: {secret: {file: secret}}}\n"


class Home:
    """A home with an embedded ClickHouse."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "data").mkdir(mode=0o700)
        (folder / "segma.yaml").write_text(CONFIG)
        (folder / "secret").write_text("s" * 40)
        self.settings = AnalyticsSettings(data=folder / "data", clickhouse_port=PORT)
        self.passwords = embedded_passwords(self.settings)
        self.environment = {
            **os.environ,
            # The code that this runs itself: the compiled machine where there is one.
            "PYTHONPATH": os.environ.get("PYTHONPATH") or str(ROOT),
            "SEGMA_CONFIG": str(folder / "segma.yaml"),
            "SEGMA_DATA": str(folder / "data"),
            "SEGMA_CLICKHOUSE_PORT": str(PORT),
        }

    def start(self) -> tuple[subprocess.Popen[bytes], ClickHouse]:
        """The running server, and its history, brought up to date."""
        server = subprocess.Popen(
            [sys.executable, "-m", "analytics", "server"], env=self.environment, stderr=subprocess.DEVNULL
        )
        history = ClickHouse(f"http://127.0.0.1:{PORT}", "segma", self.passwords["segma"], "segma")
        for _ in range(600):
            try:
                history.command("SELECT 1", database=False)
                break
            except Exception:
                time.sleep(0.2)
        migrate(history, "segma", read_migrations(self.settings.migrations))
        return server, history


def load(history: ClickHouse, lines: Sequence[bytes]) -> None:
    """The events as the loader would have written them, in order of their times."""
    inserts = Inserts(history)
    numbered = enumerate(lines)
    while some := list(islice(numbered, 20_000)):
        rows: list[TableRow] = []
        for number, line in some:
            event = event_of(line, number)
            event = replaced(
                event, workspace="demo", log_time_ms=event.occurred_at_ms, received_at_ms=event.occurred_at_ms
            )
            record = Record("rows", 0, number, event.occurred_at_ms, b"k", b"")
            rows += rows_of(EventRow(event, watermark_ms=event.occurred_at_ms), record)
        inserts.insert(rows)


def run(words: Sequence[str], environment: dict[str, str], answer: Path) -> tuple[float, float, float]:
    """Seconds, seconds of the processor and the largest process's MB of a command."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with answer.open("wb") as file:
        child = subprocess.Popen([sys.executable, "-m", "cli", *words], env=environment, stdout=file)
        _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, words
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - begin, cpu, used.ru_maxrss / 1024


def server_cpu(server: subprocess.Popen[bytes]) -> float:
    """Seconds of the processor that the server has used."""
    fields = Path(f"/proc/{server.pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(home: Home, server: subprocess.Popen[bytes], events: Path, count: int) -> Iterator[dict[str, Any]]:
    for name, text in LISTENERS.items():
        folder = home.folder / name.replace(" ", "-")
        folder.mkdir()
        file = folder / "tested.yaml"
        file.write_text(f"listener: tested\n{text}")
        match = ["match", "--listeners", str(folder), "--events", str(events), "--arrival"]
        by_file = run(match, home.environment, home.folder / "matches")
        words = ["backtest", str(file), "--home", str(home.folder), "--json", "--processes", "2"]
        used = server_cpu(server)
        by_history = run(words, home.environment, home.folder / "answer")
        cpu = by_history[1] + server_cpu(server) - used
        found = json.loads((home.folder / "answer").read_bytes())
        lines = (home.folder / "matches").read_bytes().splitlines()
        stand = sum(not json.loads(line)["retracted"] for line in lines)
        assert found["matches"] == stand, (found["matches"], stand)
        yield {
            "starts": name,
            "matches": stand,
            "match_s": by_file[0],
            "backtest_s": by_history[0],
            "match_cpu_s": by_file[1],
            "backtest_cpu_s": cpu,
            "ratio": by_file[0] / by_history[0],
            "cpu_ratio": by_file[1] / cpu,
            "match_mb": by_file[2],
            "backtest_mb": by_history[2],
            "events_per_s": count / by_history[0],
        }


@click.command()
@click.option("--events", "count", default=1_000_000, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(count: int, seed: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="segma-bench-") as scratch:
        home = Home(Path(scratch))
        lines = sorted(event_lines(count, seed), key=lambda line: json.loads(line)["occurred_at"])
        events = home.folder / "events.ndjson"
        events.write_bytes(b"".join(lines))
        server, history = home.start()
        try:
            load(history, lines)
            del lines
            click.echo(f"{count:,} events in the history")
            for each in measured(home, server, events, count):
                click.echo(
                    f"{each['starts']}: {each['matches']:,} matches; match {each['match_s']:.1f} s "
                    f"({each['match_cpu_s']:.1f} s of the processor), backtest {each['backtest_s']:.1f} s "
                    f"({each['backtest_cpu_s']:.1f} s, the server's included): {each['ratio']:.1f} times as fast, "
                    f"{each['cpu_ratio']:.1f} times by the processor; {each['backtest_mb']:.0f} MB"
                )
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)


if __name__ == "__main__":
    main()
