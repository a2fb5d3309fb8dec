"""The topics of the log: their names, shapes and keys. No other place knows a topic's name."""

from __future__ import annotations

import zlib
from typing import Final

from contracts.accounts import Veto
from contracts.codec import Value
from contracts.installation import Installation

DAY_MS: Final = 86_400_000


class Topic(Value, frozen=True):
    """One topic. ``partitions`` is frozen for the topic's life; ``retention_ms`` 0 keeps for ever.

    A compacted topic keeps the newest record of each key for ever (a record with no value deletes the key).
    """

    name: str
    partitions: int
    retention_ms: int = 30 * DAY_MS
    compacted: bool = False


DEFAULT_PARTITIONS: Final = 4
"""Of the keyed topics in the embedded log. Kafka gets more (``segma topics create``): they can never be added later."""

BEACONS: Final = "beacons"
"""Key: the device; for server events, pixels and redirects the subscriber. Value: ``BeaconRecord`` (MessagePack)."""
EVENTS: Final = "events"
"""Key: the subscriber (workspace in front). Value: ``Event``, ``PastState`` or ``LogTime`` (JSON)."""
ROWS: Final = "rows"
"""Key: the subscriber. Value: a row for the history (JSON); its field ``row`` says which."""
OUTCOMES: Final = "outcomes"
"""Key: the account. Value: ``Outcome`` (JSON): what became of each command; the sinks' ledger."""
SUBSCRIBERS: Final = "subscribers"
"""Compacted. Key: workspace/subscriber. Value: ``DirectoryEntry`` (JSON): the only holder of addresses."""
LISTENERS: Final = "listeners"
"""Compacted. Key: workspace/listener/version. Value: ``ListenerVersion`` (JSON)."""
CAPTURES: Final = "captures"
"""Compacted. Key: the workspace. Value: ``Captures`` (JSON): what live listeners need of the workspace's pages."""
DEAD_LETTERS: Final = "dead_letters"
"""Key: the topic it came from. Value: ``DeadLetter`` (MessagePack)."""

ACCOUNTS: Final = "accounts"
"""Compacted. Key: workspace/account. Value: ``AccountState`` (JSON): which accounts are stopped, and why. Under
workspace/account/away: one that tries on, in vain for longer than a minute; under workspace/account/backfill: whether
its back-fill is stopped."""
VETOES: Final = "vetoes"
"""Compacted. Key: workspace/account/subscriber/list, fact and time. Value: ``Veto`` (JSON): who left, who joined."""
FLOWS: Final = "flows"
"""Compacted. Key: ``of``. Value: ``FlowsAtWork`` (JSON): how many flow processes share the partitions."""
INTENTS: Final = "intents"
"""Key: the account. Value: ``Intent`` (JSON): what a call is about to change."""
WEBHOOKS: Final = "webhooks"
"""The account that carries out ``webhook`` responses, which name none."""


def moves_topic(workspace: str, account: str) -> str:
    """The commands of one account: one partition, one consumer."""
    return f"moves.{workspace}.{account or WEBHOOKS}"


def backfill_topic(workspace: str, account: str) -> str:
    """Commands that wait until no live one does: what the past asks for, tokens, drift to mend, letters to replay."""
    return f"backfill.{workspace}.{account or WEBHOOKS}"


def fixed_topics(partitions: int = DEFAULT_PARTITIONS, retention_ms: int = 30 * DAY_MS) -> list[Topic]:
    """Every topic that does not depend on the accounts."""
    return [
        Topic(BEACONS, partitions, retention_ms),
        Topic(EVENTS, partitions, retention_ms),
        Topic(ROWS, partitions, retention_ms),
        Topic(OUTCOMES, 1, retention_ms=90 * DAY_MS),
        Topic(SUBSCRIBERS, 1, compacted=True, retention_ms=0),
        Topic(LISTENERS, 1, compacted=True, retention_ms=0),
        Topic(CAPTURES, 1, compacted=True, retention_ms=0),
        Topic(DEAD_LETTERS, 1, retention_ms=90 * DAY_MS),
        Topic(ACCOUNTS, 1, compacted=True, retention_ms=0),
        Topic(VETOES, 1, compacted=True, retention_ms=0),
        Topic(INTENTS, 1, retention_ms=7 * DAY_MS),
        Topic(FLOWS, 1, compacted=True, retention_ms=0),
    ]


def topics_of(installation: Installation) -> list[Topic]:
    """Every topic of an installation."""
    # The webhooks' own account, which no file declares, is the one without a name.
    accounts = [(name, own) for name, each in installation.workspaces.items() for own in (*each.accounts, "")]
    return [
        *fixed_topics(installation.partitions, installation.retention),
        *(topic for name, own in accounts for topic in account_topics(name, own, installation.retention)),
    ]


def account_topics(workspace: str, account: str, retention_ms: int = 30 * DAY_MS) -> list[Topic]:
    """Both topics of one account: its live commands and its back-fill."""
    names = moves_topic(workspace, account), backfill_topic(workspace, account)
    return [Topic(name, 1, retention_ms) for name in names]


def account_key(workspace: str, account: str) -> bytes:
    """The log key of everything about one account."""
    return f"{workspace}/{account}".encode()


def away_key(workspace: str, account: str) -> bytes:
    """The log key of an account's alert that it is away: its state has another writer, a person."""
    return account_key(workspace, account) + b"/away"


def lane_key(workspace: str, account: str) -> bytes:
    """The log key of the state of an account's back-fill."""
    return account_key(workspace, account) + b"/backfill"


def veto_key(workspace: str, account: str, subscriber: str, list_name: str) -> bytes:
    """The log key of a person at a list of an account; the list's name comes last, for it may hold anything."""
    return f"{workspace}/{account}/{subscriber}/{list_name}".encode()


def fact_key(veto: Veto) -> bytes:
    """The log key of one leaving or joining: each has its own, so that none that comes late hides a newer one."""
    key = veto_key(veto.workspace, veto.account, veto.subscriber, veto.list_name or veto.list_id)
    return key + f"\0{veto.fact}\0{veto.at_ms}".encode()


def subscriber_key(workspace: str, subscriber: str) -> bytes:
    """The log key of everything about one subscriber; two workspaces never share one."""
    return f"{workspace}/{subscriber}".encode()


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key: CRC-32 modulo the count. Stable on every platform (``hash`` is not)."""
    return zlib.crc32(key) % partitions


def group_of(key: bytes, partitions: int, groups: int) -> int:
    """The key group of a key within its partition: what :func:`partition_of` left of the CRC-32, modulo the count."""
    return zlib.crc32(key) // partitions % groups
