"""``segma tokens push``: everybody's link token into the platform's field, with progress; again goes on where it was.

The commands go through the account's own loop, behind the live ones, so its pace holds; where no loop runs, one runs
here as long as it takes.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.progress import Progress

from cli.home import open_home
from cli.output import Exit, err, fail, out, print_json
from contracts.codec import json_reader, to_json
from contracts.commands import Command, Outcome, Result, Verb, command_id_of
from contracts.errors import AlreadyRunning, LogError
from contracts.log import Log, Outgoing
from contracts.plurals import counted
from contracts.reading import all_of
from contracts.topics import OUTCOMES, backfill_topic, subscriber_key
from sinks.__main__ import deliver_account
from sinks.delivery.directory import Directory
from sinks.registry import account_of, sink_of
from transport.config import load_keyring, settings_at, wall_clock_ms

BATCH = 1_000
_read_outcome = json_reader(Outcome)


def push_tokens(home: Path, account: str, *, as_json: bool) -> None:
    """Ask for every token that has not been written yet, and watch until each has its outcome."""
    config, installation, log = open_home(home)
    workspace, name, _ = account_of(installation, account)
    sink = sink_of(installation, account, data=home / "data", pause=lambda seconds: None, config=config, log=log)
    traits = sink.traits
    sink.close()
    if not traits.fields:
        fail(f"{account} has no field for a token; `segma tokens {workspace} --out FILE` writes a file", Exit.USAGE)
    # NOTE: a token is the same until the newest key changes, so the command's id is made of that key.
    first_key = load_keyring(installation, beside=config).first
    wanted = {each.command_id: each for each in _commands(log, workspace, name, first_key)}
    done = _done(log, f"{workspace}/{name}")
    missing = [each for command_id, each in wanted.items() if command_id not in done]
    since = log.end(OUTCOMES)
    for start in range(0, len(missing), BATCH):
        _publish(log, workspace, name, missing[start : start + BATCH])
    written = sum(each.result in {Result.APPLIED, Result.ALREADY} for key, each in done.items() if key in wanted)
    failed = 0
    with _delivering(home, account), Progress(console=err, transient=True) as progress:
        task = progress.add_task("writing tokens", total=len(wanted), completed=written)
        for outcome in _outcomes(log, f"{workspace}/{name}", {each.command_id for each in missing}, since):
            failed += outcome.result is Result.FAILED
            written += outcome.result in {Result.APPLIED, Result.ALREADY}
            progress.advance(task)
    log.close()
    if as_json:
        print_json({"account": account, "people": len(wanted), "written": written, "failed": failed})
    else:
        out.print(f"{written} written of {counted(len(wanted), 'token')} for {account}.", markup=False)
        out.print(f"A link in a mail: https://shop.example/#sgm={traits.token_link}", markup=False)
    if failed:
        fail(f"{failed} could not be written: `segma deadletters list`", Exit.PROBLEMS)


def _commands(log: Log, workspace: str, account: str, key: str) -> Iterator[Command]:
    directory = Directory(log)
    for entry in directory.people(workspace):
        parts = ["token", workspace, account, entry.subscriber, key]
        command_id = command_id_of(parts)
        yield Command(
            command_id,
            workspace,
            account,
            entry.subscriber,
            Verb.TOKEN,
            "tokens",
            0,
            "",
            0,
            matched_at_ms=wall_clock_ms(),
        )
    directory.close()


def _done(log: Log, key: str) -> dict[str, Outcome]:
    """The commands of an account that have an outcome which stands."""
    found: dict[str, Outcome] = {}
    for record in all_of(log, OUTCOMES):
        if record.value is not None and record.key == key.encode():
            outcome: Outcome = _read_outcome(record.value)
            if outcome.result is not Result.FAILED:
                found[outcome.command_id] = outcome
    return found


def _outcomes(log: Log, key: str, waiting: set[str], since: Mapping[int, int]) -> Iterator[Outcome]:
    """The outcomes of these commands as they come, after these offsets: failures of a run before are not this one's."""
    reader = log.reader(OUTCOMES)
    latest: dict[str, Outcome] = {}
    seen: set[str] = set()
    while waiting - seen:
        for record in reader.poll(1_000, 0.5):
            old = record.offset < since.get(record.partition, 0)
            if old or record.value is None or record.key != key.encode():
                continue
            outcome: Outcome = _read_outcome(record.value)
            if outcome.command_id in waiting and outcome.command_id not in seen:
                seen.add(outcome.command_id)
                latest[outcome.command_id] = outcome
                yield outcome
    reader.close()


def _publish(log: Log, workspace: str, account: str, commands: list[Command]) -> None:
    topic = backfill_topic(workspace, account)
    records = [Outgoing(topic, subscriber_key(workspace, each.subscriber), to_json(each)) for each in commands]
    faults = [each for each in log.publisher().publish(records) if isinstance(each, LogError)]
    if faults:
        raise faults[0]


@contextlib.contextmanager
def _delivering(home: Path, account: str) -> Iterator[None]:
    """Deliver here while the body runs, unless another process does."""
    stop = threading.Event()

    def deliver() -> None:
        with contextlib.suppress(AlreadyRunning):
            deliver_account(settings_at(home), account, stop)

    thread = threading.Thread(target=deliver, name="segma-deliver")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
