"""Moves a second against imitated platforms with their published quotas, as a share of what the quotas allow.

    ./segma bench moves [--seconds 60] [--latency-ms 100] [platform …]
    ./segma bench moves --trouble

Each platform answers in a process of its own, after as long as a call over the internet takes. Allowed: as many calls
of each kind as its quota lets through in so many seconds from the first call on (whole windows of the quota). Share: of
those, the calls that were made, of the kind that is nearest its limit. Where the limit is a number of connections: how
many were busy, on average. ``--trouble``: an account beside one that answers after 30 s, against the same account
alone, in turns. Writes ``moves`` and ``moves_trouble`` in ``bench/results``, as JSON and drawn.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
from matplotlib.figure import Figure

from cli.output import err
from contracts.codec import json_reader, to_json
from contracts.commands import Outcome
from contracts.log import Log, Outgoing
from contracts.rows import DirectoryEntry
from contracts.topics import OUTCOMES, SUBSCRIBERS, account_topics, fixed_topics, moves_topic, subscriber_key
from sinks.delivery.loop import Delivery
from sinks.registry import SINKS
from sinks.toolkit.options import Around
from tests.sinks.beds import now_ms
from tests.sinks.courier import command
from tests.sinks.simulator.imitation import imitations
from tests.sinks.simulator.listmonk import Listmonk
from tests.sinks.simulator.server import KEY, Simulator
from transport import open_log
from transport.config import Settings

PLATFORMS = {name: each for name, each in imitations().items() if each.moves_a_second}
"""The platforms that are measured."""
MAILCHIMP_CONNECTIONS = 10
WANTED = 0.9
"""Of what a quota allows, on platforms that take many people in one call."""
RESULTS = Path(__file__).resolve().parent / "results"
_read_outcome = json_reader(Outcome)


def serve(name: str, people: int, latency_s: float, pipe: Connection) -> None:
    """A platform in a process of its own, until it is asked for its figures."""
    dialect = PLATFORMS[name].dialect()
    with Simulator(dialect, validate=False, latency_s=latency_s) as simulator:
        for number in range(people):
            simulator.world.put(f"p{number}@example.org", "old")
        simulator.world.made_list("new")
        pipe.send(simulator.url)
        pipe.recv()
        calls: dict[str, list[float]] = {}
        for call in simulator.calls:
            calls.setdefault(call.bucket, []).append(call.at_s)
        pipe.send((calls, dict(dialect.quotas), simulator.refused_for_quota, simulator.busy_s))


def prepared(directory: Path, people: int, log: Log) -> None:
    """The directory's people, and a move of each."""
    log.ensure([*fixed_topics(), *account_topics("w", "mail")])
    entries = [DirectoryEntry("w", f"s_p{number}", f"p{number}@example.org") for number in range(people)]
    publisher = log.publisher()
    publisher.publish([Outgoing(SUBSCRIBERS, subscriber_key("w", each.subscriber), to_json(each)) for each in entries])
    moves = [command("new", "old", person=f"p{number}") for number in range(people)]
    publisher.publish([Outgoing(moves_topic("w", "mail"), b"k", to_json(each)) for each in moves])


def measured(name: str, seconds: float, latency_s: float) -> dict[str, Any]:
    """Deliver for so long; what was done and what would have been allowed."""
    platform = PLATFORMS[name]
    people = int(platform.moves_a_second * seconds * 1.5) + 1_000
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(name, people, latency_s, theirs))
    server.start()
    with tempfile.TemporaryDirectory(prefix="segma-moves-") as directory:
        url = ours.recv()
        log = open_log(Settings(data=Path(directory)))
        prepared(Path(directory), people, log)
        kind = SINKS[platform.dialect().name]
        around = Around("w/mail", Path(directory), time.sleep, now_ms, lambda at, field: KEY, None, "add")
        sink = kind.make(kind.options.model_validate({"url": url, **platform.options}), around)
        until = time.monotonic() + seconds
        loop = Delivery(
            log,
            sink,
            workspace="w",
            account="mail",
            now_ms=now_ms,
            pause=lambda wait_s: time.sleep(max(min(wait_s, until - time.monotonic()), 0)),
            stopping=lambda: time.monotonic() > until,
        )
        started, moves = time.monotonic(), 0
        while time.monotonic() < until and (done := loop.round()):
            moves += done
        took_s = time.monotonic() - started
        loop.close()
        log.close()
    ours.send("figures")
    calls, quotas, refused, busy_s = ours.recv()
    server.join()
    # NOTE: where no page says a number, what the sink itself keeps to.
    quotas = quotas or {name: [(most, ms / 1_000) for most, ms in rates] for name, rates in kind.quotas.items()}
    if name == "listmonk":
        busy_s = 0.0
    figures = {
        "platform": name,
        "moves": moves,
        "per_s": moves / took_s,
        "calls": sum(map(len, calls.values())),
        "refused": refused,
    }
    return figures | share_of(calls, quotas, seconds, busy_s / took_s)


def share_of(calls: dict[str, list[float]], quotas: dict[str, Any], seconds: float, busy: float) -> dict[str, Any]:
    """The scarcest kind of call: the largest part of what was allowed in whole windows from the first call on."""
    if not quotas:
        limit = f"{MAILCHIMP_CONNECTIONS} connections" if busy else "none but the operator's own"
        return {"limit": limit, "share": busy / MAILCHIMP_CONNECTIONS if busy else None}
    first_s = min(min(times) for times in calls.values())
    parts = {}
    for bucket, rates in quotas.items():
        for allowed, window_s in rates:
            windows = max(int(seconds / window_s), 1)
            made = sum(at_s < first_s + windows * window_s for at_s in calls.get(bucket, ()))
            parts[bucket, allowed, window_s] = made / (allowed * windows)
    (bucket, allowed, window_s), share = max(parts.items(), key=lambda each: each[1])
    return {"limit": f"{bucket}: {allowed} in {window_s:g} s", "share": share}


def delays(log: Log, count: int) -> list[float]:
    """How long each of so many moves took from the log to its outcome, in milliseconds; one every 25 ms."""
    reader = log.reader(OUTCOMES, from_end=True)
    sent: dict[str, float] = {}
    found: dict[str, float] = {}

    def hear() -> None:
        while len(found) < count:
            for record in reader.poll(100, 1.0):
                outcome = _read_outcome(record.value or b"")
                if outcome.command_id in sent:
                    found[outcome.command_id] = (time.monotonic() - sent[outcome.command_id]) * 1_000

    ear = threading.Thread(target=hear)
    ear.start()
    publisher = log.publisher()
    for number in range(count):
        move = command(f"l{number % 7}", person=f"p{number % 50}")
        sent[move.command_id] = time.monotonic()
        publisher.publish([Outgoing(moves_topic("w", "well"), b"k", to_json(move))])
        time.sleep(0.025)
    ear.join()
    reader.close()
    return sorted(found.values())


def trouble(rounds: int, count: int) -> None:
    """The same account alone and beside one in trouble, in turns."""
    found: dict[str, list[list[float]]] = {"alone": [], "beside": []}
    for number in range(rounds):
        # NOTE: by turns, and each first in half of the rounds: whatever the machine does meanwhile, it does to both.
        for name in sorted(found, reverse=bool(number % 2)):
            found[name].append(beside(count, sick=name == "beside"))
            err.print(f"{name}: p99 {p99(found[name][-1]):.1f} ms")
    alone, both = (statistics.median(map(p99, each)) for each in found.values())
    all_alone, all_both = (p99(sorted(delay for each in lists for delay in each)) for lists in found.values())
    click.echo(
        f"p99 alone {alone:.1f} ms, beside an account that answers after 30 s {both:.1f} ms: {both / alone:.2f} "
        f"(medians of {rounds} rounds of {count}); of all moves together {all_alone:.1f} and {all_both:.1f} ms: "
        f"{all_both / all_alone:.2f}"
    )
    figures = {"alone_ms": alone, "beside_ms": both, "ratio": both / alone, "all_ratio": all_both / all_alone}
    written("moves_trouble", figures)
    drawn_trouble(found, figures["ratio"])


def p99(delays_ms: list[float]) -> float:
    """Of sorted delays."""
    return delays_ms[int(len(delays_ms) * 0.99)]


def beside(count: int, *, sick: bool) -> list[float]:
    """The delays of an account, with or without the other."""
    with tempfile.TemporaryDirectory(prefix="segma-moves-") as directory:
        home = Path(directory)
        log = open_log(Settings(data=home / "data"))
        well, ill = (Simulator(Listmonk(), validate=False) for _ in range(2))
        ill.latency_s = 30.0
        (home / "secret").write_text("s" * 64)
        (home / "keys").write_text(f"k1 {bytes(range(64)).hex()}\n")
        (home / "key").write_text(KEY)
        accounts = "".join(
            f"      {name}: {{sink: listmonk, options: {{url: '{each.url}', user: segma, token: {{file: key}}}}}}\n"
            for name, each in (("well", well), ("ill", ill))
        )
        text = f"token_keys: {{file: keys}}\nworkspaces:\n  w:\n    secret: {{file: secret}}\n    accounts:\n{accounts}"
        (home / "segma.yaml").write_text(text)
        log.ensure([*fixed_topics(), *account_topics("w", "well"), *account_topics("w", "ill")])
        entries = [DirectoryEntry("w", f"s_p{number}", f"p{number}@example.org") for number in range(50)]
        log.publisher().publish(
            [Outgoing(SUBSCRIBERS, subscriber_key("w", each.subscriber), to_json(each)) for each in entries]
        )
        if sick:
            moves = [to_json(command("new", person=f"p{number}")) for number in range(50)]
            log.publisher().publish([Outgoing(moves_topic("w", "ill"), b"k", each) for each in moves])
        environment = {**os.environ, "SEGMA_CONFIG": str(home / "segma.yaml"), "SEGMA_DATA": str(home / "data")}
        names = ("well", "ill") if sick else ("well",)
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "sinks", "--account", f"w/{name}"],
                env=environment,
                stderr=subprocess.DEVNULL,
            )
            for name in names
        ]
        delays(log, 20)
        found = delays(log, count)
        for process in processes:
            process.kill()
            process.wait()
        log.close()
        for each in (well, ill):
            each.close()
        return found


def written(name: str, figures: Any) -> None:
    """The figures as JSON."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def drawn(figures: list[dict[str, Any]], latency_ms: float) -> None:
    """A bar a platform: the share of what its quota allows."""
    shown = [each for each in figures if each["share"] is not None]
    figure = Figure(figsize=(7, 0.6 * len(shown) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    names = [f"{each['platform']}\n{each['limit']}" for each in shown]
    bars = axes.barh(names, [each["share"] for each in shown], color="#3b6ea8")
    labels = [f"{each['share']:.2f}, {each['per_s']:.1f} moves/s" for each in shown]
    axes.bar_label(bars, labels, label_type="center", color="w")
    axes.axvline(WANTED, color="#c33", linewidth=1)
    axes.set(xlim=(0, 1.02), xlabel=f"share of what the quota allows; the platform answers after {latency_ms:g} ms")
    axes.invert_yaxis()
    figure.savefig(RESULTS / "moves.png", dpi=150)


def drawn_trouble(found: dict[str, list[list[float]]], ratio: float) -> None:
    """How long a move takes, alone and beside."""
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.add_subplot()
    for (name, lists), color in zip(found.items(), ("#2a7", "#c33"), strict=True):
        delays_ms = sorted(delay for each in lists for delay in each)
        axes.plot(delays_ms, [number / len(delays_ms) for number in range(len(delays_ms))], color=color, label=name)
    axes.set(xscale="log", xlabel="from the log to the outcome, ms", ylabel="part of the moves")
    axes.set_title(f"an account alone, and beside one that answers after 30 s: p99 × {ratio:.2f}", fontsize=10)
    axes.legend()
    figure.savefig(RESULTS / "moves_trouble.png", dpi=150)


@click.command()
@click.option("--seconds", default=60.0, show_default=True, help="How long each platform is delivered to.")
@click.option("--latency-ms", default=100.0, show_default=True, help="How long each answer takes.")
@click.option("--trouble", "in_trouble", is_flag=True, help="Measure an account beside one in trouble instead.")
@click.option("--rounds", default=3, show_default=True, help="With --trouble: of each of the two.")
@click.argument("platforms", nargs=-1, type=click.Choice(tuple(PLATFORMS)))
def main(seconds: float, latency_ms: float, in_trouble: bool, rounds: int, platforms: tuple[str, ...]) -> None:
    """Print the figures, write them, draw them."""
    if in_trouble:
        trouble(rounds, count=400)
        return
    click.echo(f"{'platform':16}{'moves':>8}{'moves/s':>10}{'calls':>8}{'refused':>9}{'share':>8}  limit")
    figures = []
    for name in platforms or tuple(PLATFORMS):
        found = measured(name, seconds, latency_ms / 1_000)
        figures.append(found)
        share = f"{found['share']:.2f}" if found["share"] is not None else "-"
        line = (
            f"{found['platform']:16}{found['moves']:>8}{found['per_s']:>10.1f}{found['calls']:>8}{found['refused']:>9}"
        )
        click.echo(f"{line}{share:>8}  {found['limit']}")
    written("moves", {"latency_ms": latency_ms, "seconds": seconds, "platforms": figures})
    drawn(figures, latency_ms)


if __name__ == "__main__":
    main()
