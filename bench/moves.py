"""Moves a second against imitated platforms with their published quotas, as a share of what the quotas allow.

    ./segma bench moves [--seconds 40] [platform …]
    ./segma bench moves --trouble

Each platform answers in a process of its own after 30 ms. Allowed: as many calls of the scarcest kind as its quota
lets through in the time that was taken (the burst at the start included). Share: the calls of that kind that were made.
Where the limit is a number of connections: how many were busy, on average. ``--trouble``: an account beside one that
answers after 30 s, against the same account alone, in turns.
"""

from __future__ import annotations

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
from tests.sinks.beds import now_ms
from tests.sinks.courier import command
from tests.sinks.simulator import activecampaign, hubspot, klaviyo, listmonk, mailchimp
from tests.sinks.simulator.server import KEY, Simulator

from segma.contracts.codec import json_reader, to_json
from segma.contracts.commands import Outcome
from segma.contracts.log import Log, Outgoing
from segma.contracts.rows import DirectoryEntry
from segma.contracts.topics import OUTCOMES, SUBSCRIBERS, account_topics, fixed_topics, moves_topic, subscriber_key
from segma.sinks.deliver import Delivery
from segma.sinks.options import Around
from segma.sinks.registry import SINKS
from segma.transport import open_log
from segma.transport.config import Settings

PLATFORMS: dict[str, tuple[Any, dict[str, Any], int]] = {
    "klaviyo": (klaviyo.Klaviyo, klaviyo.OPTIONS, 1_600),
    "hubspot": (hubspot.Hubspot, hubspot.OPTIONS, 900),
    "listmonk": (listmonk.Listmonk, listmonk.OPTIONS, 1_000),
    "mailchimp": (mailchimp.Mailchimp, mailchimp.OPTIONS, 300),
    "activecampaign": (activecampaign.Activecampaign, activecampaign.OPTIONS, 3),
}
"""Platform → its dialect, the sink's options, about how many moves a second to prepare for."""
LATENCY_S = 0.03
MAILCHIMP_CONNECTIONS = 10
_read_outcome = json_reader(Outcome)


def serve(name: str, people: int, latency_s: float, pipe: Connection) -> None:
    """A platform in a process of its own, until it is asked for its figures."""
    dialect = PLATFORMS[name][0]()
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


def measured(name: str, seconds: float) -> dict[str, Any]:
    """Deliver for so long; what was done and what would have been allowed."""
    dialect, options, rate = PLATFORMS[name]
    people = int(rate * seconds * 1.5) + 1_000
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(name, people, LATENCY_S, theirs))
    server.start()
    with tempfile.TemporaryDirectory(prefix="segma-moves-") as directory:
        url = ours.recv()
        log = open_log(Settings(data=Path(directory)))
        prepared(Path(directory), people, log)
        kind = SINKS[dialect.name]
        around = Around("w/mail", Path(directory), time.sleep, now_ms, lambda at, field: KEY)
        sink = kind.make(kind.options.model_validate({"url": url, **options}), around)
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
    made = {bucket: len(times) for bucket, times in calls.items()}
    if name == "listmonk":
        busy_s = 0.0
    figures = {
        "platform": name,
        "moves": moves,
        "per_s": moves / took_s,
        "calls": sum(made.values()),
        "refused": refused,
    }
    return figures | share_of(made, quotas, took_s, busy_s)


def share_of(made: dict[str, int], quotas: dict[str, Any], took_s: float, busy_s: float) -> dict[str, Any]:
    """The scarcest bucket: the largest part of what was allowed in the time."""
    if not quotas:
        limit = "10 connections" if busy_s else "none but the operator's own"
        return {"limit": limit, "share": busy_s / took_s / MAILCHIMP_CONNECTIONS}
    parts = {
        (bucket, calls, window_s): made.get(bucket, 0) / (calls * (took_s // window_s + 1))
        for bucket, rates in quotas.items()
        for calls, window_s in rates
    }
    (bucket, calls, window_s), share = max(parts.items(), key=lambda each: each[1])
    return {"limit": f"{bucket}: {calls} in {window_s:g} s", "share": share}


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
    figures: dict[str, list[float]] = {"alone": [], "beside": []}
    for _ in range(rounds):
        for name, found in figures.items():
            found.append(beside(count, sick=name == "beside"))
    alone, both = (statistics.median(found) for found in figures.values())
    click.echo(f"p99 alone {alone:.1f} ms, beside an account that answers after 30 s {both:.1f} ms: {both / alone:.2f}")


def beside(count: int, *, sick: bool) -> float:
    """The p99 of an account, with or without the other."""
    with tempfile.TemporaryDirectory(prefix="segma-moves-") as directory:
        home = Path(directory)
        log = open_log(Settings(data=home / "data"))
        well, ill = Simulator(listmonk.Listmonk(), validate=False), Simulator(listmonk.Listmonk(), validate=False)
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
                [sys.executable, "-m", "segma.sinks", "--account", f"w/{name}"],
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
        return found[int(len(found) * 0.99)]


@click.command()
@click.option("--seconds", default=40.0, show_default=True, help="How long each platform is delivered to.")
@click.option("--trouble", "in_trouble", is_flag=True, help="Measure an account beside one in trouble instead.")
@click.argument("platforms", nargs=-1)
def main(seconds: float, in_trouble: bool, platforms: tuple[str, ...]) -> None:
    """Print the figures."""
    if in_trouble:
        trouble(rounds=3, count=300)
        return
    click.echo(f"{'platform':16}{'moves':>8}{'moves/s':>10}{'calls':>8}{'refused':>9}{'share':>8}  limit")
    for name in platforms or tuple(PLATFORMS):
        found = measured(name, seconds)
        line = (
            f"{found['platform']:16}{found['moves']:>8}{found['per_s']:>10.1f}{found['calls']:>8}{found['refused']:>9}"
        )
        click.echo(f"{line}{found['share']:>8.2f}  {found['limit']}")


if __name__ == "__main__":
    main()
