"""The commands in dead letters: what can be tried again."""

from __future__ import annotations

from contracts.codec import json_reader
from contracts.commands import Command
from contracts.errors import BadRecord
from contracts.log import Outgoing
from contracts.rows import DeadLetter
from contracts.topics import backfill_topic, subscriber_key

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


def replay_of(letter: DeadLetter, command: Command) -> Outgoing:
    """The record that lets the command of a letter be tried again, behind the live ones."""
    topic = backfill_topic(command.workspace, command.account)
    return Outgoing(topic, subscriber_key(command.workspace, command.subscriber), letter.value)
