"""``segma deadletters``: what could not be used or delivered; look at it, and let commands be tried again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from rich.table import Table

from cli.home import open_home
from cli.output import Exit, err, fail, out, print_json
from cli.up import home_option, json_option
from contracts.codec import msgpack_reader, to_builtins
from contracts.errors import LogError
from contracts.letter_commands import command_of, replay_of
from contracts.log import Log
from contracts.plurals import counted
from contracts.reading import all_of
from contracts.rows import DeadLetter
from contracts.tokens import shown_device
from contracts.topics import BEACONS, DEAD_LETTERS

_read_letter = msgpack_reader(DeadLetter)

Numbered = tuple[int, DeadLetter]


def letters_of(log: Log, reason: str = "") -> Iterator[Numbered]:
    """Every dead letter with its number, oldest first."""
    for record in all_of(log, DEAD_LETTERS):
        if record.value is not None:
            letter: DeadLetter = _read_letter(record.value)
            if reason in {"", letter.reason}:
                yield record.offset, letter


def _shown_key(letter: DeadLetter) -> str:
    """The record's key; where it is a device's id, shortened."""
    key = letter.key.decode("utf-8", "replace")
    return shown_device(key) if letter.topic in {BEACONS, "http"} else key


@click.group("deadletters")
def deadletters_command() -> None:
    """Look at what was set aside, and why."""


@deadletters_command.command("list")
@click.option("--reason", default="", help="Only those with this reason.")
@click.option("--last", type=click.IntRange(1), default=50, show_default=True, help="So many of the newest.")
@home_option
@json_option
def list_letters(reason: str, last: int, home: Path, as_json: bool) -> None:
    """The newest dead letters: number, reason, where from, what for."""
    _, _, log = open_home(home)
    found = list(letters_of(log, reason))[-last:]
    log.close()
    if as_json:
        for number, letter in found:
            print_json({"number": number, "reason": letter.reason, "topic": letter.topic, "detail": letter.detail})
        return
    table = Table("number", "reason", "from", "what", box=None, pad_edge=False)
    for number, letter in found:
        command = command_of(letter)
        what = f"{command.verb} {command.from_list} → {command.to_list}" if command else counted(letter.size, "byte")
        table.add_row(str(number), letter.reason, f"{letter.topic} {letter.partition}/{letter.offset}", what)
    out.print(table)


@deadletters_command.command("show")
@click.argument("number", type=int)
@home_option
@json_option
def show_letter(number: int, home: Path, as_json: bool) -> None:
    """One dead letter, with the start of what was set aside."""
    _, _, log = open_home(home)
    letter = next((each for at, each in letters_of(log) if at == number), None)
    log.close()
    if letter is None:
        fail(f"no dead letter has the number {number}", Exit.PROBLEMS)
    told = {name: value for name, value in to_builtins(letter).items() if name not in {"value", "key"}}
    told |= {"key": _shown_key(letter), "value": letter.value.decode("utf-8", "replace")}
    if as_json:
        print_json(told)
        return
    for name, value in told.items():
        out.print(f"{name:>10}  {value}", markup=False)


@deadletters_command.command("replay")
@click.argument("numbers", type=int, nargs=-1)
@click.option("--reason", default="", help="All that have this reason.")
@home_option
def replay_letters(numbers: tuple[int, ...], reason: str, home: Path) -> None:
    """Let commands that failed be tried again, behind the live ones: those NUMBERS, or all with a REASON.

    A command that a later one has overtaken is skipped. What is no command (a beacon, an event) stays set aside.
    """
    if not numbers and not reason:
        fail("say which: numbers, or --reason", Exit.USAGE)
    _, _, log = open_home(home)
    chosen = [each for at, each in letters_of(log, reason) if not numbers or at in numbers]
    found = [(each, command) for each in chosen if (command := command_of(each)) is not None]
    records = list({command.command_id: replay_of(each, command) for each, command in found}.values())
    faults = [each for each in log.publisher().publish(records) if isinstance(each, LogError)] if records else []
    log.close()
    if faults:
        raise faults[0]
    tried = counted(len(records), "command is", "commands are")
    left = len(chosen) - len(records)
    beside = f"; of {counted(left, 'other')} none is: no command, cut, or a repetition" if left else ""
    err.print(f"{tried} tried again{beside}")
    if not records:
        raise SystemExit(Exit.PROBLEMS)
