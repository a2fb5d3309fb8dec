"""The commands in dead letters: what can be tried again."""

from __future__ import annotations

from contracts.codec import json_reader
from contracts.commands import Command
from contracts.errors import BadRecord
from contracts.rows import DeadLetter

_read_command = json_reader(Command)


def command_of(letter: DeadLetter) -> Command | None:
    """The command in a dead letter; None where it is none, or was cut."""
    if not letter.topic.startswith(("moves.", "backfill.")) or letter.size > len(letter.value):
        return None
    try:
        command: Command = _read_command(letter.value)
    except BadRecord:
        return None
    return command
